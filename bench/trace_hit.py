"""What a traced call costs the traced program, counted and timed, beside bpftrace's scripts."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence

from bench.measure import Comparison, Row
from bench.trace_tools import LATENCY_TOOLS, SOURCES, TOOLS, Tool, Tracing, compiled, running

CALLS = {"push": 500_000, "endbr": 50_000, "sub": 50_000}
AIMS = {"push": 1.0, "endbr": 0.2, "sub": 0.2}
"""symprobe's cost as a part of bpftrace's, by the instruction that the function begins with."""
LATENCY_CALLS, LATENCY_AIM = 300_000, 0.8
ALL_IN_PLACE = 0.3
"""Seconds from the first probe of a tool on a function to its last one."""


def comparisons() -> Iterator[Comparison]:
    """One comparison an entry instruction, in the same process, tool after tool."""
    with compiled(str(SOURCES / "hits.c")) as program:
        for entry, calls in CALLS.items():
            title = f"a counted call of a function that begins with `{entry}`"
            with running(program, entry, str(calls)) as process:
                yield _compared(title, _costs(program, entry, process, TOOLS), TOOLS, AIMS[entry])
        title = "a call whose time is measured"
        with running(program, "push", str(LATENCY_CALLS)) as process:
            costs = _costs(program, "push", process, LATENCY_TOOLS, rounds=5)
            yield _compared(title, costs, LATENCY_TOOLS, LATENCY_AIM)


def _costs(
    program: str,
    entry: str,
    process: subprocess.Popen[str],
    tools: Sequence[Tool],
    rounds: int = 4,
) -> dict[str, list[float]]:
    """Nanoseconds of a call by tool, in the same process, tool after tool."""
    costs: dict[str, list[float]] = {"no probe": []}
    for _ in range(rounds):
        costs["no probe"].append(_nanoseconds(process))
        for tool in (tool for tool in tools if tool.installed):
            cost = _with(tool, program, entry, process)
            if cost is not None:
                costs.setdefault(tool.name, []).append(cost)
    return costs


def _compared(
    title: str, costs: dict[str, list[float]], tools: Sequence[Tool], aim: float
) -> Comparison:
    """The first of the tools is symprobe; aim: its cost as a part of the second one's."""
    ours, theirs = tools[0].name, tools[1].name
    medians = {name: statistics.median(each) for name, each in costs.items()}
    rows = [Row(tool.name, 0.0, 0.0, note=why) for tool in tools if (why := _absent(tool, costs))]
    for name, cost in medians.items():
        known = ours in medians and name not in (ours, "no probe")
        label = f"{name}: {cost:.0f} ns a call"
        ratio, bound = medians[ours] / cost if known else None, aim if name == theirs else None
        rows.append(Row(label, cost / 1e9, 0.0, ratio, bound, "symprobe / this"))
    return Comparison(title, tuple(rows))


def _absent(tool: Tool, costs: dict[str, list[float]]) -> str:
    """Why a tool has no figure, empty when it has one."""
    if tool.name in costs:
        return ""
    return "not measured" if tool.installed else "not installed"


def _with(tool: Tool, program: str, entry: str, process: subprocess.Popen[str]) -> float | None:
    tracing = Tracing(tool, program, f"begins_with_{entry}", process)
    time.sleep(ALL_IN_PLACE)
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
