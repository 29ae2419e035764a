"""The loader's answer as values: dependencies with how each was found, errors, the whole graph."""

from typing import NamedTuple

from symprobe.linkage import Verdict
from symprobe.loader.library import Library
from symprobe.model import FilePath, TextEnum


class Flavor(TextEnum):
    """Whose rules are followed."""

    GLIBC = "glibc"
    MUSL = "musl"


class FoundBy(TextEnum):
    """Where in the loader's search a library was found, or a place was tried."""

    INTERPRETER = "interpreter"
    """The loader itself, which the kernel has mapped."""
    PRELOAD = "preload"
    """LD_PRELOAD."""
    PRELOAD_FILE = "ld.so.preload"
    """/etc/ld.so.preload."""
    PATH = "path"
    """The name holds a slash: opened as it stands."""
    RPATH = "rpath"
    LIBRARY_PATH = "library-path"
    """LD_LIBRARY_PATH."""
    RUNPATH = "runpath"
    CACHE = "ld.so.cache"
    SYSTEM = "system-directory"
    """The directories built into glibc's loader."""
    MUSL_PATH = "musl-path"
    """/etc/ld-musl-ARCH.path, or musl's built-in directories."""


class Outcome(TextEnum):
    """What came of one place that was tried."""

    FOUND = "found"
    MISSING = "no-such-file"
    NO_DIRECTORY = "no-such-directory"
    UNREADABLE = "unreadable"
    OTHER_CLASS = "other-class"
    OTHER_MACHINE = "other-machine"
    NOT_IN_CACHE = "not-in-cache"
    NODEFLIB = "nodeflib"
    """Dropped because the library that asks has DF_1_NODEFLIB."""
    TOKEN = "unknown-token"
    """A dynamic string token without a value ($PLATFORM, $ORIGIN in secure mode)."""
    NOT_SETUID = "not-setuid"
    """Secure mode: a preloaded library must be a setuid file."""
    FATAL = "fatal"
    """The loader gives up here, whatever the other places hold."""


class Attempt(NamedTuple):
    """One place tried for a name. of: the file whose RPATH or RUNPATH it is, else empty."""

    path: str
    by: FoundBy
    of: str
    outcome: Outcome
    detail: str = ""


class Dependency(NamedTuple):
    """One library, in the loader's order.

    name: what it was first asked for as.  names: every name it answers to.  file: what is opened
    and what is shown; None when it was not found.  realpath: without symbolic links.  links: what
    readlink says, step by step.  found_in: the file whose RPATH or RUNPATH it was, else empty.
    needed_by: the files that ask for it, in order (shown paths; empty for a preloaded one).
    tried: every place, the good one last.
    """

    name: str
    names: tuple[str, ...]
    soname: str | None
    file: FilePath | None
    realpath: str | None
    links: tuple[str, ...]
    found_by: FoundBy | None
    found_in: str
    needed_by: tuple[str, ...]
    tried: tuple[Attempt, ...]
    library: Library | None

    @property
    def path(self) -> str | None:
        """The path that the loader opens, as the user should read it; None: not found."""
        return None if self.file is None else self.file.shown


class VersionError(NamedTuple):
    """A version that `required_by` needs and `provider` does not define.

    reason: empty, or what else is wrong (the loader's own words).
    """

    provider: str
    version: str
    required_by: str
    reason: str = ""

    def __str__(self) -> str:
        what = self.reason or f"version '{self.version}' not found"
        return f"{self.provider}: {what} (required by {self.required_by})"


class Fatal(NamedTuple):
    """Why the loader would end the program at once, beside missing libraries and versions."""

    path: str
    reason: str
    needed_by: str = ""

    def __str__(self) -> str:
        by = f" (needed by {self.needed_by})" if self.needed_by else ""
        return f"{self.path}: {self.reason}{by}"


class ScopeObject(NamedTuple):
    """One object of the lookup scope: the program itself has no dependency."""

    library: Library
    dependency: Dependency | None


class DependencyGraph(NamedTuple):
    """What the loader would do with one file.

    file: the program or library.  verdict: what kind of file it is.  flavor, interpreter,
    version: whose rules are followed; the loader's file; its version (None: unknown).
    libraries: in load order, with those that were not found in their places.  fatal: where the
    loader gives up; what it would have loaded afterwards is not known then.  scope: the objects
    in the order in which symbols are looked up, the program included.  warnings: what the loader
    would only complain of (a library that can't be preloaded).
    """

    file: FilePath
    realpath: str
    verdict: Verdict
    flavor: Flavor | None = None
    interpreter: FilePath | None = None
    version: tuple[int, int] | None = None
    secure: bool = False
    libraries: tuple[Dependency, ...] = ()
    version_errors: tuple[VersionError, ...] = ()
    fatal: Fatal | None = None
    scope: tuple[ScopeObject, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Names that were not found, each once."""
        return tuple(dict.fromkeys(d.name for d in self.libraries if d.file is None))

    @property
    def complete(self) -> bool:
        """Whether the loader would start the program, symbols apart."""
        return not (self.missing or self.version_errors or self.fatal)
