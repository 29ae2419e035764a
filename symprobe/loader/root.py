"""A root directory: where absolute paths and absolute symbolic links begin.

For the machine's own root the kernel resolves paths. Below another directory every component is
resolved here, so that no link leads outside (path_resolution(7); the work of chroot without it).
"""

import errno
import os
import stat
from contextlib import suppress

from symprobe.elf.source import open_regular
from symprobe.model import FilePath

_MOST_LINKS = 40
"""Symbolic links followed in one path: the kernel's own limit, path_resolution(7)."""


class Root:
    """Paths as a program below `directory` sees them; '' is the machine's own root.

    Relative paths mean the current directory in the machine's own root, `/` in another one.
    Directories already resolved are remembered: a Root serves one call, not a changing tree.
    """

    def __init__(self, directory: str = "") -> None:
        self.directory = directory if directory == "" else os.path.abspath(directory).rstrip("/")
        self._inside = bool(directory) and os.path.abspath(directory) != "/"
        self._directories: dict[str, str] = {}
        self._is_directory: dict[str, bool] = {}

    def locate(self, path: str) -> FilePath:
        """How to open a path, and how to show it. Errors: OSError (missing, ELOOP, ENOTDIR)."""
        if not self._inside:
            return FilePath(path, path)
        return FilePath(self.directory + self.realpath(path), path)

    def open(self, path: str) -> tuple[FilePath, int]:
        """(the file, a descriptor open for reading). Errors: OSError, FileError."""
        file = self.locate(path)
        try:
            # Nothing is left to follow inside a root: a link there was put in place just now.
            return file, open_regular(file, follow=not self._inside)
        except ValueError:  # a NUL byte in the name
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None

    def is_directory(self, path: str) -> bool:
        """Whether a path leads to a directory."""
        known = self._is_directory.get(path)
        if known is None:
            try:
                known = stat.S_ISDIR(os.stat(self.locate(path).opened).st_mode)
            except (OSError, ValueError):
                known = False
            self._is_directory[path] = known
        return known

    def realpath(self, path: str) -> str:
        """The absolute path without symbolic links, as seen inside. Errors: OSError."""
        return self._follow(path, [])

    def links(self, path: str) -> tuple[str, ...]:
        """What each symbolic link says on the way from `path` to the file (last component only)."""
        texts: list[str] = []
        with suppress(OSError):
            self._follow(path, texts)
        return tuple(texts)

    def trace(self, path: str) -> tuple[str, tuple[str, ...]]:
        """(realpath, links) of a file that exists. Errors: OSError."""
        texts: list[str] = []
        return self._follow(path, texts), tuple(texts)

    def _follow(self, path: str, texts: list[str], depth: int = 0) -> str:
        """Resolve, appending what the links of the last component say."""
        for _ in range(_MOST_LINKS - depth):
            head, tail = os.path.split(path)
            if tail in ("", ".", ".."):
                return self._directory(path, depth)
            place = os.path.join(self._directory(head, depth), tail)
            try:
                text = os.readlink(self.directory + place)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                return place
            except ValueError:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
            texts.append(text)
            depth += 1
            path = os.path.join(os.path.dirname(place), text)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)

    def _directory(self, path: str, depth: int) -> str:
        """Resolve a path of directories."""
        known = self._directories.get(path)
        if known is None:
            known = self._walk(path, depth) if self._inside else os.path.realpath(path or ".")
            self._directories[path] = known
        return known

    def _walk(self, path: str, depth: int) -> str:
        place = "/"
        for part in path.split("/"):
            if part in (".", ".."):
                self._check_directory(place)
                place = os.path.dirname(place) if part == ".." else place
            elif part:
                place = self._follow(os.path.join(place, part), [], depth)
        if path.endswith("/"):
            self._check_directory(place)
        return place

    def _check_directory(self, place: str) -> None:
        """`file/..` leads nowhere."""
        if not stat.S_ISDIR(os.stat(self.directory + place).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), place)
