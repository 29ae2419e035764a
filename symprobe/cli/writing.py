"""A file that a command writes: whole or not at all, and never through somebody's link."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from typing import BinaryIO

from symprobe.errors import FileError

_STREAMS = ("/dev", "/dev/fd", "/proc/self/fd")
"""Where a link means one of our own streams: /dev/stdout, the /dev/fd/63 of a shell's >(...)."""


class Output:
    """FILE of `--output` and its like, opened at once, so that what can't be written fails early.

    A file is written beside FILE and takes its place at the end of the `with` block, unless that
    ends by an error or nothing was written: a reader sees the old one or the new one. A symbolic
    link is replaced, never followed: in /tmp anybody may have put it there. FIFOs, devices and
    streams (`/dev/stdout`) are written to. Errors: FileError.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._beside = ""
        try:
            if os.path.isdir(path):
                raise IsADirectoryError(0, "is a directory")
            self.file: BinaryIO = os.fdopen(self._open(), "wb")
        except (OSError, ValueError) as error:
            raise self._failure(error) from error

    def _open(self) -> int:
        if _is_stream(self._path):
            return os.open(self._path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        folder = os.path.dirname(self._path)
        self._beside = os.path.join(folder, f".symprobe-{secrets.token_hex(8)}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self._beside, flags, 0o666)

    def write(self, data: str | bytes) -> None:
        """Text is written as UTF-8."""
        try:
            self.file.write(
                data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
            )
        except OSError as error:
            raise self._failure(error) from error

    def __enter__(self) -> Output:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        try:
            self.file.flush()
            if self._beside and kind is None and os.fstat(self.file.fileno()).st_size:
                os.replace(self._beside, self._path)
                self._beside = ""
        except OSError as failed:
            if kind is None:
                raise self._failure(failed) from failed
        finally:
            with contextlib.suppress(OSError):
                self.file.close()
            if self._beside:
                with contextlib.suppress(OSError):
                    os.unlink(self._beside)

    def _failure(self, error: OSError | ValueError) -> FileError:
        why = error.strerror if isinstance(error, OSError) else "the name holds a NUL byte"
        return FileError(
            f"can't be written: {why}", file=self._path, next_step="choose another FILE"
        )


def _is_stream(path: str) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(mode):
        return os.path.dirname(os.path.abspath(path)) in _STREAMS
    return not stat.S_ISREG(mode)
