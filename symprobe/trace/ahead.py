"""Compiling the program while the functions are still being resolved.

libbcc works outside the interpreter's lock. What it writes to stderr is caught, whoever writes: so
nothing else may be written there, and no command started, before wait().
"""

from __future__ import annotations

from contextlib import suppress
from threading import Thread
from typing import Any

from symprobe.errors import SymprobeError
from symprobe.trace import bccload
from symprobe.trace.counts import By, CallCounter
from symprobe.trace.members import Membership
from symprobe.trace.mode import Setting
from symprobe.trace.source import source


class Ahead:
    """The program that only counts, for `room` functions and files at most.

    who: its kind matters, not the processes.
    """

    def __init__(self, who: Membership, by: By | None, room: int) -> None:
        self.room = room
        self._text = source(who, CallCounter(room, by), Setting(room))
        self._program: Any = None
        self._thread = Thread(target=self._compile)
        with suppress(RuntimeError):  # no room for a thread: it is not compiled ahead
            self._thread.start()

    def _compile(self) -> None:
        # Whoever compiles the program then will have the same to say.
        with suppress(SymprobeError, OSError, MemoryError):
            self._program = bccload.compile_program(self._text)

    def wait(self) -> None:
        """Until it is compiled."""
        if self._thread.ident is not None:
            self._thread.join()

    def take(self, text: str) -> Any:
        """The program, if this is its text; it is then the caller's. None if not."""
        self.wait()
        if text != self._text:
            return None
        program, self._program = self._program, None
        return program

    def close(self) -> None:
        """Give up what nobody has taken."""
        self.wait()
        if self._program is not None:
            self._program.cleanup()
