"""Every symbol of a file, ours against readelf's. `make verify` takes every file there is."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from symprobe.binary import Binary, open_binaries
from symprobe.elf.constants import SHT_DYNSYM, SHT_SYMTAB
from symprobe.errors import SymprobeError
from symprobe.model import Bind, FilePath, Kind, Symbol
from tests.support.readelf import Row, Table, run, symbol_tables, visible

Item = tuple[str, str, Row]
"""(member of an archive, table, row)."""
KINDS = {kind.value: number for number, kind in enumerate(Kind)} | {Kind.IFUNC.value: 10}
BINDS = {bind.value: number for number, bind in enumerate(Bind)} | {Bind.UNIQUE.value: 10}


def row(symbol: Symbol) -> Row:
    """Our symbol as readelf would have it."""
    return Row(
        symbol.value,
        symbol.size,
        KINDS[symbol.kind] if symbol.kind in KINDS else int(symbol.kind),
        BINDS[symbol.bind] if symbol.bind in BINDS else int(symbol.bind),
        str(symbol.visibility),
        symbol.section_index,
        visible(symbol.versioned_name),
    )


def own_tables(binary: Binary, path: str) -> Iterator[Table]:
    """Our tables of a file, or of a member of an archive."""
    shown = binary.path.shown
    member = shown[len(path) + 1 : -1] if shown != path else ""
    rows = {
        name: {row(symbol) for symbol in binary.symbols(table=name, demangle=False)}
        for name in ("dynsym", "symtab")
    }
    yield from (Table(member, name, list(found)) for name, found in rows.items())
    yield from _merging_faults(binary, set().union(*rows.values()))


def _merging_faults(binary: Binary, single: set[Row]) -> Iterator[Table]:
    """What merging both tables into one listing invented or lost, as tables that readelf lacks."""
    merged = {row(symbol) for symbol in binary.symbols(demangle=False)}
    invented = {_merged(item) for item in merged} - {_merged(item) for item in single}
    lost = {_merged(item) for item in single} - {_merged(item) for item in merged}
    if invented:
        yield Table(binary.path.shown, "merged: invented", sorted(invented))
    if lost:
        yield Table(binary.path.shown, "merged: lost", sorted(lost))


def _merged(item: Row) -> Row:
    """A row without what may differ between entries that are one: the visibility, and @ or @@
    (old linkers write @@ in .symtab for a required version too)."""
    return item._replace(visibility="", name=item.name.replace("@@", "@"))


class Sides(NamedTuple):
    """What both say of a file, as (member, table, row).  refused: why we read no further.
    warnings: ours, on what we did read."""

    ours: set[Item]
    theirs: set[Item]
    refused: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """What only one of us says, one line each."""
        return [
            *([f"ours: {self.refused}"] if self.refused else []),
            *(f"ours only: {item}" for item in sorted(self.ours - self.theirs)),
            *(f"readelf only: {item}" for item in sorted(self.theirs - self.ours)),
        ]


def sides(path: str) -> Sides:
    """Ours and readelf's symbols of a file. A file that we refuse, and that readelf finds no
    symbol in or refuses to read on in, is no difference."""
    theirs = _items(symbol_tables(path)) or _items(symbol_tables(path, by_headers=False))
    ours: set[Item] = set()
    names: dict[str, str] = {}
    warnings: list[str] = []
    refused = ""
    try:
        for binary in open_binaries(FilePath.plain(path), debug_roots=()):
            ours |= _items(own_tables(binary, path))
            names |= _table_names(binary)
            warnings += binary.warnings
    except SymprobeError as error:
        refused = str(error) if theirs and not _refused_by_readelf(path) else ""
    except Exception as error:  # any fault of ours is a finding, and the other files go on
        refused = f"{type(error).__name__}: {error}"
    theirs = {(member, names.get(table, table), item) for member, table, item in theirs}
    return Sides(ours, theirs, refused, tuple(warnings))


def _table_names(binary: Binary) -> dict[str, str]:
    """The tables' section names as readelf shows them -> dynsym or symtab, which the section's
    type says, whatever its name."""
    kinds = {SHT_SYMTAB: "symtab", SHT_DYNSYM: "dynsym"}
    sections = reversed(binary.image.sections)
    return {visible(s.name).lstrip("."): kinds[s.type] for s in sections if s.type in kinds}


def _refused_by_readelf(path: str) -> bool:
    return "Error:" in run("readelf", "-W", "--syms", path, errors=True)


def differences(path: str) -> list[str]:
    """What only one of us and readelf says of a file, one line each."""
    return [f"{path}: {line}" for line in sides(path).lines]


def _items(tables: Iterable[Table]) -> set[Item]:
    return {(table.member, table.name, item) for table in tables for item in table.rows}


def elf_files(root: str) -> Iterator[str]:
    """Every regular file below a directory that is ELF or an archive, each inode once."""
    seen: set[tuple[int, int]] = set()
    for directory, subdirectories, names in os.walk(root):
        subdirectories.sort()
        for path in (os.path.join(directory, name) for name in sorted(names)):
            info = os.lstat(path)
            if not stat.S_ISREG(info.st_mode) or (info.st_dev, info.st_ino) in seen:
                continue
            seen.add((info.st_dev, info.st_ino))
            with open(path, "rb") as file:
                if file.read(8).startswith((b"\x7fELF", b"!<arch>\n", b"!<thin>\n")):
                    yield path
