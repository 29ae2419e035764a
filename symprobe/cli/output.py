"""Writing to the terminal: lines out, complaints to stderr, a closed pipe is quiet."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice

from symprobe.render.text import escape

_when = "auto"


def set_colour(when: str) -> None:
    """`always`, `never`, or `auto`: on a terminal, unless NO_COLOR says otherwise."""
    global _when  # noqa: PLW0603 - as the streams themselves: one a process
    _when = when


def _has_colour() -> bool:
    if _when == "auto" and sys.stdout.isatty():
        return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return _when == "always"


def emit(lines: Iterable[str], at_once: int = 4096) -> bool:
    """Write lines for people to stdout, with colours where they are wanted; False when the reader
    has gone (then nothing more is written).

    at_once: how many are written together.
    """
    if _has_colour():
        from symprobe.render.colour import painted

        lines = painted(lines)
    return emit_document(lines, at_once)


def emit_document(lines: Iterable[str], at_once: int = 4096) -> bool:
    """As emit(), what a program or another tool reads: as it is, whatever colours are wanted."""
    lines = iter(lines)
    write = sys.stdout.write
    try:
        while block := list(islice(lines, at_once)):
            write("\n".join(block) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        silence()
        return False
    return True


def complain(message: str) -> None:
    """One line on stderr: `symprobe: message`, whatever the message holds."""
    try:
        print(f"symprobe: {escape(message)}", file=sys.stderr, flush=True)
    except OSError:
        _discard(2)
    except ValueError:
        pass  # it is closed


def silence() -> None:
    """Send what is still to be written to stdout to nowhere: the reader has closed the pipe."""
    _discard(1)


def _discard(descriptor: int) -> None:
    with suppress(OSError):  # too many files are open
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)


def prepare_streams() -> None:
    """Standard streams that write any text. A closed one is put in its place first, so that no
    file takes its number; writing to it fails, as it did before."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
