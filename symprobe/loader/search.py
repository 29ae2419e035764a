"""glibc's search for one library: from a name to a file, place by place.

Source: _dl_map_object, open_path and fillin_rpath in elf/dl-load.c of glibc.
"""

from __future__ import annotations

import errno
import stat
from collections.abc import Iterable

from symprobe.elf.dynamic import DF_1_NODEFLIB
from symprobe.loader.candidate import Opened
from symprobe.loader.constants import LoaderConstants
from symprobe.loader.dst import Tokens
from symprobe.loader.hardware import Hardware
from symprobe.loader.library import Library
from symprobe.loader.machine import Machine
from symprobe.loader.objects import Place, SearchPaths
from symprobe.loader.session import Found, Session
from symprobe.loader.values import Attempt, FoundBy, Outcome


class GlibcSearch:
    """The search of one program: its loader's constants, hardware and environment.

    library_path: the directories of LD_LIBRARY_PATH.  secure: preloaded libraries must be
    setuid files, the cache is not for them.
    """

    def __init__(
        self,
        session: Session,
        machine: Machine,
        constants: LoaderConstants,
        hardware: Hardware,
        library_path: tuple[Place, ...],
        *,
        secure: bool,
    ) -> None:
        self._session = session
        self._machine = machine
        self._constants = constants
        self._hardware = hardware
        self._library_path = library_path
        self._system = tuple(
            Place(directory, FoundBy.SYSTEM, "") for directory in constants.system_directories
        )
        self._secure = secure
        self._skipped = {0, errno.ENOENT, errno.EACCES}
        if constants.version is None or constants.version >= (2, 39):
            self._skipped.add(errno.ENOTDIR)
        self._key = (machine, constants, library_path, secure)

    def find(self, name: str, paths: SearchPaths, *, preload: bool = False) -> Found:
        """What the search for a name without a slash comes to, for an object with those paths."""
        key = (name, paths, preload and self._secure, *self._key)
        found = self._session.found.get(key)
        if found is None:
            found = self._session.found[key] = self._find(name, paths, preload and self._secure)
        return found

    def open_path(self, path: str) -> Found:
        """A name with a slash: no search."""
        opened = self._session.open(path, self._machine, self._constants.header_rules)
        attempt = Attempt(path, FoundBy.PATH, "", opened.outcome, opened.detail)
        ended = opened.outcome in (Outcome.FOUND, Outcome.FATAL)
        return Found(opened if ended else None, path, FoundBy.PATH, "", (attempt,))

    def _find(self, name: str, paths: SearchPaths, setuid: bool) -> Found:
        tried: list[Attempt] = []
        stages: list[tuple[Place, ...]] = []
        if paths.uses_rpaths:
            stages += paths.rpaths
        stages += (self._library_path, paths.runpath)
        for places in stages:
            found = self._open_in(places, name, tried, setuid)
            if found is not None:
                return found
        if not setuid:
            found = self._from_cache(name, paths, tried)
            if found is not None:
                return found
        if not paths.nodeflib:
            found = self._open_in(self._system, name, tried, setuid)
            if found is not None:
                return found
        return Found(None, "", None, "", tuple(tried))

    def _open_in(
        self, places: Iterable[Place], name: str, tried: list[Attempt], setuid: bool
    ) -> Found | None:
        """The first file of that name which is taken, or is fatal, in a list of directories."""
        is_directory = self._session.root.is_directory
        for place in places:
            directory, by, of, dropped = place
            if dropped:
                tried.append(Attempt(directory, by, of, Outcome.TOKEN))
                continue
            if directory.startswith("/") and not is_directory(directory):
                self._session.count(directory)
                tried.append(Attempt(directory, by, of, Outcome.NO_DIRECTORY))
                continue
            error = 0
            for part in (*self._hardware.subdirectories(directory, is_directory), ""):
                path = f"{directory}{part}{name}"
                opened = self._open(path, setuid)
                tried.append(Attempt(path, by, of, opened.outcome, opened.detail))
                if opened.outcome in (Outcome.FOUND, Outcome.FATAL):
                    return Found(opened, path, by, of, tuple(tried))
                error = opened.error
            if error not in self._skipped:
                break  # the file is there, but something is wrong with it: this list ends
        return None

    def _open(self, path: str, setuid: bool) -> Opened:
        opened = self._session.open(path, self._machine, self._constants.header_rules)
        if setuid and opened.library is not None and not opened.library.mode & stat.S_ISUID:
            return Opened(Outcome.NOT_SETUID, error=errno.ENOENT)
        return opened

    def _from_cache(self, name: str, paths: SearchPaths, tried: list[Attempt]) -> Found | None:
        cache_path, by = self._constants.cache_path, FoundBy.CACHE
        cache = self._session.cache(cache_path, self._machine)
        path = self._hardware.choose(cache.entries(name)) if cache is not None else None
        if path is None:
            tried.append(Attempt(cache_path, by, "", Outcome.NOT_IN_CACHE))
            return None
        if paths.nodeflib and path.startswith(self._constants.system_directories):
            tried.append(Attempt(path, by, "", Outcome.NODEFLIB))
            return None
        opened = self._session.open(path, self._machine, self._constants.header_rules)
        tried.append(Attempt(path, by, "", opened.outcome, opened.detail))
        if opened.outcome in (Outcome.FOUND, Outcome.FATAL):
            return Found(opened, path, by, "", tuple(tried))
        return None


def places(
    text: str | None, by: FoundBy, of: str, tokens: Tokens, separators: str = ":"
) -> tuple[Place, ...]:
    """A search list as its directories: an empty element is the current directory, slashes at
    the end are dropped, and so is what comes twice."""
    if not text:
        return ()
    for separator in separators[1:]:
        text = text.replace(separator, separators[0])
    found: dict[str, Place] = {}
    for element in text.split(separators[0]):
        expanded = tokens.expand(element)
        if expanded is None:
            found.setdefault(f"\0{element}", Place(element, by, of, True))
            continue
        if element and not expanded:
            continue
        directory = f"{expanded.rstrip('/')}/" if expanded else ""
        found.setdefault(directory, Place(directory, by, of))
    return tuple(found.values())


def search_paths(
    library: Library, of: str, tokens: Tokens, above: tuple[tuple[Place, ...], ...] = ()
) -> SearchPaths:
    """The paths of an object. above: the RPATHs of the objects up its chain of loaders."""
    runpath = library.runpath
    own: tuple[Place, ...] = ()
    if runpath is None:
        own = places(library.rpath, FoundBy.RPATH, of, tokens)
    return SearchPaths(
        rpaths=(own, *above) if own else above,
        runpath=places(runpath, FoundBy.RUNPATH, of, tokens),
        uses_rpaths=runpath is None,
        nodeflib=bool(library.flags_1 & DF_1_NODEFLIB),
    )
