"""One file as a contract sees it: what it offers to others and what it asks of them.

Linked files offer and ask through .dynsym. Object files, archives and static programs have none
(or an empty one): there the global symbols of .symtab count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from symprobe.binary import Binary
from symprobe.contract.names import Wanted
from symprobe.debuginfo import DEFAULT_DEBUG_ROOTS
from symprobe.elf import archive
from symprobe.elf.rows import symbols_of
from symprobe.elf.source import FileSource
from symprobe.elf.symbols import SymbolTable
from symprobe.errors import NotElfError
from symprobe.hardening import Hardening, hardening
from symprobe.linkage import Linkage, Verdict, file_verdict
from symprobe.loader import DependencyGraph, Session, dependency_graph
from symprobe.model import Bind, FilePath, Kind, Symbol, Visibility

PROGRAMS = (Linkage.STATIC, Linkage.STATIC_PIE, Linkage.DYNAMIC, Linkage.DYNAMIC_PIE)
STATIC = (Linkage.STATIC, Linkage.STATIC_PIE)
UNLINKED = (Linkage.OBJECT, Linkage.KERNEL_MODULE, Linkage.ARCHIVE)
_OPEN = (Visibility.DEFAULT, Visibility.PROTECTED)
_NO_NAMES = (Kind.FILE, Kind.SECTION)


@dataclass(frozen=True)
class Surroundings:
    """What a check depends on besides the file. library_path, preload: as LD_LIBRARY_PATH and
    LD_PRELOAD.  root: the directory that is `/` for the loader.  debug_roots: where separate
    debug files are."""

    library_path: str | None = None
    preload: str | None = None
    root: str = ""
    debug_roots: tuple[str, ...] = DEFAULT_DEBUG_ROOTS


@lru_cache(maxsize=4)
def _session(root: str) -> Session:
    """What the loader's rules have read, kept for all files of one process."""
    return Session(root)


class Subject:
    """One file. Errors: FileError, NotElfError (scripts too), MalformedError."""

    def __init__(self, file: FilePath, surroundings: Surroundings) -> None:
        self.file = file
        self._surroundings = surroundings
        self._source = FileSource(file)
        self.verdict: Verdict = file_verdict(self._source, None)
        if self.verdict.linkage is Linkage.SCRIPT:
            raise NotElfError("a script, not an ELF file", file=file.shown)

    @property
    def debug_roots(self) -> tuple[str, ...]:
        """Where separate debug files are looked for."""
        return self._surroundings.debug_roots

    @property
    def linkage(self) -> Linkage:
        return self.verdict.linkage

    @cached_property
    def binary(self) -> Binary:
        """The file itself; not for archives."""
        return Binary(self._source, debug_roots=self._surroundings.debug_roots)

    def binaries(self) -> Iterator[Binary]:
        """The file, or the members of an archive that are ELF."""
        if self.linkage is not Linkage.ARCHIVE:
            yield self.binary
            return
        for member in archive.members(self._source):
            if member.read_available(0, 4) == b"\x7fELF":
                yield Binary(member, debug_roots=())

    @cached_property
    def no_names(self) -> str:
        """Why names can't be told; empty when they can."""
        if self.linkage in STATIC and self._table(self.binary) is None:
            return "it is static and stripped, its names are gone"
        if self.linkage is Linkage.CORE:
            return "a core file has no symbols"
        return ""

    def exported(self, wanted: Wanted | None) -> list[Symbol]:
        """The symbols that other files can bind to (static programs: the global ones). None: all
        of them, not demangled."""
        return [s for s in self._rows(wanted) if is_exported(s) and not self._is_version(s)]

    def imported(self, wanted: Wanted | None) -> list[Symbol]:
        """The symbols that other files have to define."""
        rows = [s for s in self._rows(wanted) if not s.defined and s.name]
        if self.linkage is Linkage.ARCHIVE and rows:
            own = {s.name for s in self._rows(None) if is_exported(s)}
            rows = [s for s in rows if s.name not in own]
        return rows

    def local(self, wanted: Wanted) -> list[Symbol]:
        """Definitions that other files can't bind to."""
        tables = [t for b in self.binaries() for t in (b.dynsym, b.symtab) if t is not None]
        return [
            s
            for table in tables
            for s in wanted.symbols(table)
            if s.defined and s.kind not in _NO_NAMES and not is_exported(s)
        ]

    def _rows(self, wanted: Wanted | None) -> list[Symbol]:
        rows: list[Symbol] = []
        for binary in self.binaries():
            table = self._table(binary)
            if table is not None:
                rows += symbols_of([(table, None)]) if wanted is None else wanted.symbols(table)
        return rows

    def _table(self, binary: Binary) -> SymbolTable | None:
        if self.linkage in (*STATIC, *UNLINKED):
            return binary.symtab or next(iter(binary.debug_tables), None)
        return binary.dynsym

    def _is_version(self, symbol: Symbol) -> bool:
        """Whether a symbol stands for a version node: it can't be bound to."""
        return (
            symbol.section == "ABS"
            and self.linkage is not Linkage.ARCHIVE
            and any(symbol.name == d.name for d in self.binary.versions.definitions)
        )

    @cached_property
    def hardening(self) -> Hardening | None:
        """None where it means nothing: of object files."""
        if self.linkage in UNLINKED or self.linkage is Linkage.CORE:
            return None
        return hardening(self.binary.image, program=self.linkage in PROGRAMS, frugal=True)

    @cached_property
    def graph(self) -> DependencyGraph:
        """What the loader would load for it."""
        around = self._surroundings
        return dependency_graph(
            self.file,
            library_path=around.library_path,
            preload=around.preload,
            session=_session(around.root),
        )


def is_exported(symbol: Symbol) -> bool:
    """Whether other files can bind to a symbol."""
    return (
        symbol.defined
        and symbol.bind in (Bind.GLOBAL, Bind.WEAK, Bind.UNIQUE)
        and symbol.visibility in _OPEN
        and symbol.kind not in _NO_NAMES
        and bool(symbol.name)
    )
