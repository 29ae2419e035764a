"""Reading a file whole, within bounds: what must hold whatever its bytes are."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import lief  # noqa: F401 - what importing it costs must not count

from symprobe.binary import Binary, open_binaries
from symprobe.errors import SymprobeError
from symprobe.facts import file_facts
from symprobe.model import FilePath, Symbol

MEMORY = 200 << 20
"""Bytes that reading one file may add to the process."""
CPU_SECONDS = 5
"""Processor time after which a read counts as hanging (the aim is one second; a shared, slow
machine must not fail a test that is right)."""


class HangingError(Exception):
    """A read that used up its processor time."""


def _hangs(number: int, frame: FrameType | None) -> None:
    raise HangingError(f"no end after {CPU_SECONDS} s of processor time")


@contextmanager
def bounded() -> Iterator[None]:
    """MemoryError or HangingError for what goes beyond the bounds."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGPROF, _hangs)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, before)


@dataclass(frozen=True)
class Outcome:
    """What reading a file gave: its symbols and warnings, or the error that refused it."""

    symbols: tuple[Symbol, ...] = ()
    warnings: tuple[str, ...] = ()
    error: str | None = None

    @property
    def names(self) -> list[str]:
        """The symbols as nm prints them."""
        return [symbol.versioned_name for symbol in self.symbols]


def read_whole(path: Path) -> Outcome:
    """Ask everything that can be asked of a file. What is raised besides SymprobeError is a
    fault, as are complaints that are no single line."""
    symbols: list[Symbol] = []
    warnings: list[str] = []
    error = None
    try:
        with bounded():
            for binary in open_binaries(FilePath.plain(str(path))):
                symbols += _ask_everything(binary)
                warnings += binary.warnings
        with bounded():
            file_facts(FilePath.plain(str(path)), ())
    except SymprobeError as refused:
        error = str(refused)
    for complaint in [*warnings, *([] if error is None else [error])]:
        assert complaint
        assert "\n" not in complaint
    assert len(warnings) < 100
    return Outcome(tuple(symbols), tuple(warnings), error)


def _ask_everything(binary: Binary) -> list[Symbol]:
    """Every table and fact of a file; and that they make sense together."""
    symbols = binary.symbols()
    places = [(symbol.offset, symbol.size) for symbol in symbols]
    places += [(probe.offset, 0) for probe in binary.usdt_probes]
    assert all(offset is None or offset >= 0 for offset, _ in places)
    assert all(size >= 0 for _, size in places)
    assert len(binary.symbols("e")) <= len(symbols)
    files = [binary, *binary.debug_files]
    assert sum(binary.symbol_count().values()) <= sum(file.image.source.size for file in files)
    _ = binary.versions, binary.build_id
    if binary.dynamic is not None:
        _ = binary.dynamic.needed, binary.dynamic.soname, binary.dynamic.runpath
    return symbols
