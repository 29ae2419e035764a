"""Text that a child process makes while this one makes other text."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
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
        try:
            _, status = os.waitpid(self._child, 0)
        except ChildProcessError:  # SIGCHLD is ignored, so that nobody is told how it ended
            status = -1
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
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._child, signal.SIGKILL)
                os.waitpid(self._child, 0)
        if self._file >= 0:
            os.close(self._file)


class Feed:
    """Texts that a child process made in the `with` block gets as they become known.

    The child is better forked before there are texts: of what both have in memory, each page that
    one of them writes to is copied, and Python writes to whatever it looks at.
    """

    def __enter__(self) -> "Feed":
        self._file = os.memfd_create("symprobe")
        try:
            self._reader, self._writer = os.pipe()
        except OSError:
            os.close(self._file)
            raise
        return self

    def give(self, text: str) -> None:
        """One text more."""
        data = text.encode("utf-8", "surrogateescape")
        with open(self._file, "ab", closefd=False) as file:
            file.write(data)
        os.write(self._writer, len(data).to_bytes(8, "little"))

    def end(self) -> None:
        """That was the last one."""
        if self._writer >= 0:
            os.close(self._writer)
            self._writer = -1

    def __iter__(self) -> Iterator[str]:
        """In the child: the texts, to the last one."""
        self.end()  # its own copy
        at = 0
        while size := int.from_bytes(os.read(self._reader, 8), "little"):
            yield os.pread(self._file, size, at).decode("utf-8", "surrogateescape")
            at += size

    def __exit__(self, *error: object) -> None:
        self.end()
        os.close(self._reader)
        os.close(self._file)
