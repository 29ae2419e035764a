"""What readelf says: its output as values, to judge ours by.

Read from `readelf -W` of GNU binutils under LC_ALL=C, as latin-1 text, so that every byte of a
name is one character.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

KINDS = {"NOTYPE": 0, "OBJECT": 1, "FUNC": 2, "SECTION": 3, "FILE": 4, "COMMON": 5, "TLS": 6}
KINDS |= {"IFUNC": 10, "REGISTER": 13, "THUMB_FUNC": 13, "RELC": 8, "SRELC": 9, "PARISC_MILLI": 13}
KINDS |= {"HP_OPAQUE": 11, "HP_STUB": 12}
BINDS = {"LOCAL": 0, "GLOBAL": 1, "WEAK": 2, "UNIQUE": 10}
INDEXES = {"UND": 0, "ABS": 0xFFF1, "COM": 0xFFF2, "SCOM": 0xFF03, "SUND": 0xFF04}
INDEXES |= {"LARGE_COM": 0xFF02}

_ROW = re.compile(
    r" *(\d+): ([0-9a-f]+) +(0x[0-9a-f]+|\d+) "
    r"(<[^>]+>: \d+|\S+) +(<[^>]+>: \d+|\S+) +(DEFAULT|INTERNAL|HIDDEN|PROTECTED) "
    r"(?: *\[.*?\] +| *<other>: [0-9a-f]+ +)? *"
    r"(bad section index\[ *\d+\]|(?:PRC|OS |RSV)\[0x[0-9a-f]+\]|[A-Z_]+|\d+) (.*)",
    re.DOTALL,
)


class Row(NamedTuple):
    """A symbol: everything but the name as the numbers that the file holds."""

    value: int
    size: int
    kind: int
    bind: int
    visibility: str
    index: int
    name: str
    """With its version, as readelf prints both: `exit@@GLIBC_2.2.5`, control characters as ^X."""


class Table(NamedTuple):
    """One symbol table, the null symbol left out. member: of an archive, else ''."""

    member: str
    name: str
    rows: list[Row]


def run(*arguments: str, errors: bool = False) -> str:
    """A tool's stdout (or what it has to complain of) as latin-1 text; its exit code is its own
    affair."""
    result = subprocess.run(
        arguments,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return (result.stderr if errors else result.stdout).decode("latin-1")


def symbol_tables(path: str, *, by_headers: bool = True) -> Iterator[Table]:
    """The tables of a file (or of each member of an archive), in readelf's order.

    by_headers: by its section headers; else by its dynamic section.
    """
    member, table = "", None
    options = ("--syms", "--dyn-syms") if by_headers else ("-D", "--syms")
    for line in run("readelf", "-W", *options, path).split("\n"):
        if line.startswith("File: "):
            member = line[len("File: ") + len(path) + 1 : -1].rstrip()
        elif line.startswith("Symbol table"):
            if table:
                yield table
            table = Table(member, _table_name(line), [])
        elif table is not None and (row := _ROW.fullmatch(line)) and row[1] != "0":
            table.rows.append(_row(row))
    if table:
        yield table


def _table_name(line: str) -> str:
    """`Symbol table '.dynsym' contains…`, or with -D `Symbol table for image contains…`."""
    return line.split("'")[1].lstrip(".") if "'" in line else "dynsym"


def _row(match: re.Match[str]) -> Row:
    _, value, size, kind, bind, visibility, index, name = match.groups()
    return Row(
        int(value, 16),
        int(size, 0),
        _number(kind, KINDS),
        _number(bind, BINDS),
        visibility.lower(),
        _number(index, INDEXES),
        re.sub(r"(@[^@]+) \(\d+\)$", r"\1", name),  # the version's number, on undefined ones
    )


def _number(text: str, names: dict[str, int]) -> int:
    if text in names:
        return names[text]
    digits = re.search(r"0x[0-9a-f]+|\d+", text)
    if digits is None:
        raise ValueError(f"readelf says {text!r}")
    return int(digits[0], 0)


def visible(name: str) -> str:
    """A name of ours (surrogate escapes) as readelf prints it: bytes, control ones as ^X."""
    data = name.encode("utf-8", "surrogateescape")
    return "".join(f"^{chr((b + 0x40) & 0xFF)}" if b < 32 or b == 127 else chr(b) for b in data)
