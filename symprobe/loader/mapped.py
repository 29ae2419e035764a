"""What a process has mapped, against what the files on disk would give it now."""

from collections.abc import Sequence
from typing import NamedTuple

from symprobe.loader.values import Dependency, DependencyGraph
from symprobe.model import TextEnum


class MappedFile(NamedTuple):
    """A file that a process has mapped executable. inode: as stat(2) says it.  deleted: its name
    is gone or leads to another file."""

    path: str
    inode: tuple[int, int]
    deleted: bool


class MapState(TextEnum):
    """How a mapped file and the disk compare."""

    SAME = "same"
    REPLACED = "replaced"
    """The path now leads to another file: a restart would load that one."""
    DELETED = "deleted"
    """The path leads nowhere any more."""
    LOADED_LATER = "loaded-later"
    """No dependency: opened with dlopen(), or by another route."""
    NOT_MAPPED = "not-mapped"
    """A dependency now, but not of the running process."""


class Mapped(NamedTuple):
    """One file of the process or one dependency, and what became of it."""

    path: str
    state: MapState
    dependency: Dependency | None


def compare(graph: DependencyGraph, files: Sequence[MappedFile]) -> list[Mapped]:
    """The process's libraries in the order given, then dependencies that it has not mapped."""
    by_inode = {d.library.inode: d for d in graph.libraries if d.library is not None}
    libraries = [f for f in files if f.path not in (graph.file.shown, graph.realpath)]
    matched = {f: by_inode[f.inode] for f in libraries if f.inode in by_inode}
    mapped = {id(d) for d in matched.values()}
    left = [d for d in graph.libraries if d.file is not None and id(d) not in mapped]
    found = [
        Mapped(f.path, MapState.SAME, matched[f]) if f in matched else _other(f, left)
        for f in libraries
    ]
    return found + [Mapped(d.path or "", MapState.NOT_MAPPED, d) for d in left]


def _other(file: MappedFile, left: list[Dependency]) -> Mapped:
    """A file that is none of the dependencies: the former one of its path or name, if one of
    those is left over (and then no more)."""
    name = file.path.rpartition("/")[2]
    for dependency in left:
        same_path = file.path in (dependency.realpath, dependency.path)
        # libssl.so.3 is asked for; libssl.so.3.1 was mapped, libssl.so.3.2 is there now.
        if same_path or name.startswith(dependency.name):
            left[:] = [d for d in left if d is not dependency]
            return Mapped(file.path, MapState.REPLACED, dependency)
    state = MapState.DELETED if file.deleted else MapState.LOADED_LATER
    return Mapped(file.path, state, None)
