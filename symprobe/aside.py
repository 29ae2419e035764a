"""Text that a child process makes while this one makes other text."""

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType


class Aside:
    """A forked child that makes lines of text; ended with the `with` block, done or not."""

    def __init__(self, make: Callable[[], Iterable[str]]) -> None:
        """make: called in the child; what it raises only makes the child fail."""
        self._file = self._child = -1
        with suppress(OSError):  # too many files or processes: as a child that failed
            self._file = os.memfd_create("symprobe")
            self._child = os.fork()
        if self._child == 0:
            failed = 1
            try:
                with open(self._file, "w", encoding="utf-8") as file:
                    file.writelines(f"{text}\n" for text in make())
                failed = 0
            finally:
                os._exit(failed)

    def text(self) -> str | None:
        """Waits for the lines; None when the child has failed."""
        if self._child < 0:
            return None
        _, status = os.waitpid(self._child, 0)
        self._child = -1
        if status != 0:
            return None
        with open(self._file, encoding="utf-8", newline="\n", closefd=False) as file:
            file.seek(0)
            return file.read()

    def __enter__(self) -> "Aside":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._child > 0:
            os.kill(self._child, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(self._child, 0)
        if self._file >= 0:
            os.close(self._file)
