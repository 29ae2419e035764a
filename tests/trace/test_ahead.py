"""The program is compiled while the functions are resolved, and is the one that is then needed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from symprobe.trace import bccload
from symprobe.trace.counts import By
from symprobe.trace.run import Plan, compile_ahead, run
from tests.support.run import symprobe
from tests.trace.helpers import ROOT, SYMPROBE, target, traced

COUNT = 10_500


@pytest.mark.parametrize("room", [100, 1])
@pytest.mark.parametrize(
    "options",
    [
        {"command": ("true",)},
        {"command": ("true",), "everyone": True, "by": By.COMM},
        {"pids": (os.getppid(),), "seconds": 0.01},
        {"pids": (os.getppid(),), "follow": False, "seconds": 0.01, "by": By.PID},
        {"seconds": 0.01},
    ],
    ids=str,
)
def test_what_was_compiled_is_what_is_loaded(
    options: dict[str, Any], room: int, counted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = []
    compiled = bccload.compile_program

    def watched(source: str) -> Any:
        where.append(threading.current_thread())
        return compiled(source)

    monkeypatch.setattr(bccload, "compile_program", watched)
    plan = Plan(targets=(), environment=dict(os.environ), **options)
    ahead = compile_ahead(plan, room)
    assert ahead is not None
    try:
        run(replace(plan, targets=(target(counted, "work"), target(counted, "main")), ahead=ahead))
    finally:
        ahead.close()
    # with too little room for two functions and the mark of their file, it is compiled once more
    mine = [thread is threading.main_thread() for thread in where]
    assert mine == ([False] if room == 100 else [False, True])


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program with so many functions that compiling begins before they are resolved; it calls
    one of them a hundred times, another twice."""
    folder = tmp_path_factory.mktemp("many")
    lines = [f'void f{i}(void) {{ asm volatile(""); }}' for i in range(COUNT)]
    lines += ["int main(void) { for (int i = 0; i < 100; i++) f77(); f8(); f8(); return 3; }"]
    (folder / "many.c").write_text("\n".join(lines))
    subprocess.run(["gcc", "-O0", "-o", "many", "many.c"], cwd=folder, check=True)
    return folder / "many"


def test_the_command_has_its_stderr_and_its_counts(many: Path) -> None:
    script = f"{many}; echo said >&2; {many}"
    document = traced(many, "f[0-9]*", "--", "sh", "-c", script)
    counts = {each["names"][0]: each["calls"] for each in document["targets"]}
    assert counts["f77"] == 200
    assert counts["f8"] == 4
    assert sum(counts.values()) == 204
    assert document["command"]["exit"] == 3
    told = symprobe("trace", many, "f[0-9]*", "--top", "1", "--", "sh", "-c", "echo said >&2")
    assert "said" in told.err


def test_what_goes_wrong_meanwhile_is_told(many: Path) -> None:
    nothing = symprobe("trace", many, "g*", "--", "true")
    assert nothing.code == 1
    assert nothing.err == f"symprobe: g*: no function of {many} matches\n"
    invalid = symprobe("trace", many, "/f(/", "--", "true")
    assert invalid.code == 2
    assert len(invalid.err.splitlines()) == 1


@pytest.mark.parametrize("limit", range(6, 12))
def test_too_few_descriptors_are_one_line(many: Path, limit: int) -> None:
    few = f'ulimit -n {limit}; exec "$0" "$@"'
    done = subprocess.run(
        ["bash", "-c", few, *SYMPROBE, "trace", many, "f[0-9]*", "--", "true"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "oo many" in done.stderr
    assert "standard output" not in done.stderr


def test_without_room_for_a_thread_it_is_compiled_later(many: Path) -> None:
    script = f"""
import resource, sys, threading
from symprobe.cli import main
threading.stack_size(8 << 30)
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
main(["trace", {str(many)!r}, "f[0-9]*", "--", {str(many)!r}])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 1  # as the command: its exit code is 3
    assert re.search(r"^ +100 .* f77$", done.stdout, re.MULTILINE)
