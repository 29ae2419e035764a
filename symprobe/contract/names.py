"""Which symbols of a table a SYMBOL means, whatever their kind; at C speed where it can be.

The grammar is that of resolve/spec.py; an address or a distance means nothing here.
"""

from __future__ import annotations

import fnmatch
import re
from array import array
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate, compress
from typing import cast

from symprobe.demangle import demangle_many
from symprobe.elf.rows import symbols_of
from symprobe.elf.symbols import SymbolTable
from symprobe.errors import PatternError
from symprobe.grep import Grep
from symprobe.model import Symbol
from symprobe.resolve.names import normal, spellings
from symprobe.resolve.spec import ALL_VERSIONS, Spec, SpecKind, parse

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RAW = re.compile(r"[\w.$@-]+")
_CXX_MARKS = ("(", "<", "operator", "[abi:")
"""What has `*`, `?` or `[` in it and may be a C++ name all the same, holds one of these."""

Keep = Callable[[str, str], bool]


class Wanted:
    """One SYMBOL, ready to be looked for in many tables.

    needles: bytes of which a string table must hold one for any row to match; () when there are
    none.  prefixes: one of which each name that matches begins with; None when there are none.
    version: the only one that matches, None for all.  Errors: PatternError.
    """

    def __init__(self, text: str) -> None:
        self.spec = spec = _parsed(text)
        self.text = text
        self.needles: tuple[bytes, ...] = ()
        self.prefixes: tuple[bytes, ...] | None = None
        self.version = None if spec.version == ALL_VERSIONS else spec.version
        self._grep: Grep | None = None
        self._keep: Keep | None = None
        if spec.kind is SpecKind.NAME:
            self._name(spec)
        elif spec.kind is SpecKind.REGEX:
            self._grep = Grep(spec.name)
            self._keep = self._grep.keep
        elif spec.name != "*":
            self._glob(spec)

    def _name(self, spec: Spec) -> None:
        wanted = normal(spec.name)
        raw = spec.name.encode("utf-8", "surrogateescape")
        whole = (raw + b"\0", raw + b"@")  # linkers write versions into .symtab's names
        self._keep = _same(spec.name, wanted)
        if _PLAIN.fullmatch(spec.name):
            # What demangles to `name(...)` and stands in no namespace begins with this.
            mangled = tuple(b"%s%d%s" % (p, len(raw), raw) for p in (b"_Z", b"_ZL"))
            self.needles, self.prefixes = (*whole, *mangled), (raw, *mangled)
        elif _RAW.fullmatch(spec.name):
            self.needles, self.prefixes = whole, (raw,)
        else:
            tokens = _PLAIN.findall(re.sub(r"::h[0-9a-f]{16}$", "", spec.name))
            self._grep = Grep(max(tokens, key=len), fixed=True) if tokens else None

    def _glob(self, spec: Spec) -> None:
        expression = fnmatch.translate(spec.name).removesuffix(r"\Z").removesuffix(r"\z")
        try:
            self._grep = Grep(expression)
            fits = re.compile(expression).fullmatch
        except (PatternError, re.error) as error:
            what = error.what if isinstance(error, PatternError) else str(error)
            raise PatternError(f"the glob {spec.name!r} is wrong: {what}") from None
        exact = _same(spec.name, normal(spec.name))
        literal = any(mark in spec.name for mark in _CXX_MARKS)

        def keep(name: str, demangled: str) -> bool:
            if any(map(fits, spellings(name, demangled))):
                return True
            return literal and exact(name, demangled)

        if literal:  # then the expression's own words need not be in the name
            self._grep = None
        self._keep = keep

    def may_be_in(self, strings: bytes) -> bool:
        """Whether a string table, or anything that holds one, can hold a name that matches."""
        return not self.needles or any(needle in strings for needle in self.needles)

    def symbols(self, table: SymbolTable) -> list[Symbol]:
        """The rows that match, defined or not."""
        if not self.may_be_in(table.strings):
            return []
        numbers: list[int] | None = None
        if self.needles:
            numbers = _numbers(table, self.needles)
        elif self._grep is not None:
            numbers = self._grep.numbers(table)
        if numbers is not None and not numbers:
            return []
        rows = symbols_of([(table, numbers)], demangle_many, self._keep)
        return [row for row in rows if self.version in (None, row.version)]

    def among(self, names: Sequence[bytes]) -> list[bytes]:
        """Those of many names that match, whatever their versions."""
        if self._keep is None:
            return list(names)
        if self._grep is not None:
            numbers = self._grep.numbers(cast(SymbolTable, _Names(names)))
            if numbers is not None:
                names = [names[i] for i in numbers]
        texts = [name.decode("utf-8", "surrogateescape") for name in names]
        kept = map(self._keep, texts, demangle_many(texts))
        return list(compress(names, kept))


class _Names:
    """A list of names with what Grep looks at of a symbol table."""

    def __init__(self, names: Sequence[bytes]) -> None:
        self.strings = b"\0".join(names) + b"\0"
        self.name_offsets = array("Q", [0])
        self.name_offsets.extend(accumulate(len(name) + 1 for name in names))
        self.name_offsets.pop()


@lru_cache(maxsize=512)
def wanted(text: str) -> Wanted:
    """A SYMBOL, made once in each process. Errors: PatternError."""
    return Wanted(text)


def _parsed(text: str) -> Spec:
    spec = parse(text)
    if spec.kind is SpecKind.ADDRESS or spec.delta:
        raise PatternError(
            f"{text!r} is a place in one file, not a name",
            next_step="give a name, a glob or /regex/",
        )
    return spec


def _same(name: str, wanted_name: str) -> Keep:
    def keep(raw: str, demangled: str) -> bool:
        return raw == name or (raw != demangled and wanted_name in spellings(raw, demangled))

    return keep


def _numbers(table: SymbolTable, needles: tuple[bytes, ...]) -> list[int]:
    """Rows whose name begins with one of the needles."""
    strings = table.strings
    places: set[int] = set()
    for needle in needles:
        place = strings.find(needle)
        while place >= 0:  # names may share their ends: any place can be a name's start
            places.add(place)
            place = strings.find(needle, place + 1)
    return [i for i, offset in enumerate(table.name_offsets) if offset in places]
