"""Every symbol of every ELF file under some directories, ours against readelf's.

    python -m tests.support.compare_readelf DIRECTORY… [--names] [-j JOBS]

--names: compare the demangled names with nm's instead.
Prints each difference, then a summary; exit code 1 when there is any.
"""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from symprobe.binary import Binary, open_binaries
from symprobe.elf.archive import is_archive
from symprobe.elf.source import FileSource
from symprobe.errors import SymprobeError
from symprobe.model import Bind, FilePath, Kind, Symbol
from tests.support.nm import name_differences
from tests.support.readelf import Row, Table, symbol_tables, visible

MOST_LINES = 20
"""Differences of one file that are printed."""
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


def own_tables(path: str) -> Iterator[Table]:
    """Our tables of a file, or of each member of an archive, the empty ones left out."""
    for binary in open_binaries(FilePath.plain(path), debug_roots=()):
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


def differences(path: str) -> list[str]:
    """What only one of us and readelf says of a file, one line each. A file that we refuse, and
    that readelf finds no symbol in, is none."""
    theirs = _items(symbol_tables(path)) or _items(symbol_tables(path, by_headers=False))
    try:
        ours = _items(own_tables(path))
    except SymprobeError as error:
        return [f"{path}: ours: {error}"] if theirs else []
    except Exception as error:  # any fault of ours is a finding, and the other files go on
        return [f"{path}: ours: {type(error).__name__}: {error}"]
    return [
        *(f"{path}: ours only: {item}" for item in sorted(ours - theirs)),
        *(f"{path}: readelf only: {item}" for item in sorted(theirs - ours)),
    ]


def _items(tables: Iterable[Table]) -> set[tuple[str, str, Row]]:
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


def main() -> int:
    parser = argparse.ArgumentParser(description="compare our symbols with readelf's")
    parser.add_argument("roots", nargs="+", type=Path, metavar="DIRECTORY")
    parser.add_argument("--names", action="store_true", help="demangled names, with nm's")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    compare = name_differences if arguments.names else differences
    paths = [path for root in arguments.roots for path in elf_files(str(root))]
    if arguments.names:
        paths = [path for path in paths if not is_archive(FileSource(FilePath.plain(path)))]
    different = 0
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for lines in pool.map(compare, paths, chunksize=4):
            different += bool(lines)
            for line in lines[:MOST_LINES]:
                print(line)
            if len(lines) > MOST_LINES:
                print(f"  … and {len(lines) - MOST_LINES} more in this file")
    print(f"{len(paths)} files compared, {different} with differences")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
