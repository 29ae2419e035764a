"""The tracers that are compared, and when a probe of any of them is in place."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from bench.measure import SYMPROBE
from symprobe.trace.bccload import HEADERS

SOURCES = Path(__file__).parents[1] / "fixtures" / "trace"
BREAKPOINT = b"\xcc"
SETTLE = 0.5
"""Seconds between attaching and the end: a tool is to count, not to be caught attaching."""
PATIENCE = 400.0
"""Seconds after which a tool that has not attached is given up."""


@dataclass(frozen=True)
class Tool:
    """A tracer: command(program, pattern, pid) counts calls until SIGINT.

    pattern: a function's name, or the beginning of several and a `*`.
    """

    name: str
    program: str
    command: Callable[[str, str, int], list[str]]

    @property
    def installed(self) -> bool:
        return shutil.which(self.program) is not None


def _symprobe(program: str, pattern: str, _: int) -> list[str]:
    return [SYMPROBE, "trace", program, pattern]


def _bpftrace(program: str, pattern: str, _: int) -> list[str]:
    script = f"uprobe:{program}:{pattern} {{ @[probe] = count(); }}"
    limits = (f"BPFTRACE_MAX_{what}=100000" for what in ("PROBES", "BPF_PROGS"))
    return ["env", *limits, "bpftrace", "-e", script]


def _funccount(program: str, pattern: str, _: int) -> list[str]:
    """Without kernel headers it can't run at all: it is given ours."""
    headers = f"BCC_KERNEL_SOURCE={HEADERS}"
    return ["env", headers, "funccount-bpfcc", f"{program}:{pattern}"]


def _perf(program: str, pattern: str, pid: int) -> list[str]:
    """perf probe for each, perf stat on them all, and their removal; in a tracefs of its own."""
    script = (
        "ulimit -n 100000; mount -t tracefs tracefs /sys/kernel/tracing && "
        f"perf probe -q --max-probes=100000 -x {program} -a '{pattern}' && "
        f"{{ perf stat -e 'probe_*:*' -p {pid} & trap 'kill -INT $!' INT; wait; wait; }}; "
        "perf probe -q -d '*'"
    )
    return ["unshare", "--mount", "sh", "-c", script]


def _symprobe_latency(program: str, pattern: str, _: int) -> list[str]:
    return [SYMPROBE, "trace", program, pattern, "--latency"]


def _bpftrace_latency(program: str, pattern: str, _: int) -> list[str]:
    script = f"uprobe:{program}:{pattern} {{ @start[tid] = nsecs; }} "
    script += f"uretprobe:{program}:{pattern} /@start[tid]/ "
    script += "{ @ = hist(nsecs - @start[tid]); delete(@start[tid]); }"
    return ["bpftrace", "-e", script]


LATENCY_TOOLS = (
    Tool("symprobe --latency", SYMPROBE, _symprobe_latency),
    Tool("bpftrace uprobe + uretprobe hist()", "bpftrace", _bpftrace_latency),
)
TOOLS = (
    Tool("symprobe", SYMPROBE, _symprobe),
    Tool("bpftrace count()", "bpftrace", _bpftrace),
    Tool("funccount-bpfcc", "funccount-bpfcc", _funccount),
    Tool("perf probe + perf stat", "perf", _perf),
)


@contextmanager
def compiled(source: str, *options: str) -> Iterator[str]:
    """A fixture's program, no PIE, in a directory of its own."""
    with tempfile.TemporaryDirectory() as directory:
        output = f"{directory}/{Path(source).stem}"
        subprocess.run(
            ["gcc", "-O1", "-no-pie", "-fno-pie", "-o", output, source, *options], check=True
        )
        yield output


@contextmanager
def running(*argv: str) -> Iterator[subprocess.Popen[str]]:
    """A program that says "ready" and waits for lines."""
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def places(program: str, pattern: str) -> list[int]:
    """Addresses of the functions that match, in a program that is no PIE (nm)."""
    lines = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    known = {line.split()[-1]: line.split()[0] for line in lines.splitlines()}
    return [int(known[name], 16) for name in known if fnmatchcase(name, pattern)]


class Tracing:
    """A tool at work on functions of a running process; close() ends it and waits for its end."""

    def __init__(
        self, tool: Tool, program: str, pattern: str, process: subprocess.Popen[str]
    ) -> None:
        at = places(program, pattern)
        self._started = time.perf_counter()
        self._tool = subprocess.Popen(
            tool.command(program, pattern, process.pid),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with open(f"/proc/{process.pid}/mem", "rb", buffering=0) as memory:
            waiting = set(at)
            while waiting:
                waiting = {place for place in waiting if not _probed(memory.fileno(), place)}
                if self._tool.poll() is not None or self._since() > PATIENCE:
                    break
                time.sleep(0.001)
        self.attached = self._since()
        self.complete = not waiting

    def close(self) -> float:
        """Seconds of the whole run, less the moment in which it only counts."""
        time.sleep(SETTLE)
        if self._tool.poll() is None:
            os.killpg(self._tool.pid, signal.SIGINT)
        try:
            self._tool.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(self._tool.pid, signal.SIGKILL)
            self._tool.wait()
            self.complete = False
        return self._since() - SETTLE

    def _since(self) -> float:
        return time.perf_counter() - self._started


def _probed(memory: int, place: int) -> bool:
    """Whether a breakpoint is at the place, or just behind an endbr64 or `sub $N,%rsp` there."""
    code = os.pread(memory, 5, place)
    return BREAKPOINT in (code[:1], code[4:5])
