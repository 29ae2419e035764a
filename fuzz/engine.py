"""One harness in this process, until it is ended: `python -m fuzz.engine NAME [libFuzzer option…]`.

An input may take CPU_SECONDS of processor time and MEMORY bytes on top of what the process has;
what takes more, or raises anything but SymprobeError, is a finding: libFuzzer writes it to a file
and ends with an exit code that is not 0.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from importlib import import_module
from types import FrameType

CPU_SECONDS = 1.0
MEMORY = 200 << 20
_PACE = 64
"""Inputs between two looks at what the process has: its corpus grows."""


class HangingError(BaseException):
    """No Exception: nothing below may take it for a fault of the data."""


def _hangs(number: int, frame: FrameType | None) -> None:
    raise HangingError(f"no end after {CPU_SECONDS} s of processor time")


class Limits:
    """`with limits:` around one input."""

    def __init__(self) -> None:
        self._statm = os.open("/proc/self/statm", os.O_RDONLY)
        self._page = resource.getpagesize()
        self._count = 0
        signal.signal(signal.SIGPROF, _hangs)

    def __enter__(self) -> None:
        if self._count % _PACE == 0:
            held = int(os.pread(self._statm, 64, 0).split()[0]) * self._page
            resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, resource.RLIM_INFINITY))
        self._count += 1
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)


def main() -> None:
    import atheris

    with atheris.instrument_imports(include=["symprobe"]):
        harness = import_module(f"fuzz.harnesses.{sys.argv[1]}")
        from symprobe.errors import SymprobeError
        from symprobe.render.text import escape
    for data in harness.seeds():  # what is imported late is imported, and instrumented, before
        with atheris.instrument_imports(include=["symprobe"]):
            try:
                harness.check(data)
            except SymprobeError:
                continue
    limits = Limits()

    def check(data: bytes) -> None:
        with limits:
            try:
                harness.check(data)
            except SymprobeError as error:
                if not error.what or not escape(str(error)).isprintable():
                    raise

    atheris.Setup([sys.argv[0], *sys.argv[2:]], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
