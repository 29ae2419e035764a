"""Run commands interleaved and take medians.

All commands of a comparison run in turn, round after round, so that what else the machine does hits
each of them alike; figures are medians, and what counts are their ratios.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PYTHON = sys.executable
SYMPROBE = str(Path(sys.executable).with_name("symprobe"))


@dataclass(frozen=True)
class Run:
    """One run: wall-clock seconds, and the peak resident set of the largest process in MiB."""

    seconds: float
    peak: float


@dataclass(frozen=True)
class Row:
    """A line of the results: medians of one command.

    ratio: seconds relative to the comparison's reference.  bound: what the ratio (or the peak, in
    MiB) has to stay below, None when there is no such aim.
    """

    label: str
    seconds: float
    peak: float
    ratio: float | None = None
    bound: float | None = None
    note: str = ""

    @property
    def held(self) -> bool | None:
        if self.bound is None or self.ratio is None:
            return None
        return self.ratio <= self.bound


@dataclass(frozen=True)
class Comparison:
    """A titled group of rows, measured in one run."""

    title: str
    rows: tuple[Row, ...]


def run(command: str) -> Run:
    """One run through the shell, output thrown away."""
    started = time.perf_counter()
    process = subprocess.Popen(
        ["/bin/sh", "-c", command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return Run(time.perf_counter() - started, usage.ru_maxrss / 1024)


def compare(
    title: str,
    commands: dict[str, str],
    *,
    rounds: int = 9,
    bounds: dict[str, tuple[str, float]] | None = None,
) -> Comparison:
    """Medians of commands, interleaved.

    commands: shell text by label; one whose first word is not installed is named and left out.
    bounds: label -> (label of the reference, the ratio to stay below).
    """
    present = {label: text for label, text in commands.items() if shutil.which(_program(text))}
    runs: dict[str, list[Run]] = {label: [] for label in present}
    for text in present.values():
        run(text)  # once unmeasured: caches
    for _ in range(rounds):
        for label, text in present.items():
            runs[label].append(run(text))
    seconds = {label: statistics.median(r.seconds for r in each) for label, each in runs.items()}
    peaks = {label: statistics.median(r.peak for r in each) for label, each in runs.items()}
    rows = []
    for label in commands:
        if label not in present:
            rows.append(Row(label, 0.0, 0.0, note="not installed"))
            continue
        reference, bound = (bounds or {}).get(label, (None, None))
        ratio = seconds[label] / seconds[reference] if reference in seconds else None
        note = f"of {reference}" if reference else ""
        rows.append(Row(label, seconds[label], peaks[label], ratio, bound, note))
    return Comparison(title, tuple(rows))


def _program(command: str) -> str:
    return command.split(maxsplit=1)[0]
