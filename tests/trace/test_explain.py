"""A zero never goes without its likely reason, and the reason is the right one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.model import FilePath
from symprobe.probe import ProbeTarget, SourceInfo
from symprobe.trace.loaded import load_mark
from symprobe.trace.run import Plan, run
from tests.trace.helpers import file_offset, proceed, target, waiting


def notes(plan: Plan, *ticks: Callable[[object], object]) -> list[str]:
    return [row.note for row in run(plan, *ticks).rows]


def command(*argv: str | Path) -> dict[str, object]:
    return {"command": tuple(map(str, argv)), "environment": dict(os.environ)}


def test_by_a_command(counted: Path, compiled: Callable[..., Path]) -> None:
    never = target(counted, "never")
    work = target(counted, "work")
    other = target(compiled("forks.c"), "work")
    library = target(compiled("library.c", "-shared", "-fPIC", name="liba.so"), "lib_work")
    plan = Plan((never, work, other, library), **command(counted, "thread", "5"))  # type: ignore[arg-type]
    assert {
        row.hits.target.file.shown + row.hits.target.names[0]: row.note for row in run(plan).rows
    } == {
        f"{counted}work": "",
        f"{counted}never": "never called",
        f"{other.file.shown}work": "no traced process loaded the file",
        f"{library.file.shown}lib_work": "no traced process loaded the file",
    }
    plan = Plan((never,), **command(counted, "exec", "5", "3"))  # type: ignore[arg-type]
    assert notes(plan) == ["never called, though 4 processes loaded the file"]
    copies = SourceInfo("x.c", 1, inlined=2)
    plan = Plan((never._replace(source=copies),), **command("/bin/true"))  # type: ignore[arg-type]
    assert notes(plan) == ["no traced process loaded the file; 2 inlined copies can't be counted"]


def test_by_processes_that_run(counted: Path, compiled: Callable[..., Path]) -> None:
    never = target(counted, "never")
    other = target(compiled("forks.c"), "work")
    with waiting(counted, "--wait", "idle") as one, waiting(counted, "--wait", "idle"):
        plan = Plan((never, other), pids=(one.pid,), seconds=0.1)
        assert notes(plan) == [
            "never called, though 1 process had the file mapped",
            "no traced process loaded the file",
        ]
        plan = Plan((never, other), seconds=0.1)
        assert notes(plan) == [
            "never called, though 2 processes had the file mapped",
            "no traced process loaded the file",
        ]

        def end(_: object) -> None:
            proceed(one)
            proceed(one)
            one.wait()

        plan = Plan((never,), pids=(one.pid,), seconds=10)
        assert notes(plan, end) == ["never called, though 1 process had the file mapped"]


def test_a_file_that_was_replaced_while_a_process_runs_it(counted: Path, tmp_path: Path) -> None:
    program = tmp_path / "counted"
    shutil.copy(counted, program)
    with waiting(program, "--wait", "idle") as process:
        program.unlink()
        shutil.copy(counted, program)
        plan = Plan((target(program, "work"),), pids=(process.pid,), seconds=0.1)
        (note,) = notes(plan)
    assert note == (
        f"process {process.pid} has another file of that path, replaced or in another root: "
        f"trace pid:{process.pid}:counted"
    )


def test_a_file_of_that_path_in_another_root(compiled: Callable[..., Path], tmp_path: Path) -> None:
    program = compiled("counted.c", "-static")
    inside = tmp_path / "root" / str(program).lstrip("/")
    inside.parent.mkdir(parents=True)
    shutil.copy(program, inside)
    with waiting("chroot", tmp_path / "root", program, "--wait", "idle") as process:
        plan = Plan((target(program, "work"),), pids=(process.pid,), seconds=0.1)
        (note,) = notes(plan)
    assert note.startswith(f"process {process.pid} has another file of that path")


@pytest.mark.parametrize(
    "options",
    [
        ("counted.c", "-pie"),
        ("counted.c", "-no-pie", "-fno-pie"),
        ("counted.c", "-static"),
        ("counted.c", "-static-pie"),
        ("library.c", "-shared", "-fPIC"),
        ("library.c", "-shared", "-fPIC", "-nostartfiles", "-Wl,-z,pack-relative-relocs"),
        ("initialised.c", "-shared", "-fPIC", "-nostartfiles"),
        ("initialised.c", "-shared", "-fPIC", "-nostartfiles", "-Wl,-z,pack-relative-relocs"),
    ],
)
def test_the_mark_of_a_file(options: tuple[str, ...], compiled: Callable[..., Path]) -> None:
    """The first code that runs, as readelf and nm tell it."""
    path = compiled(*options)
    text = subprocess.run(
        ["readelf", "-hdW", path], capture_output=True, text=True, check=True
    ).stdout
    mark = load_mark(FilePath.plain(str(path)))
    if options[0] == "initialised.c":
        assert mark == target(path, "first").offset
    elif "-nostartfiles" in options:
        assert mark is None
    elif "-shared" in options:
        address = next(line.split()[-1] for line in text.splitlines() if "(INIT)" in line)
        assert mark == file_offset(path, int(address, 16))
    else:
        address = next(line.split()[-1] for line in text.splitlines() if "Entry point" in line)
        assert mark == file_offset(path, int(address, 16))


def test_every_library_of_this_machine_that_runs_code_first_has_a_mark() -> None:
    """Its bytes are the ones at DT_INIT or behind the first DT_INIT_ARRAY slot."""
    directory = Path("/usr/lib/x86_64-linux-gnu")
    checked = 0
    for path in sorted(directory.glob("lib[a-m]*.so.*"))[:100]:
        text = subprocess.run(
            ["readelf", "-dW", path], capture_output=True, text=True, check=False
        ).stdout
        mark = load_mark(FilePath.plain(str(path)))
        has = "(INIT)" in text or "(INIT_ARRAY)" in text
        assert (mark is not None) == has, path
        checked += has
    assert checked > 20


def test_broken_files_have_no_mark(tmp_path: Path, counted: Path) -> None:
    path = tmp_path / "broken"
    whole = counted.read_bytes()
    for data in (b"", b"\x7fELF", whole[:64], whole[:500], b"#!/bin/sh\n"):
        path.write_bytes(data)
        assert load_mark(FilePath.plain(str(path))) is None
    assert load_mark(FilePath.plain(str(tmp_path / "none"))) is None
    assert isinstance(target(counted, "work"), ProbeTarget)
