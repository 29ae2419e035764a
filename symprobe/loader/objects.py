"""Objects of a process that does not exist: what the loader's link maps would hold.

The loader's algorithms fill these in; `finished` turns one into a Dependency.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from symprobe.loader.library import Library
from symprobe.loader.session import Session
from symprobe.loader.values import Attempt, Dependency, FoundBy
from symprobe.model import FilePath


class Place(NamedTuple):
    """One directory of a search list, "" or ending in a slash. of: the file whose RPATH or
    RUNPATH it is. dropped: a token in it has no value, `directory` is the text as it stood."""

    directory: str
    by: FoundBy
    of: str
    dropped: bool = False


class SearchPaths(NamedTuple):
    """What the searches of one object depend on. rpaths: its own RPATH and those of the objects
    up its chain of loaders, nearest first. uses_rpaths: False when it has a RUNPATH."""

    rpaths: tuple[tuple[Place, ...], ...] = ()
    runpath: tuple[Place, ...] = ()
    uses_rpaths: bool = True
    nodeflib: bool = False


class LinkMap:
    """One object: the program, a library, or the placeholder of one that was not found.

    path: as the loader opens it ("" for a placeholder).  names: every name it is known by, in
    the order in which it got them.  origin: $ORIGIN.  shown: how the reader knows it.  listed,
    done: whether it is in the lookup order, and what it asks for has been loaded.
    """

    def __init__(
        self,
        path: str,
        names: list[str],
        library: Library | None,
        shown: str,
        file: FilePath | None = None,
        *,
        origin: str | None = None,
        tried: tuple[Attempt, ...] = (),
    ) -> None:
        self.path = path
        self.names = names
        self.library = library
        self.shown = shown
        self.file = file
        self.origin = origin
        self.tried = tried
        self.paths = SearchPaths()
        self.found_by: FoundBy | None = None
        self.found_in = ""
        self.needed_by: list[str] = []
        self.listed = False
        self.done = False

    def add_name(self, name: str) -> None:
        if name not in self.names:
            self.names.append(name)

    def asked_by(self, other: LinkMap) -> None:
        if other.shown not in self.needed_by:
            self.needed_by.append(other.shown)


def origin_of(path: str, cwd: str) -> str:
    """$ORIGIN of a library: the directory of its path as found, links not resolved."""
    absolute = path if path.startswith("/") else f"{cwd.rstrip('/')}/{path}"
    return os.path.dirname(absolute) if absolute.rfind("/") else "/"


def finished(item: LinkMap, session: Session) -> Dependency:
    """The link map as a value."""
    library = item.library
    realpath, links = session.trace(item.path) if library is not None else (None, ())
    names = list(item.names)
    if library is not None and library.soname is not None and library.soname not in names:
        names.append(library.soname)
    return Dependency(
        name=names[0],
        names=tuple(names),
        soname=library.soname if library is not None else None,
        file=item.file,
        realpath=realpath,
        links=links,
        found_by=item.found_by,
        found_in=item.found_in,
        needed_by=tuple(item.needed_by),
        tried=item.tried,
        library=library,
    )
