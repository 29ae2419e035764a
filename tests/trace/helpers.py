"""Targets found by nm and readelf instead of by us, and programs run under a trace."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from symprobe.model import FileOffset, FilePath, VAddr
from symprobe.probe import ProbeTarget
from symprobe.trace.report import Report
from symprobe.trace.run import Plan, run
from tests.support.run import symprobe, validate

ROOT = Path(__file__).parents[2]
SYMPROBE = [sys.executable, "-m", "symprobe"]
_LOAD = re.compile(r"LOAD +(0x\w+) (0x\w+) 0x\w+ (0x\w+)")


def addresses(path: Path | str) -> dict[str, int]:
    """Each defined name with its address, as nm tells it (versions cut off)."""
    found: dict[str, int] = {}
    for option in ("-D", "-a"):
        command = ["nm", option, "--defined-only", str(path)]
        for line in subprocess.run(
            command, capture_output=True, text=True, check=False
        ).stdout.splitlines():
            address, kind, name = line.split(" ", 2)
            if kind in "TtWwi":
                found.setdefault(name.partition("@")[0], int(address, 16))
    return found


def file_offset(path: Path | str, address: int) -> int:
    """Where an address is in the file, as readelf shows its segments."""
    command = ["readelf", "-lW", str(path)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for offset, start, size in _LOAD.findall(text):
        if int(start, 16) <= address < int(start, 16) + int(size, 16):
            return address - int(start, 16) + int(offset, 16)
    raise AssertionError(f"{address:#x} is in no segment of {path}")


def target(
    path: Path | str,
    *names: str,
    cheap: int | None = None,
    opened: str | None = None,
    known: dict[str, int] | None = None,
) -> ProbeTarget:
    """A target on the first name; cheap: the distance of its cheap attach point."""
    address = (known or addresses(path))[names[0]]
    offset = file_offset(path, address)
    status = os.stat(opened or path)
    return ProbeTarget(
        file=FilePath(opened or str(path), str(path)),
        inode=(status.st_dev, status.st_ino),
        build_id=None,
        offset=FileOffset(offset),
        vaddr=VAddr(address),
        names=names,
        demangled=names,
        kind="func",
        size=0,
        cheap_offset=None if cheap is None else FileOffset(offset + cheap),
    )


@dataclass(frozen=True)
class Run:
    """A report, and what the traced command wrote to its stdout."""

    report: Report
    output: str

    @property
    def calls(self) -> dict[str, int]:
        return {row.hits.target.names[0]: row.hits.calls for row in self.report.rows}

    @property
    def own(self) -> int:
        """What the program itself has counted, over all its processes."""
        return sum(int(number) for number in re.findall(r"work (\d+)", self.output))


def trace_command(
    argv: Sequence[str | Path], targets: Sequence[ProbeTarget], tmp_path: Path, **plan: object
) -> Run:
    """Trace a command, its stdout to a file."""
    output = tmp_path / "stdout"
    script = f'exec "$0" "$@" > {output}'
    command = ("/bin/sh", "-c", script, *map(str, argv))
    report = run(
        Plan(targets=tuple(targets), command=command, environment=dict(os.environ), **plan)  # type: ignore[arg-type]
    )
    return Run(report, output.read_text())


@contextmanager
def tracing(*arguments: object, **options: object) -> Iterator[subprocess.Popen[str]]:
    """`symprobe trace …` in the background, once it has said that all is attached."""
    process = subprocess.Popen(
        [*SYMPROBE, "trace", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **options,  # type: ignore[call-overload]
    )
    with process:
        try:
            line = process.stderr.readline()
            assert line.startswith("symprobe: tracing"), line
            yield process
        finally:
            process.kill()


@contextmanager
def waiting(*argv: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A program that has said "ready" and waits for a line (the fixtures' --wait)."""
    with subprocess.Popen(
        [str(each) for each in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def proceed(process: subprocess.Popen[str]) -> str:
    """Give it the line that it waits for; the next line that it says."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline()


def probe_in(process: subprocess.Popen[str], place: ProbeTarget) -> bool:
    """Whether the kernel has a breakpoint at a target in the memory of a process."""
    for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines():
        fields = line.split()
        start, end = (int(number, 16) for number in fields[0].split("-"))
        skipped = int(fields[2], 16)
        inside = skipped <= place.offset < skipped + end - start
        if inside and "x" in fields[1] and int(fields[4]) == place.inode[1]:
            with open(f"/proc/{process.pid}/mem", "rb") as memory:
                memory.seek(start + place.offset - skipped)
                return memory.read(1) == b"\xcc"
    raise AssertionError(f"{place.names[0]} is not mapped in {process.pid}")


def traced(*arguments: object) -> dict[str, object]:
    """The document of `trace ARGUMENTS`, its --json put in front of the command."""
    words = [str(each) for each in arguments]
    at = words.index("--") if "--" in words else len(words)
    ran = symprobe("trace", *words[:at], "--json", *words[at:])
    assert ran.code in (0, 1), ran
    document = dict(json.loads(ran.out))
    validate(document)
    return document
