"""How long it takes until all is attached, and until all is over: beside the other tracers."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import SYMPROBE, Comparison, Row
from bench.trace_tools import TOOLS, Tool, Tracing, compiled, running

SIZES = {1: 3, 10: 2, 100: 1, 1000: 1}
"""Functions, and rounds."""
AT_1000 = ("symprobe", "bpftrace count()")
"""A perf event takes 0.1 s to remove, 1000 of them two minutes: one such tool is enough."""
LEFT_OUT = "left out, as it takes minutes"


def comparisons() -> Iterator[Comparison]:
    """By number of functions; then all of libLLVM."""
    for number, rounds in SIZES.items():
        yield from _side_by_side(number, rounds)
    llvm = shutil.which("llvm-nm-14")
    if llvm is not None:
        yield _all_of_llvm(llvm)


def _side_by_side(number: int, rounds: int) -> Iterator[Comparison]:
    names = [f"function_{index}" for index in range(number)]
    body = "".join(f"__attribute__((noipa)) void {name}(void) {{}}\n" for name in names)
    body += '#include <stdio.h>\nint main(void) { puts("ready"); fflush(stdout); getchar(); }\n'
    attached: dict[str, list[float]] = {}
    whole: dict[str, list[float]] = {}
    with tempfile.NamedTemporaryFile("w", suffix=".c") as source:
        source.write(body)
        source.flush()
        with compiled(source.name, "-fcf-protection=none") as program:
            for _ in range(rounds):
                for tool in TOOLS:
                    if tool.installed and (number < 1000 or tool.name in AT_1000):
                        _once(tool, program, attached, whole)
    noun = "function" if number == 1 else "functions"
    absent = LEFT_OUT if number >= 1000 else "failed"
    yield _compared(f"{number} {noun}: start to attached", attached, {}, absent)
    aims = {"bpftrace count()": 0.1} if number == 100 else {}
    yield _compared(f"{number} {noun}: whole run, with detaching", whole, aims, absent)


def _once(
    tool: Tool,
    program: str,
    attached: dict[str, list[float]],
    whole: dict[str, list[float]],
) -> None:
    with running(program) as process:
        tracing = Tracing(tool, program, "function_*", process)
        total = tracing.close()
    if tracing.complete:
        attached.setdefault(tool.name, []).append(tracing.attached)
        whole.setdefault(tool.name, []).append(total)


def _compared(
    title: str, seconds: dict[str, list[float]], aims: dict[str, float], absent: str
) -> Comparison:
    """symprobe's ratio to each of the others; aims: the ratio to stay below.

    absent: why an installed tool has no figure.
    """
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    ours = medians.get("symprobe")
    rows = []
    for tool in TOOLS:
        if not tool.installed:
            rows.append(Row(tool.name, 0.0, 0.0, note="not installed"))
        elif tool.name not in medians:
            note = absent if tool.name not in AT_1000 else "failed"
            rows.append(Row(f"{tool.name}: {note}", 0.0, 0.0, note="not measured"))
        else:
            theirs = medians[tool.name]
            ratio = ours / theirs if ours is not None and tool.name != "symprobe" else None
            rows.append(Row(tool.name, theirs, 0.0, ratio, aims.get(tool.name), "symprobe / this"))
    return Comparison(title, tuple(rows))


def _all_of_llvm(nm: str, rounds: int = 3) -> Comparison:
    """`trace libLLVM-14 '*' -- llvm-nm-14 FILE`: attached when the command begins."""
    library = "/usr/lib/x86_64-linux-gnu/libLLVM-14.so.1"
    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        mark = Path(directory) / "began"
        script = f"date +%s.%N > {mark}; exec {nm} -D /bin/sh > /dev/null"
        for _ in range(rounds):
            alone = time.time()
            subprocess.run(["sh", "-c", script], check=True)
            figures.setdefault("the command alone", []).append(time.time() - alone)
            for symbol in ("LLVMContextCreate", "*"):
                began = time.time()
                command = [SYMPROBE, "trace", library, symbol, "--", "sh", "-c", script]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                ended = time.time()
                attached = float(mark.read_text()) - began
                figures.setdefault(f"{symbol}: start to attached", []).append(attached)
                figures.setdefault(f"{symbol}: whole run", []).append(ended - began)
    medians = {label: statistics.median(each) for label, each in figures.items()}
    attached = medians["*: start to attached"]
    one = medians["LLVMContextCreate: start to attached"]
    more = medians["*: whole run"] - medians["the command alone"]
    aims = {
        "*: start to attached": [(attached, 1.0, "s"), (attached / one, 4.0, "of one function")],
        "*: whole run": [(more, 2.0, "s more than the command alone")],
    }
    rows = [
        Row(label, seconds, 0.0, figure, aim, note)
        for label, seconds in medians.items()
        for figure, aim, note in aims.get(label, [(None, None, "")])
    ]
    return Comparison("all functions of libLLVM-14 in a run of llvm-nm-14", tuple(rows))
