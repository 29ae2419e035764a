"""What a TARGET on the command line stands for: one file, and how it was found.

`path` | `name` (in the cwd, on PATH, a library of the loader's cache) | `pid:N` | `pid:N:lib`.
"""

import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from symprobe.errors import TargetError
from symprobe.model import FilePath


class Target(NamedTuple):
    """file: what is opened and shown.  links: what readlink says, step by step, on the way from
    the shown path to the file itself.  pid: for pid:N targets."""

    text: str
    file: FilePath
    links: tuple[str, ...]
    pid: int | None = None

    @property
    def realpath(self) -> str:
        """The shown path with all symbolic links resolved (a process's: inside its root)."""
        if self.pid is not None:
            return self.file.shown
        return os.path.realpath(self.file.shown)


def find_target(
    text: str, search_path: str, find_library: Callable[[str], Iterable[str]]
) -> Target:
    """The file that TARGET stands for.

    search_path: the value of PATH.  find_library: paths of libraries that answer to a name,
    the best one first.  Errors: TargetError.
    """
    prefix, _, rest = text.partition(":")
    number, _, library = rest.partition(":")
    if prefix == "pid" and number.isdecimal():
        from symprobe.process import executable, mapped_library

        pid = int(number)
        file = mapped_library(pid, library) if library else executable(pid)
        return Target(text, file, (), pid)
    path = text if "/" in text else _by_name(text, search_path, find_library)
    return Target(text, FilePath.plain(path), link_chain(path))


def _by_name(name: str, search_path: str, find_library: Callable[[str], Iterable[str]]) -> str:
    if not name or "\0" in name:
        raise TargetError("not a file name", file=repr(name))
    if os.path.lexists(name) and not os.path.isdir(name):
        return name
    for directory in search_path.split(":"):
        path = os.path.join(directory or ".", name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    for path in find_library(name):
        return path
    raise TargetError(
        "no such file here, no program on PATH, no library known to the loader",
        file=name,
        next_step="give a path, a name such as 'bash' or 'libc.so.6', or pid:N",
    )


def link_chain(path: str) -> tuple[str, ...]:
    """What each symbolic link says on the way from `path` to the file (its last component only):
    `/lib64/libc.so.6` gives ('libc-2.17.so',). Ends at a loop."""
    chain: list[str] = []
    while len(chain) < 40:  # the kernel's own limit, path_resolution(7)
        try:
            text = os.readlink(path)
        except (OSError, ValueError):
            break
        chain.append(text)
        path = os.path.join(os.path.dirname(path), text)
    return tuple(chain)
