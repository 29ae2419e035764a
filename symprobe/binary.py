"""Binary: one ELF file and all that is known of it, read when first asked for and kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Set
from functools import cached_property

from symprobe.debuginfo import DEFAULT_DEBUG_ROOTS, DebugFile, debug_files
from symprobe.demangle import demangle_many
from symprobe.elf import notes
from symprobe.elf.constants import ARCHIVE_MAGICS, EM_ARM, EM_MIPS
from symprobe.elf.dynamic import Dynamic, read_dynamic
from symprobe.elf.image import Image
from symprobe.elf.rows import symbols_of
from symprobe.elf.source import FileSource, Source
from symprobe.elf.symbols import SymbolTable, read_dynsym, read_symtab
from symprobe.elf.versions import Versions, read_versions
from symprobe.grep import Grep
from symprobe.model import FileOffset, FilePath, Kind, Symbol


class Binary:
    """One ELF file.

    path: a path, a FilePath (opened under one name, shown under another) or an open Source (a
    member of an archive).  debug_roots: where separate debug files are looked for; () for none.
    Errors: FileError, NotElfError, MalformedError.

    >>> any(s.name == "read_builtin" for s in Binary("/bin/bash").symbols("read_"))
    True
    """

    def __init__(
        self,
        path: str | FilePath | Source,
        *,
        debug_roots: tuple[str, ...] = DEFAULT_DEBUG_ROOTS,
    ) -> None:
        if isinstance(path, str):
            path = FilePath.plain(path)
        source = path if isinstance(path, Source) else FileSource(path)
        self.image = Image(source)
        self._debug_roots = debug_roots

    @property
    def path(self) -> FilePath:
        return self.image.source.path

    @property
    def warnings(self) -> list[str]:
        """What is wrong with the file and could be survived, one clause each."""
        return self.image.warnings

    @cached_property
    def dynamic(self) -> Dynamic | None:
        return read_dynamic(self.image)

    @cached_property
    def build_id(self) -> str | None:
        return notes.build_id(self.image)

    @cached_property
    def dynsym(self) -> SymbolTable | None:
        """The dynamic symbols, with their versions."""
        table = read_dynsym(self.image, self.dynamic)
        if table is not None:
            table.versions = read_versions(self.image, self.dynamic, table.count)
        return table

    @property
    def versions(self) -> Versions:
        """Versions defined and required; empty for a file without dynamic symbols."""
        if self.dynsym is None or self.dynsym.versions is None:
            return read_versions(self.image, self.dynamic, 0)
        return self.dynsym.versions

    @cached_property
    def symtab(self) -> SymbolTable | None:
        """The static symbols of the file itself, or None when it is stripped."""
        return read_symtab(self.image)

    @cached_property
    def debug_files(self) -> list[DebugFile]:
        """Files with more symbols; looked for only when this one is stripped of its own."""
        if self.symtab is not None or not self._debug_roots:
            return []
        return debug_files(self.image, self._debug_roots)

    @cached_property
    def debug_tables(self) -> list[SymbolTable]:
        """The symbol tables of the debug files, the richer one first."""
        found = ((file, read_symtab(file.image, file.found_by)) for file in self.debug_files)
        return [table for _, table in found if table is not None]

    @cached_property
    def usdt_probes(self) -> list[notes.UsdtProbe]:
        return notes.usdt_probes(self.image)

    def symbols(
        self,
        grep: str | Grep | None = None,
        *,
        table: str = "all",
        demangle: bool = True,
        kinds: Collection[str] | None = None,
    ) -> list[Symbol]:
        """One row a symbol, all tables merged; in the order of the tables.

        Rows that say the same in two tables are one row, `tables` names both. table:
        dynsym or symtab (this file's own, or of its debug files) alone, or all.  kinds: only
        symbols of these.
        """
        wanted = Grep(grep) if isinstance(grep, str) else grep
        rows = _matching(self._own_tables(table), wanted, demangle, kinds)
        if table in ("symtab", "all") and self.debug_tables:
            self._add_debug(rows, wanted, demangle, kinds)
        return rows

    def plain_tables(self, table: str = "all") -> list[SymbolTable] | None:
        """The tables whose rows alone `symbols` gives; None when debug files have more of them."""
        own = self._own_tables(table)
        return None if table in ("symtab", "all") and self.debug_tables else own

    def _own_tables(self, table: str) -> list[SymbolTable]:
        tables = (("dynsym", self.dynsym), ("symtab", self.symtab))
        return [found for name, found in tables if found is not None and table in (name, "all")]

    def _add_debug(
        self,
        rows: list[Symbol],
        wanted: Grep | None,
        demangle: bool,
        kinds: Collection[str] | None,
    ) -> None:
        """Names from the debug files: addresses mean the same there, offsets and sections don't."""
        places = {(s.name, s.version, s.vaddr, s.kind): i for i, s in enumerate(rows)}
        for table in self.debug_tables:
            for symbol in _matching([table], wanted, demangle, kinds):
                if not symbol.defined or symbol.kind in (Kind.SECTION, Kind.FILE):
                    continue
                place = (symbol.name, symbol.version, symbol.vaddr, symbol.kind)
                known = places.get(place)
                if known is None:
                    places[place] = len(rows)
                    rows.append(symbol._replace(offset=self._own_offset(symbol)))
                else:
                    rows[known] = rows[known]._replace(tables=rows[known].tables + symbol.tables)

    def _own_offset(self, symbol: Symbol) -> FileOffset | None:
        """Where this file, not the debug file, holds the byte at a debug symbol's address."""
        if symbol.kind == Kind.TLS or symbol.section in ("ABS", "COM"):
            return None
        return self.image.offset_of(symbol.vaddr)

    def symbols_at(self, addresses: Set[int]) -> list[Symbol]:
        """All symbols defined at these link-time addresses, of all tables, merged."""
        odd = self.image.header.machine in (EM_ARM, EM_MIPS)
        values = {a | bit for a in addresses for bit in (0, 1)} if odd else addresses
        tables = [t for t in (self.dynsym, self.symtab) if t is not None]
        rows = symbols_of([(t, t.numbers_at(values)) for t in tables], demangle_many)
        for table in self.debug_tables:
            rows += symbols_of([(table, table.numbers_at(values))], demangle_many)
        return [s for s in rows if s.defined]

    @cached_property
    def is_go(self) -> bool:
        """Whether Go's linker made the file: a return probe would break its stack copying."""
        names = (".go.buildinfo", ".gopclntab", ".note.go.buildid", ".data.rel.ro.gopclntab")
        return any(self.image.section(name) is not None for name in names)

    def symbol_count(self) -> dict[str, int]:
        """Entries of each table, the null symbol left out."""
        tables = [self.dynsym, self.symtab, *self.debug_tables]
        return {t.label: max(0, t.count - 1) for t in tables if t is not None}


def _matching(
    tables: list[SymbolTable],
    grep: Grep | None,
    demangle: bool,
    kinds: Collection[str] | None,
) -> list[Symbol]:
    if grep is None:
        demangler = demangle_many if demangle else None
        return symbols_of([(table, None) for table in tables], demangler, kinds=kinds)
    if not grep.with_versions:
        # Names are matched in both spellings even when they are shown raw.
        numbered = [(table, grep.numbers(table)) for table in tables]
        return symbols_of(numbered, demangle_many, grep.keep, kinds=kinds)
    rows = symbols_of([(table, None) for table in tables], demangle_many, kinds=kinds)
    return [s for s in rows if grep.keep(s.name, s.demangled) or grep.keep_text(s.versioned_name)]


def open_binaries(
    path: FilePath, *, debug_roots: tuple[str, ...] = DEFAULT_DEBUG_ROOTS
) -> Iterator[Binary]:
    """The file as a Binary; of an archive, each member that is ELF.

    Errors: as Binary; a member that is not ELF (a text file, LLVM bitcode) is passed over.
    """
    source = FileSource(path)
    if source.read_available(0, 8) not in ARCHIVE_MAGICS:
        yield Binary(source, debug_roots=debug_roots)
        return
    from symprobe.elf import archive

    for member in archive.members(source):
        if member.read_available(0, 4) == b"\x7fELF":
            yield Binary(member, debug_roots=debug_roots)
