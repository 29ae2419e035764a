"""Live processes through /proc: what they execute, what they have mapped.

Source: proc(5), Documentation/filesystems/proc.rst of Linux. Files are opened through
/proc/N/root (a container's own tree) when that still is the inode that is mapped, else through
/proc/N/exe and /proc/N/map_files, which reach deleted and replaced files.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from symprobe.errors import TargetError
from symprobe.model import FileOffset, FilePath, RuntimeAddr

_LINE = rb"([0-9a-f]+)-([0-9a-f]+) (\S{4}) ([0-9a-f]+) ([0-9a-f]+):([0-9a-f]+) (\d+) *(.*)"
_DELETED = " (deleted)"


class Mapping(NamedTuple):
    """One line of /proc/N/maps that is backed by a file.

    inode: (st_dev, st_ino).  path: as the process sees it, without the kernel's ` (deleted)`.
    """

    start: RuntimeAddr
    end: RuntimeAddr
    permissions: str
    offset: FileOffset
    inode: tuple[int, int]
    path: str
    deleted: bool


def mappings(pid: int) -> list[Mapping]:
    """The file mappings of a process, by address. Errors: TargetError (no process, permission)."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise process_error(pid, error) from None
    result = []
    for line in lines:
        match = re.fullmatch(_LINE, line)
        if match is None or not match[8].startswith(b"/"):
            continue
        start, end, offset, major, minor = (int(match[i], 16) for i in (1, 2, 4, 5, 6))
        # The kernel writes a newline in a name as \012.
        path = match[8].replace(b"\\012", b"\n").decode("utf-8", "surrogateescape")
        deleted = path.endswith(_DELETED)
        result.append(
            Mapping(
                RuntimeAddr(start),
                RuntimeAddr(end),
                match[3].decode(),
                FileOffset(offset),
                (os.makedev(major, minor), int(match[7])),
                path.removesuffix(_DELETED) if deleted else path,
                deleted,
            )
        )
    return result


def executable(pid: int) -> FilePath:
    """The file that a process executes. Errors: TargetError."""
    link = f"/proc/{pid}/exe"
    try:
        shown = os.readlink(link)
    except OSError as error:
        raise process_error(pid, error) from None
    return _through_root(pid, shown.removesuffix(_DELETED), link)


def mapped_library(pid: int, name: str) -> FilePath:
    """The file of that library name (`libssl`, `libssl.so.3`) that a process has mapped.

    Errors: TargetError when none or several different files answer to the name.
    """
    found: dict[tuple[int, int], Mapping] = {}
    for mapping in mappings(pid):
        if is_library_name(name, os.path.basename(mapping.path)) or mapping.path == name:
            found.setdefault(mapping.inode, mapping)
    if not found:
        raise TargetError(
            f"process {pid} has no library {name} mapped",
            file=f"pid:{pid}:{name}",
            next_step=f"see what it has with 'symprobe deps pid:{pid}'",
        )
    if len(found) > 1:
        paths = ", ".join(m.path for m in found.values())
        raise TargetError(
            f"several mapped files have that name: {paths}",
            file=f"pid:{pid}:{name}",
            next_step="give the whole file name",
        )
    return mapping_file(pid, next(iter(found.values())))


def mapping_file(pid: int, mapping: Mapping) -> FilePath:
    """How to open the very file of a mapping, deleted or not."""
    link = f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}"
    return _through_root(pid, mapping.path, link)


def is_library_name(name: str, file: str) -> bool:
    """Whether a file name answers to a library's name: libssl -> libssl.so.3, libc-2.17.so."""
    if file == name:
        return True
    if not file.startswith(name) or ".so" not in file:
        return False
    rest = file[len(name) :]
    return rest.startswith(".") or re.match(r"-[0-9.]+\.so", rest) is not None


def _through_root(pid: int, shown: str, link: str) -> FilePath:
    """`link` always is the right inode; the path through /proc/N/root is preferred (debug files
    are found beside it) when it still leads to the same one."""
    inside = f"/proc/{pid}/root{shown}"
    try:
        by_link, by_root = os.stat(link), os.stat(inside)
    except OSError:
        return FilePath(link, shown)
    same = (by_link.st_dev, by_link.st_ino) == (by_root.st_dev, by_root.st_ino)
    return FilePath(inside if same else link, shown)


def environment(pid: int) -> dict[str, str]:
    """What the process was started with; nothing when that is not ours to read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            pairs = file.read().decode("utf-8", "surrogateescape").split("\0")
    except OSError:
        return {}
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def process_error(pid: int, error: OSError) -> TargetError:
    """What an OSError on /proc/N means for the reader."""
    file = f"pid:{pid}"
    if isinstance(error, PermissionError):
        return TargetError("permission denied", file=file, next_step="try as root, with sudo")
    if isinstance(error, (FileNotFoundError, ProcessLookupError)):
        if os.path.exists(f"/proc/{pid}"):
            return TargetError("a kernel thread or zombie has no executable", file=file)
        return TargetError("no such process", file=file, next_step="see 'ps -e'")
    return TargetError(f"can't be read: {error.strerror}", file=file)
