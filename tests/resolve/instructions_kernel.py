"""The kernel as the judge: which instructions it takes probes on, how it runs them, and counts."""

from __future__ import annotations

import errno
import mmap
import os
import platform
import shutil
import subprocess
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import pytest

from symprobe.trace import bccload, bpfcall, features
from symprobe.trace.tables import possible_cpus
from tests.conftest import need_tracing, unavailable

REFUSALS = (bpfcall.ENOTSUPP, errno.ENOEXEC)
"""The kernel's answers to an instruction that it takes no probe on, and to none at all."""
SLOT = 64
"""Bytes from one instruction of a file made by lay_out() to the next."""
PAGE = 4096

_COUNTER = """
#include <linux/ptrace.h>
BPF_PERCPU_ARRAY(calls, u64, SLOTS);
int on_entry(struct pt_regs *ctx)
{
	u64 (*attach_cookie)(void *) = (void *)174;
	u32 slot = attach_cookie(ctx);
	u64 *cell = calls.lookup(&slot);
	if (cell)
		__sync_fetch_and_add(cell, 1);
	return 0;
}
"""


def need(*tools: str) -> None:
    """End the test where real probes can't be put on x86-64 instructions."""
    if platform.machine() != "x86_64":
        pytest.skip("x86-64 instructions")
    need_tracing()
    if not features.probe().uprobe_multi:
        unavailable("the kernel has no uprobe_multi links")
    for tool in tools:
        if shutil.which(tool) is None:
            unavailable(f"{tool} is missing")


def lay_out(codes: Sequence[bytes], path: Path) -> list[int]:
    """Write a file with each code at the start of a slot full of nops; their offsets."""
    data = b"\x90" * PAGE + b"".join(code.ljust(SLOT, b"\x90") for code in codes) + b"\x90" * PAGE
    path.write_bytes(data)
    return [PAGE + SLOT * number for number in range(len(codes))]


@contextmanager
def mapped(path: Path | str) -> Iterator[mmap.mmap]:
    """A file mapped executable, so that the kernel looks at its instructions."""
    fd = os.open(path, os.O_RDONLY)
    try:
        area = mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)
        try:
            yield area
        finally:
            area.close()
    finally:
        os.close(fd)


def answers(path: Path | str, offsets: Sequence[int]) -> list[int]:
    """What the kernel says to one probe at each offset: 0, or the errno. The file is mapped."""
    program = bpfcall.load_nothing(attach_type=bpfcall.ATTACH_UPROBE_MULTI)
    name = os.fsencode(path)

    def answer(offset: int) -> int:
        try:
            os.close(bpfcall.link_uprobes(program, name, [offset], [0]))
        except OSError as error:
            return error.errno or -1
        return 0

    try:
        with ThreadPoolExecutor(64) as pool:  # each answer is mostly waiting for other CPUs
            return list(pool.map(answer, offsets))
    finally:
        os.close(program)


def accepts_all(path: Path | str, offsets: Sequence[int]) -> bool:
    """Whether the kernel takes one link with probes at all these offsets. The file is mapped."""
    program = bpfcall.load_nothing(attach_type=bpfcall.ATTACH_UPROBE_MULTI)
    try:
        os.close(bpfcall.link_uprobes(program, os.fsencode(path), offsets, [0] * len(offsets)))
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        return False
    finally:
        os.close(program)
    return True


class Counter:
    """Counts the hits at places of files, while the `with` block runs.

    places: (path, file offset) pairs, each once.  pid: in that process only.
    """

    def __init__(self, places: Sequence[tuple[Path, int]], pid: int = 0) -> None:
        self._places = places
        self._pid = pid
        self._stack = ExitStack()

    def __enter__(self) -> Counter:
        self._program = bccload.compile_program(_COUNTER, [f"SLOTS={max(1, len(self._places))}"])
        self._stack.callback(self._program.cleanup)
        function = bccload.load_function(
            self._program, "on_entry", self._program.KPROBE, bpfcall.ATTACH_UPROBE_MULTI
        )
        slots: dict[Path, list[int]] = {}
        for slot, (path, _) in enumerate(self._places):
            slots.setdefault(path, []).append(slot)
        for path, mine in slots.items():
            with mapped(path):
                offsets = [self._places[slot][1] for slot in mine]
                link = bpfcall.link_uprobes(
                    function.fd, os.fsencode(path), offsets, mine, pid=self._pid
                )
            self._stack.callback(os.close, link)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def counts(self) -> list[int]:
        """Hits of each place so far."""
        cpus = possible_cpus()
        table = self._program[b"calls"].map_fd
        _, values = bpfcall.lookup_all(table, 4, 8 * cpus, len(self._places))
        cells = array("Q", values)
        return [sum(cells[at : at + cpus]) for at in range(0, cpus * len(self._places), cpus)]


@contextmanager
def held(*argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command that has its process already, and starts at release()."""
    process = subprocess.Popen(
        ["sh", "-c", 'read go && exec "$@"', "sh", *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def release(process: subprocess.Popen[bytes]) -> str:
    """Let a held command run to its end; what it wrote."""
    output, _ = process.communicate(b"go\n")
    assert process.returncode == 0, output
    return output.decode("utf-8", "replace")


def assemble(sources: Sequence[str], path: Path) -> list[int]:
    """Write a file with each source, assembled, at the start of a slot; their offsets.

    Behind the first instruction of each are nops: what comes too early or too late shows.
    """
    text = f".text\n.fill {PAGE}, 1, 0x90\n"
    text += "".join(f".balign {SLOT}, 0xcc\n{source}\n" for source in sources)
    text += f".balign {PAGE}, 0xcc\n.fill {PAGE}, 1, 0xcc\n"
    subprocess.run(["as", "-o", f"{path}.o", "-"], input=text, text=True, check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", f"{path}.o", str(path)], check=True)
    return [PAGE + SLOT * number for number in range(len(sources))]


def build_runner(directory: Path) -> Path:
    """The program that calls code of a file, in a process of its own."""
    runner = directory / "run"
    source = Path(__file__).with_name("instructions_run.c")
    subprocess.run(["gcc", "-O1", "-static", "-o", runner, source], check=True)
    return runner


def run_once(runner: Path, path: Path, offset: int) -> tuple[bytes | None, bool]:
    """Call the code at an offset: the registers and memory that it left, None when it died of
    it; and whether the kernel single-stepped anything: then it maps a page named [uprobes]."""
    done = subprocess.run([runner, path, str(offset)], capture_output=True, check=False)
    if done.returncode < 0:
        return None, True
    assert done.returncode == 0
    return done.stdout[1:], done.stdout[:1] == b"1"


@contextmanager
def probed(path: Path, offset: int) -> Iterator[None]:
    """A probe that does nothing, while the `with` block runs. OSError: the kernel refuses."""
    program = bpfcall.load_nothing(attach_type=bpfcall.ATTACH_UPROBE_MULTI)
    try:
        with mapped(path):
            link = bpfcall.link_uprobes(program, os.fsencode(path), [offset], [0])
        yield
        os.close(link)
    finally:
        os.close(program)
