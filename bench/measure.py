"""Run commands interleaved and take medians.

All commands of a comparison run in turn, round after round, so that what else the machine does hits
each of them alike; figures are medians, and what counts are their ratios. A command that is not
installed, fails, or takes too long is a row that says so; the others go on.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PYTHON = sys.executable
SYMPROBE = str(Path(sys.executable).with_name("symprobe"))


QUICK = False
"""Whether all is run once only, to see that it runs."""
PATIENCE = 300.0
"""Seconds after which a command is given up."""
_GNU_TIME = "/usr/bin/time"
_HELD, _NOT_HELD, _SOME_OF_MANY = 0, 1, 123
"""Exit codes of commands that have done their work: grep and symprobe, and xargs of those."""
_NOT_FOUND = 127


class FailedError(Exception):
    """A command did not do its work; the text says why."""


@dataclass(frozen=True)
class Run:
    """One run: wall-clock seconds, and the peak resident set of the largest process in MiB
    (0: there is no GNU time; what the kernel tells us begins at our own size)."""

    seconds: float
    peak: float


@dataclass(frozen=True)
class Row:
    """A line of the results: medians of one command.

    ratio: seconds relative to the comparison's reference.  seconds: 0 when there is no figure, and
    note says why; else note belongs to the ratio.  bound: what the ratio (or the peak, in
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

    def markdown(self) -> Iterator[str]:
        """As a table."""
        yield f"### {self.title}"
        yield ""
        yield "| command | median | peak memory | ratio | aim |"
        yield "| --- | ---: | ---: | ---: | --- |"
        for row in self.rows:
            label, note = row.label.replace("|", "\\|"), row.note.replace("|", "\\|")
            if not row.seconds:
                yield f"| `{label}` | {note} | | | |"
                continue
            peak = f"{row.peak:.0f} MiB" if row.peak else ""
            digits = ".2f" if row.ratio is None or row.ratio >= 0.1 else ".2g"
            ratio = "" if row.ratio is None else f"{row.ratio:{digits}} {note}"
            aim = ""
            if row.bound is not None and row.bound != float("inf"):
                aim = f"≤ {row.bound:g}: {'held' if row.held else 'MISSED'}"
            median = f"{row.seconds * 1000:.0f} ms" if row.seconds > 0.0005 else ""  # in the label
            yield f"| `{label}` | {median} | {peak} | {ratio} | {aim} |"
        yield ""


def run(command: str, patience: float = PATIENCE) -> Run:
    """One run through the shell, output thrown away. Errors: FailedError."""
    with tempfile.NamedTemporaryFile() as memory:
        argv = ["/bin/sh", "-c", command]
        if os.path.exists(_GNU_TIME):
            argv = [_GNU_TIME, "-q", "-f", "%M", "-o", memory.name, *argv]
        started = time.perf_counter()
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        over = threading.Timer(patience, os.killpg, (process.pid, signal.SIGKILL))
        over.start()
        code = process.wait()
        seconds = time.perf_counter() - started
        over.cancel()
        if seconds >= patience:
            raise FailedError(f"given up after {patience:.0f} s")
        if code == _NOT_FOUND:
            raise FailedError("not installed")
        if code not in (_HELD, _NOT_HELD, _SOME_OF_MANY):
            raise FailedError(f"failed: exit code {code}")
        said = memory.read().split()
        return Run(seconds, int(said[-1]) / 1024 if said else 0.0)


def rounds(wanted: int) -> int:
    """How many rounds to run."""
    return 1 if QUICK else wanted


@dataclass
class Measured:
    """What became of one command of several: its runs, or why there are none."""

    command: str
    runs: list[Run] = field(default_factory=list)
    failed: str = ""

    def once(self, patience: float = PATIENCE) -> None:
        """Run it once more, unless it has failed before."""
        if self.failed:
            return
        try:
            self.runs.append(run(self.command, patience))
        except FailedError as error:
            self.failed = str(error)

    @property
    def seconds(self) -> float | None:
        """The median; None when it failed."""
        return None if self.failed else statistics.median(r.seconds for r in self.runs)

    @property
    def peak(self) -> float:
        return statistics.median(r.peak for r in self.runs)


def measure(
    commands: dict[str, str], turns: int, *, warm: bool = True, patience: float = PATIENCE
) -> dict[str, Measured]:
    """All commands in turn, so many times; warm: once unmeasured before, for the caches."""
    found = {label: Measured(text) for label, text in commands.items()}
    for each in found.values():
        if shutil.which(each.command.split(maxsplit=1)[0]) is None:
            each.failed = "not installed"
        elif warm and not QUICK:
            each.once(patience)
            each.runs.clear()
    for _ in range(rounds(turns)):
        for each in found.values():
            each.once(patience)
    return found


def compare(
    title: str,
    commands: dict[str, str],
    *,
    rounds: int = 9,
    bounds: dict[str, tuple[str, float]] | None = None,
) -> Comparison:
    """Medians of commands, interleaved.

    commands: shell text by label.  bounds: label -> (label of the reference, the ratio to stay
    below).
    """
    measured = measure(commands, rounds)
    rows = []
    for label, each in measured.items():
        seconds = each.seconds
        if seconds is None:
            rows.append(Row(label, 0.0, 0.0, note=each.failed))
            continue
        reference, bound = (bounds or {}).get(label, ("", None))
        other = measured[reference].seconds if reference in measured else None
        ratio = seconds / other if other is not None else None
        rows.append(Row(label, seconds, each.peak, ratio, bound, f"of {reference}"))
    return Comparison(title, tuple(rows))
