"""What a counted call costs the traced program, beside bpftrace's count()."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator

from bench.measure import Comparison, Row
from bench.trace_tools import SOURCES, TOOLS, Tool, Tracing, compiled, running

CALLS = {"push": 500_000, "endbr": 50_000, "sub": 50_000}
AIMS = {"push": 1.0, "endbr": 0.2, "sub": 0.2}
"""symprobe's cost as a part of bpftrace's, by the instruction that the function begins with."""


def comparisons() -> Iterator[Comparison]:
    """One comparison an entry instruction, in the same process, tool after tool."""
    with compiled(str(SOURCES / "hits.c")) as program:
        for entry, calls in CALLS.items():
            with running(program, entry, str(calls)) as process:
                yield _costs(program, entry, process)


def _costs(program: str, entry: str, process: subprocess.Popen[str], rounds: int = 5) -> Comparison:
    costs: dict[str, list[float]] = {"no probe": []}
    for _ in range(rounds):
        costs["no probe"].append(_nanoseconds(process))
        for tool in (tool for tool in TOOLS if tool.installed):
            cost = _with(tool, program, entry, process)
            if cost is not None:
                costs.setdefault(tool.name, []).append(cost)
    medians = {name: statistics.median(each) for name, each in costs.items()}
    rows = [Row(tool.name, 0.0, 0.0, note=why) for tool in TOOLS if (why := _absent(tool, costs))]
    for name, cost in medians.items():
        ratio = medians["symprobe"] / cost if name not in ("symprobe", "no probe") else None
        aim = AIMS[entry] if name == "bpftrace count()" else None
        label = f"{name}: {cost:.0f} ns a call"
        rows.append(Row(label, cost / 1e9, 0.0, ratio, aim, "symprobe / this"))
    return Comparison(f"a call of a function that begins with `{entry}`", tuple(rows))


def _absent(tool: Tool, costs: dict[str, list[float]]) -> str:
    """Why a tool has no figure, empty when it has one."""
    if tool.name in costs:
        return ""
    return "failed" if tool.installed else "not installed"


def _with(tool: Tool, program: str, entry: str, process: subprocess.Popen[str]) -> float | None:
    tracing = Tracing(tool, program, f"begins_with_{entry}", process)
    try:
        return _nanoseconds(process) if tracing.complete else None
    finally:
        tracing.close()


def _nanoseconds(process: subprocess.Popen[str]) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return float(process.stdout.readline())
