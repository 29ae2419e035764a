"""Writing to the terminal: lines out, complaints to stderr, a closed pipe is quiet."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from itertools import islice

from symprobe.render.text import escape


def emit(lines: Iterable[str]) -> bool:
    """Write the lines to stdout; False when the reader has gone (then nothing more is written)."""
    lines = iter(lines)
    write = sys.stdout.write
    try:
        while block := list(islice(lines, 4096)):
            write("\n".join(block) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        silence()
        return False
    return True


def complain(message: str) -> None:
    """One line on stderr: `symprobe: message`, whatever the message holds."""
    with contextlib.suppress(BrokenPipeError, ValueError):
        print(f"symprobe: {escape(message)}", file=sys.stderr, flush=True)


def silence() -> None:
    """Send what is still to be written to stdout to nowhere: the reader has closed the pipe."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
