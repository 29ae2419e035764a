"""What nm says: names as it demangles them, to judge ours by."""

from __future__ import annotations

import re

from symprobe.binary import Binary
from symprobe.demangle import demangle
from symprobe.model import Symbol
from tests.support.readelf import run

_PARENTHESES = str.maketrans("", "", "()")
_ROW = re.compile(r"([0-9a-f]+| +) (\S) (.+)", re.DOTALL)


def demangled_names(path: str, table: str) -> set[str]:
    """All names of a table (dynsym or symtab) with their versions, by `nm -C`."""
    options = ("-D",) if table == "dynsym" else ("-a",)
    said = run("nm", "-C", "-p", *options, path)
    return {row[3] for line in said.split("\n") if (row := _ROW.fullmatch(line))}


def own_names(path: str, table: str) -> set[str]:
    """Ours, spelled so: the demangled name, then the version."""
    symbols = Binary(path, debug_roots=()).symbols(table=table)
    # nm passes over symbols without a name, and with -D over those of sections.
    listed = (s for s in symbols if s.name and not (table == "dynsym" and s.kind == "section"))
    return {_as_latin_1(_with_version(symbol)) for symbol in listed}


def _with_version(symbol: Symbol) -> str:
    if symbol.version is None:
        return symbol.demangled
    return f"{symbol.demangled}{'@@' if symbol.default_version else '@'}{symbol.version}"


def _as_latin_1(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("latin-1")


def name_differences(path: str) -> list[str]:
    """Names that only one of us and nm has, one line each.

    Passed over: files without section headers, which nm can't read; objects of link-time
    optimization, of which it shows the compiler's symbols instead of the file's.
    """
    lines: list[str] = []
    sections = Binary(path).image.sections
    if not sections or any(s.name.startswith((".gnu.lto_", ".llvmbc")) for s in sections):
        return lines
    for table in ("dynsym", "symtab"):
        ours, theirs = own_names(path, table), demangled_names(path, table)
        lines += [f"{path}: {table}: ours only: {name}" for name in _missing(ours, theirs)]
        lines += [f"{path}: {table}: nm only: {name}" for name in _missing(theirs, ours)]
    return lines


def _missing(names: set[str], others: set[str]) -> list[str]:
    """The names that the others do not have. Versions of libiberty, from which both demangle,
    differ in parentheses around a callee, `decltype ((f)())`, and in the names that they take
    (`St` inside a nested name): no finding about us."""
    only = names - others
    mangled = [name for name in others if only and name.startswith("_Z")]
    known = {name.translate(_PARENTHESES) for name in others} if only else set()
    known |= {_spelled(name) for name in mangled}
    return sorted(
        name
        for name in only
        if name.translate(_PARENTHESES) not in known and _spelled(name) not in known
    )


def _spelled(name: str) -> str:
    return _as_latin_1(demangle(name)).translate(_PARENTHESES)
