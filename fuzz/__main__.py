"""Run the harnesses, one after the other, and print what came of it.

    python -m fuzz [HARNESS…] [--seconds S | --runs N]

--seconds: for each harness (20).  --runs: instead, so many inputs for each, the same ones every
time, from the seeds alone; what is found in this mode is found again.

What a run learns stays in fuzz/corpus, and what it finds in fuzz/findings: `python -m fuzz.engine
HARNESS fuzz/findings/FILE` tries one input again. Exit code 1: something was found.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from hashlib import sha1
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from fuzz.harnesses import NAMES

HERE = Path(__file__).parent
CORPUS, FINDINGS = HERE / "corpus", HERE / "findings"
_BACKSTOP = 60
"""Seconds after which libFuzzer ends an input that the engine's own limit can't: no Python runs."""
_MOST_RSS = 2048
"""MiB of the whole process, its corpus included; an input's own limit is the engine's."""


class Result(NamedTuple):
    """Of one harness. peak, base: MiB at most, and before the first input."""

    name: str
    executions: int
    rate: int
    base: int
    peak: int
    findings: list[Path]
    log: str


def fuzz(name: str, bounds: Sequence[str], corpus: Path) -> Result:
    """One harness in a process of its own, within libFuzzer's bounds."""
    longest = _seed(name, corpus)
    FINDINGS.mkdir(exist_ok=True)
    before = set(FINDINGS.iterdir())
    options = [
        f"-max_len={longest}", f"-timeout={_BACKSTOP}", f"-rss_limit_mb={_MOST_RSS}",
        "-print_final_stats=1", f"-artifact_prefix={FINDINGS}/{name}-",
    ]  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-m", "fuzz.engine", name, str(corpus), *options, *bounds],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        cwd=HERE.parent,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
    )
    log = ran.stdout.decode(errors="replace")
    found = sorted(set(FINDINGS.iterdir()) - before)
    if ran.returncode and not found:  # it ended before an input could be blamed
        found = [FINDINGS / f"{name}-no-input"]
    return Result(
        name,
        _number(r"stat::number_of_executed_units: (\d+)", log),
        _number(r"stat::average_exec_per_sec: +(\d+)", log),
        _number(r"INITED .* rss: (\d+)Mb", log),
        _number(r"stat::peak_rss_mb: +(\d+)", log),
        found,
        log,
    )


def _seed(name: str, corpus: Path) -> int:
    """Write the seeds into the corpus; gives the length of the longest input."""
    harness = import_module(f"fuzz.harnesses.{name}")
    corpus.mkdir(parents=True, exist_ok=True)
    for data in harness.seeds():
        (corpus / sha1(data).hexdigest()).write_bytes(data)
    longest: int = harness.LONGEST
    return longest


def _number(pattern: str, log: str) -> int:
    found = re.findall(pattern, log)
    return int(found[-1]) if found else 0


def _blame(log: str) -> list[str]:
    """The traceback in a log; without one, its end."""
    lines = log.splitlines()
    start = next((i for i, line in enumerate(lines) if "Uncaught Python exception" in line), None)
    return lines[-20:] if start is None else lines[start : start + 40]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="fuzz the harnesses")
    parser.add_argument("names", nargs="*", metavar="HARNESS", help=", ".join(NAMES))
    parser.add_argument("--seconds", type=int, default=20, help="for each harness")
    parser.add_argument("--runs", type=int, help="inputs for each harness, always the same ones")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"no harness {', '.join(sorted(unknown))}")
    if find_spec("atheris") is None:
        print("fuzz: atheris is not installed: pip install -e '.[fuzz]'", file=sys.stderr)
        return 2
    print(f"{'harness':<10} {'inputs':>11} {'/s':>7} {'MiB':>5} {'start':>5}  findings")
    total, found = 0, 0
    for name in arguments.names or NAMES:
        if arguments.runs is None:
            result = fuzz(name, [f"-max_total_time={arguments.seconds}"], CORPUS / name)
        else:
            with tempfile.TemporaryDirectory() as folder:
                result = fuzz(name, [f"-runs={arguments.runs}", "-seed=1"], Path(folder))
        total, found = total + result.executions, found + len(result.findings)
        print(
            f"{name:<10} {result.executions:>11,} {result.rate:>7,} {result.peak:>5} "
            f"{result.base:>5}  {' '.join(map(str, result.findings)) or 'none'}",
            flush=True,
        )
        if result.findings:
            print("\n".join(f"    {line}" for line in _blame(result.log)))
    print(f"{total:,} inputs, {found} findings")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
