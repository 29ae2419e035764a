"""Where bytes come from: a regular file, a part of one, or memory.

Reads are `pread`, never a memory map: a file that shrinks while it is read then gives a
MalformedError, where a map would kill the process with SIGBUS.
"""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod

from symprobe.errors import FileError, MalformedError
from symprobe.model import FilePath

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_KINDS = {
    stat.S_IFDIR: "is a directory",
    stat.S_IFIFO: "is a FIFO",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a character device",
    stat.S_IFBLK: "is a block device",
}


def open_regular(path: FilePath, *, follow: bool = True) -> int:
    """A descriptor of a regular file, open for reading.

    What is anything else is not opened at all: a FIFO waits for its other end, and a device may
    act (a watchdog begins to run). O_PATH first, so that nobody can put one in between.
    follow: whether the path may be a symbolic link.  Errors: FileError, OSError, ValueError for
    a NUL byte.
    """
    handle = os.open(path.opened, os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    try:
        kind = stat.S_IFMT(os.fstat(handle).st_mode)
        if kind != stat.S_IFREG:
            what = _KINDS.get(kind, "is not a regular file")
            raise FileError(what, file=path.shown, next_step="give a regular file")
        try:
            return os.open(f"/proc/self/fd/{handle}", _FLAGS)
        except FileNotFoundError:  # /proc is not mounted
            return os.open(path.opened, _FLAGS | (0 if follow else os.O_NOFOLLOW))
    finally:
        os.close(handle)


class Source(ABC):
    """Random access to `size` bytes; `path` names them in errors."""

    def __init__(self, path: FilePath, size: int, inode: tuple[int, int]) -> None:
        self.path = path
        self.size = size
        self.inode = inode
        """(st_dev, st_ino) of the file; (0, 0) when the bytes are in memory only."""

    @abstractmethod
    def _pread(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes; the range is within [0, self.size)."""

    def read(self, offset: int, size: int, what: str = "data") -> bytes:
        """Exactly `size` bytes at `offset`; MalformedError when the file ends before."""
        data = self.read_available(offset, size)
        if len(data) != size:
            what = f"{what} at offset {offset:#x}, {size} bytes, ends after the file's {self.size}"
            raise MalformedError(what, file=self.path.shown)
        return data

    def read_available(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes at `offset`: fewer (or none) where the file ends."""
        if offset < 0 or size <= 0 or offset >= self.size:
            return b""
        return self._pread(offset, min(size, self.size - offset))

    def part(self, offset: int, size: int, path: FilePath) -> Source:
        """The bytes [offset, offset + size) as a source of their own: a member of an archive."""
        return PartSource(self, offset, min(size, max(0, self.size - offset)), path)

    def close(self) -> None:  # noqa: B027 - most sources hold nothing
        """Give back what is held; reading afterwards is an error."""


class FileSource(Source):
    """A regular file, held open: the answer is about one inode even if its name is reused."""

    def __init__(self, path: FilePath, fd: int | None = None) -> None:
        """fd: what open_regular() gave, which the source takes over. Errors: FileError."""
        self._fd = -1
        if fd is None:
            try:
                fd = open_regular(path)
            except (OSError, ValueError) as error:
                raise _open_error(path, error) from None
        info = os.fstat(fd)
        super().__init__(path, info.st_size, (info.st_dev, info.st_ino))
        self._fd = fd

    @property
    def fd(self) -> int:
        """The open descriptor, for tools that take one."""
        return self._fd

    def _pread(self, offset: int, size: int) -> bytes:
        try:
            data = os.pread(self._fd, size, offset)
            if len(data) == size or not data:
                return data
            parts = [data]
            done = len(data)
            while done < size:  # the kernel returns at most 2 GiB a call
                data = os.pread(self._fd, size - done, offset + done)
                if not data:
                    break
                parts.append(data)
                done += len(data)
            return b"".join(parts)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise FileError(f"can't be read: {reason}", file=self.path.shown) from None

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()


class MemorySource(Source):
    """Bytes in memory: a decompressed .gnu_debugdata."""

    def __init__(self, data: bytes, path: FilePath) -> None:
        super().__init__(path, len(data), (0, 0))
        self._data = data

    def _pread(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]


class PartSource(Source):
    """A contiguous part of another source."""

    def __init__(self, parent: Source, offset: int, size: int, path: FilePath) -> None:
        super().__init__(path, size, parent.inode)
        self._parent = parent
        self._offset = offset

    def _pread(self, offset: int, size: int) -> bytes:
        return self._parent.read_available(self._offset + offset, size)


def _open_error(path: FilePath, error: OSError | ValueError) -> FileError:
    if isinstance(error, FileNotFoundError):
        return FileError("no such file", file=path.shown, next_step="check the path")
    if isinstance(error, PermissionError):
        return FileError("permission denied", file=path.shown, next_step="try as root, with sudo")
    if isinstance(error, OSError):
        return FileError(f"can't be opened: {error.strerror}", file=path.shown)
    return FileError("the name holds a NUL byte", file=path.shown)
