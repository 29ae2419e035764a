"""systemtap counts what the programs count, or refuses what is emitted for it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.resolve.emit import Tool, emit
from tests.resolve.emit.helpers import before, emitted, needs
from tests.support.counting import SOURCES, Programs, isolated


@pytest.fixture(scope="module")
def stap(programs: Programs) -> Callable[..., str]:
    """stap with its BPF runtime, which needs no kernel headers: only a build directory that says
    that this kernel has uprobes."""
    needs("stap")
    kernel = programs.directory / "kernel"
    (kernel / "include" / "config").mkdir(parents=True)
    (kernel / "include" / "config" / "kernel.release").write_text(f"{os.uname().release}\n")
    (kernel / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 1\n")
    (kernel / "Module.symvers").write_text("")
    has = ("TRACEPOINTS", "ARCH_SUPPORTS_UPROBES", "UPROBES")
    (kernel / ".config").write_text("".join(f"CONFIG_{name}=y\n" for name in has))
    unlimited = programs.directory / "unlimited.so"
    compiler = ["gcc", "-shared", "-fPIC", "-o", str(unlimited), str(SOURCES / "unlimited.c")]
    subprocess.run(compiler, check=True)

    def run(script: str, *options: str | Path) -> str:
        order = f'SYSTEMTAP_DIR={kernel} LD_PRELOAD={unlimited} stap --bpf -r {kernel} -e "$@"'
        done = isolated(order, script, *options)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8", "surrogateescape")

    return run


def test_systemtap(programs: Programs, stap: Callable[..., str]) -> None:
    cases = [
        *(programs.case("pie", place) for place in ("work", "twin", "other-twin", "fast")),
        *(programs.case("nopie", place) for place in ("work", "other-twin")),
        *(programs.case("no-debug", place) for place in ("work", "fast")),
        *(programs.case("library", place) for place in ("work", "api_old")),
        *(programs.case(program, "work") for program in ("static", "static-pie")),
    ]
    emissions = emitted(cases, Tool.SYSTEMTAP)
    assert not before(emissions)
    points = (emission.lines[0] for _, emission in emissions)
    probes = (f"probe {point} {{ n[{i}]++ }}" for i, point in enumerate(points))
    report = 'foreach (i in n) printf("%d %d\\n", i, n[i])'
    script = "\n".join(("global n", *probes, f"probe end {{ {report} }}"))
    said = stap(script, "-c", f"sh {programs.run_all} >/dev/null")
    counts = {int(i): int(n) for i, n in re.findall(r"^(\d+) (\d+)$", said, re.MULTILINE)}
    assert counts == {i: case.calls for i, case in enumerate(cases)}


def test_systemtap_where_nothing_is_emitted(programs: Programs, stap: Callable[..., str]) -> None:
    """Where its segments are moved, stap takes another file offset than the address has; other
    paths it does not find, or finds another file under them."""
    for program in ("moved", "odd", "contained", "deleted"):
        emission = emit(programs.case(program, "work").target, Tool.SYSTEMTAP)
        assert emission.lines == ()
        assert emission.note
    target = programs.case("moved", "work").target
    point = f'process("{target.file.opened}").statement({target.vaddr:#x})'
    assert f"pc=.dynamic+{target.vaddr:#x}" in stap(f"probe {point} {{ exit() }}", "-p2")
    assert target.vaddr != target.offset


def test_systemtap_takes_a_path_that_wants_quoting(
    programs: Programs, stap: Callable[..., str]
) -> None:
    target = programs.case("fair", "work").target
    emission = emit(target, Tool.SYSTEMTAP)
    assert "--bpf" in emission.note
    said = stap(f"probe {emission.lines[0]} {{ exit() }}", "-p2")
    assert f"pc=.dynamic+{target.offset:#x}" in said


@pytest.mark.parametrize(("program", "place"), [("no-debug", "twin"), ("pie-stripped", "work")])
def test_systemtap_without_debug_information_or_a_certain_name_is_refused(
    program: str, place: str, programs: Programs, stap: Callable[..., str]
) -> None:
    emission = emit(programs.case(program, place).target, Tool.SYSTEMTAP)
    assert "debug information" in emission.note
    with pytest.raises(AssertionError, match="no match"):
        stap(f"probe {emission.lines[0]} {{ exit() }}", "-p2")
