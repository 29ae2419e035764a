"""The program that is to be loaded, and what the loaders answer."""

from __future__ import annotations

from typing import NamedTuple

from symprobe.loader.constants import LoaderConstants
from symprobe.loader.library import Library
from symprobe.loader.values import Dependency, Fatal, ScopeObject, VersionError
from symprobe.model import FilePath


class Program(NamedTuple):
    """What is to be loaded, and how.

    shown: how the reader knows it.  origin: $ORIGIN.  interpreter: the loader's file, None when
    it is not there.  library_path, preload: the values of LD_LIBRARY_PATH and LD_PRELOAD.
    cwd: for relative paths.
    """

    shown: str
    library: Library
    origin: str
    interpreter: FilePath | None
    constants: LoaderConstants
    library_path: str | None
    preload: str | None
    secure: bool
    cwd: str


class Loaded(NamedTuple):
    """libraries in load order; scope: the lookup order with the program itself in it."""

    libraries: tuple[Dependency, ...]
    scope: tuple[ScopeObject, ...]
    version_errors: tuple[VersionError, ...] = ()
    fatal: Fatal | None = None
    warnings: tuple[str, ...] = ()
