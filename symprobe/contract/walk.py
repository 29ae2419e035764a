"""Which files stand below some paths, in a tree that may change while it is looked at.

Regular files only: FIFOs, sockets and devices are passed over unopened. Symbolic links are not
followed below a path (the path itself is), unless asked for: then each file they lead to counts
once. Other file systems are not entered.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Problem(NamedTuple):
    """A path that could not be looked at, and why."""

    path: str
    reason: str


class Walk:
    """The regular files below paths, each once, in the order of their names.

    follow: also what symbolic links lead to outside the paths.  directories: filled with each
    directory that was read and its status, for who keeps an index.
    """

    def __init__(self, paths: Sequence[str], *, follow: bool = False) -> None:
        self._paths = paths
        self._follow = follow
        self._seen: set[tuple[int, int]] = set()
        self._links: list[tuple[str, int]] = []
        self._roots: list[str] = []
        self._files: set[str] = set()
        """Real paths of the files among the paths."""
        self.problems: list[Problem] = []
        self.foreign: dict[str, int] = {}
        """Directories on other file systems, not entered, and their device numbers."""
        self.directories: dict[str, os.stat_result] = {}
        self._passed_over = False

    def __iter__(self) -> Iterator[str]:
        for path in self._paths:
            yield from self._root(path)
        while self._links:  # what they lead to may hold more of them
            links, self._links = self._links, []
            for path, device in links:
                yield from self._link(path, device)

    @property
    def is_whole(self) -> bool:
        """Whether everything below each path was met under that path, or is a directory that can't
        be read."""
        return not self._passed_over and all(p.path in self.directories for p in self.problems)

    def _root(self, path: str) -> Iterator[str]:
        try:
            info = os.stat(path)
        except (OSError, ValueError) as error:
            self.problems.append(Problem(path, why(error)))
            return
        if stat.S_ISDIR(info.st_mode):
            self._roots.append(os.path.join(os.path.realpath(path), ""))
            yield from self._tree(path, info)
        elif not stat.S_ISREG(info.st_mode):
            self.problems.append(Problem(path, "is neither a regular file nor a directory"))
        else:
            real = os.path.realpath(path)
            if real not in self._files and not any(map(real.startswith, self._roots)):
                self._files.add(real)
                yield path

    def _tree(self, top: str, info: os.stat_result) -> Iterator[str]:
        """The files of a directory and those below it, on its file system."""
        device = info.st_dev
        stack = [(top, info)]
        while stack:
            path, info = stack.pop()
            if not self._is_new(info):
                self._passed_over = True
                continue
            self.directories[path] = info
            below = []
            for entry in self._entries(path):
                try:
                    if entry.is_symlink():
                        if self._follow:
                            self._links.append((entry.path, device))
                    elif entry.is_file(follow_symlinks=False):
                        if self._files and os.path.realpath(entry.path) in self._files:
                            self._passed_over = True
                        else:
                            yield entry.path
                    elif entry.is_dir(follow_symlinks=False):
                        below.append((entry.path, entry.stat(follow_symlinks=False)))
                except OSError as error:
                    self._failed(entry.path, error)
            stack += [each for each in reversed(below) if each[1].st_dev == device]
            self.foreign.update((p, s.st_dev) for p, s in below if s.st_dev != device)

    def _entries(self, path: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(path) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._failed(path, error)
            return []

    def _link(self, path: str, device: int) -> Iterator[str]:
        """What a link leads to, unless it is met without it."""
        try:
            info = os.stat(path)
            real = os.path.realpath(path)
            if real in self._files or any(map(real.startswith, self._roots)):
                return
            # Of the directory: on overlayfs, files have other device numbers than it.
            holder = os.stat(os.path.dirname(real)) if stat.S_ISREG(info.st_mode) else info
        except OSError:
            return  # it leads nowhere, or in circles
        if holder.st_dev != device:
            self.foreign[path] = holder.st_dev
        elif stat.S_ISDIR(info.st_mode):
            self._roots.append(os.path.join(real, ""))
            yield from self._tree(path, info)
        elif stat.S_ISREG(info.st_mode) and self._is_new(info):
            yield path

    def _is_new(self, info: os.stat_result) -> bool:
        key = (info.st_dev, info.st_ino)
        new = key not in self._seen
        self._seen.add(key)
        return new

    def _failed(self, path: str, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # it was there a moment ago: no longer
            self.problems.append(Problem(path, why(error)))


def why(error: OSError | ValueError) -> str:
    """What an error on a path means, as a clause for the reader."""
    if isinstance(error, FileNotFoundError):
        return "no such file or directory"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "the name holds a NUL byte"
