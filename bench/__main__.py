"""`make bench`: every comparison, printed as it comes and written to bench/RESULTS.md."""

from __future__ import annotations

import compileall
import os
import platform
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import symprobe
from bench.measure import Comparison

GROUPS = ("ls", "deps", "resolve", "trace_hit", "trace_attach", "contract")
RESULTS = Path(__file__).with_name("RESULTS.md")


def machine() -> str:
    """This machine in one line: processor, cores, kernel, Python."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    kernel = platform.release().split("-")[0]
    return (
        f"{model}, {os.cpu_count()} cores, Linux {kernel}, {platform.machine()}, "
        f"Python {platform.python_version()}"
    )


def table(comparison: Comparison) -> Iterator[str]:
    """A comparison as a Markdown table."""
    yield f"### {comparison.title}"
    yield ""
    yield "| command | median | peak memory | ratio | aim |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for row in comparison.rows:
        if row.note == "not installed":
            yield f"| `{row.label}` | not installed | | | |"
            continue
        note, label = row.note.replace("|", "\\|"), row.label.replace("|", "\\|")
        ratio = "" if row.ratio is None else f"{row.ratio:.2f} {note}"
        aim = ""
        if row.bound is not None and row.bound != float("inf"):
            aim = f"≤ {row.bound:g}: {'held' if row.held else 'MISSED'}"
        cost = f"{row.seconds * 1000:.0f} ms | {row.peak:.0f} MiB"
        yield f"| `{label}` | {cost} | {ratio} | {aim} |"
    yield ""


def main(groups: list[str]) -> None:
    """Run the groups named (all without names); only a full run writes the results."""
    lines = [
        "# Results of `make bench`",
        "",
        f"{machine()}. Medians of interleaved runs, warm caches; the ratios are what counts.",
        "",
    ]
    print("\n".join(lines))
    # As for an installed package, even where PYTHONDONTWRITEBYTECODE is set.
    compileall.compile_dir(Path(symprobe.__file__).parent, quiet=1)
    for group in groups or GROUPS:
        for comparison in import_module(f"bench.{group}").comparisons():
            block = list(table(comparison))
            print("\n".join(block), flush=True)
            lines += block
    if not groups:
        RESULTS.write_text("\n".join(lines).rstrip() + "\n")


main(sys.argv[1:])
