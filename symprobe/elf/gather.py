"""Entries of symbol tables to raw rows: several tables merged to one row a symbol.

Sources: gABI "Symbol Table", "String Table"; LSB "Symbol Versioning".

A listing has 200,000 entries, so they are taken by columns, a chunk at a time that stays in the
processor's cache; what is rare (a version in the name, a reserved section index, a name without
an end) is put right afterwards, entry by entry.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence, Set
from functools import cache
from itertools import compress, islice, repeat
from operator import eq, is_

from symprobe.elf.constants import SHN_LORESERVE, SHN_XINDEX
from symprobe.elf.symbols import SymbolTable
from symprobe.elf.versions import HIDDEN

Key = tuple[str, "str | None", int, int, int, int]
"""What tells rows apart: name, version, value, size, info (type and binding), section index."""
Rest = tuple[int, bool, tuple[str, ...], bool]
"""The rest of a row: st_other, is its version the default, tables, is the index a reserved one."""
Rows = dict[Key, Rest]
"""Rows before they are Symbols, in the order of the tables."""

_CHUNK = 1024
_LONG = 4096  # bytes of a name that is not looked at by itself
_MOST_NAMES = 16 << 20
"""Bytes that the names of one table may have together, besides four times its string table:
names may share their ends, but 20,000 rows must not each take a megabyte of one long name."""
_OUTSIDE = "\0"  # instead of a name that the string table does not hold
_STT_SECTION = 3


def gather(
    tables: Iterable[tuple[SymbolTable, Iterable[int] | None]],
    types: Set[int] | None = None,
    *,
    known: Rows | None = None,
) -> Rows:
    """The rows of tables of one image, merged.

    tables: each with the numbers of the entries that are wanted (None: all).  types: only
    entries of these (the low half of st_info; None: of all).  known: rows of earlier tables:
    the answer leaves them out, and puts its own among them; no row then tells all of its tables,
    only the first.
    """
    rows: Rows = known if known is not None else {}
    before = len(rows)
    for table, numbers in tables:
        for keys, rests in _chunks(table, numbers, types):
            held = list(map(rows.setdefault, keys, rests))
            if known is None and not all(map(is_, held, rests)):
                _label(rows, keys, held, table.label)
    return dict(islice(rows.items(), before, None)) if before else rows


def _label(rows: Rows, keys: Sequence[Key], held: Sequence[Rest], label: str) -> None:
    """Rows that were there already get the label too."""
    both: dict[Rest, Rest] = {}
    for key, rest in zip(keys, held, strict=True):
        if label not in rest[2]:
            found = both.get(rest)
            if found is None:
                found = both[rest] = (rest[0], rest[1], (*rest[2], label), rest[3])
            rows[key] = found


def _chunks(
    table: SymbolTable, numbers: Iterable[int] | None, types: Set[int] | None
) -> Iterator[tuple[list[Key], list[Rest]]]:
    """The entries of one table."""
    names_at, versions = _Names(table, whole=numbers is None), _Versions(table)
    rests = _rests(table.label)
    for columns in table.columns(numbers, _CHUNK):
        if types is not None:
            columns = _select(columns, [info & 15 in types for info in columns[2]])  # noqa: PLW2901
        names = names_at(columns[1])
        if names_at.outside:
            wanted = [name != _OUTSIDE for name in names]
            columns = _select(columns, wanted)  # noqa: PLW2901
            names = list(compress(names, wanted))
        places, _, infos, others, indexes, values, sizes = columns
        labels, defaults = versions.split(names, places, indexes)
        if defaults is None:
            own = [rests[other] for other in others]
        else:
            own = [rests[o | d << 8] for o, d in zip(others, defaults, strict=False)]
        if not all(names) or max(indexes, default=0) >= SHN_LORESERVE:
            indexes = list(indexes)
            for i, name in enumerate(names):
                if indexes[i] >= SHN_LORESERVE or not name:
                    names[i], indexes[i], reserved = _extended(
                        table, places[i], name, infos[i], indexes[i]
                    )
                    own[i] = (*own[i][:3], reserved)
        yield list(zip(names, labels, values, sizes, infos, indexes, strict=False)), own
        if names_at.used_up:
            break


@cache
def _rests(label: str) -> tuple[Rest, ...]:
    """Every rest that a row of one table can have but for reserved indexes: st_other, default."""
    return tuple((i & 255, i > 255, (label,), False) for i in range(512))


def _select(columns: Iterable[Sequence[int]], wanted: Sequence[bool]) -> list[Sequence[int]]:
    return [tuple(compress(column, wanted)) for column in columns]


class _Names:
    """Reads the names of one table; without end or outside the string table, with a warning."""

    def __init__(self, table: SymbolTable, *, whole: bool) -> None:
        self._table = table
        # One character a byte: slices of a str need no decoding, unless they are not ASCII.
        self._text = table.strings.decode("latin-1") if whole else ""
        self._ascii = whole and table.strings.isascii()
        self._room = _MOST_NAMES + 4 * len(table.strings)
        self.outside = False
        """Whether a name was asked for that is outside the string table."""
        self.used_up = False
        """Whether names were left out, because all together had become too long."""

    def __call__(self, starts: Sequence[int]) -> list[str]:
        """The names at these offsets, _OUTSIDE for one that can't be; fewer when all are used up
        that a table may have."""
        text, find = self._text, self._text.find
        ends = [find("\0", start, start + _LONG) for start in starts] if text else []
        size = sum(ends) - sum(starts)
        if min(ends, default=-1) < 0 or size > self._room:
            return list(self._one_by_one(starts))
        self._room -= size
        names = [text[start:end] for start, end in zip(starts, ends, strict=True)]
        if self._ascii:
            return names
        return [n if n.isascii() else _decoded(n.encode("latin-1")) for n in names]

    def _one_by_one(self, starts: Sequence[int]) -> Iterator[str]:
        table, strings = self._table, self._table.strings
        for start in starts:
            end = strings.find(b"\0", start)
            if end < 0:
                if start >= len(strings) and start:
                    table.image.warn(f"rows of .{table.label} with a name outside its string table")
                    self.outside = True
                    yield _OUTSIDE
                    continue
                if strings:
                    table.image.warn(f"the last name of .{table.label} has no end")
                end = len(strings)
            self._room -= end - start
            if self._room < 0:
                self.used_up = True
                table.image.warn(
                    f"names of .{table.label} overlap beyond all measure; not all are read"
                )
                return
            yield _decoded(strings[start:end])


def _decoded(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _extended(
    table: SymbolTable, number: int, name: str, info: int, index: int
) -> tuple[str, int, bool]:
    """(name, section index, is the index a reserved one) of an entry with a reserved index or
    without a name: extended numbering, and a section's own name."""
    reserved = index >= SHN_LORESERVE
    if index == SHN_XINDEX and number < len(table.extended):
        index, reserved = table.extended[number], False
    sections = table.image.sections
    if not name and info & 15 == _STT_SECTION and index < len(sections) and not reserved:
        name = sections[index].name
    return name, index, reserved


class _Versions(dict[int, "tuple[str | None, bool]"]):
    """Versions of the entries of one table, from .gnu.version or from the names themselves.

    As a dict: (version, is it the default one) by the .gnu.version number of an entry that is
    defined, by the number's complement for one that is not.
    """

    def __init__(self, table: SymbolTable) -> None:
        super().__init__()
        versions = table.versions
        self._numbers = versions.versym if versions is not None else array("H")
        self._defined, self._required = versions.names() if versions is not None else ({}, {})
        self._plain = all(self[number] == (None, False) for number in (0, 1, ~0, ~1))
        """Whether the numbers of local and unversioned symbols name no version, as they should."""
        self._in_names = not self._numbers and b"@" in table.strings

    def split(
        self, names: list[str], places: Sequence[int], indexes: Sequence[int]
    ) -> tuple[Iterable[str | None], list[bool] | None]:
        """(versions, is each the default one) of entries; takes them off their names."""
        if self._numbers:
            return self._by_number(names, places, indexes)
        if not self._in_names or "@" not in "".join(names):
            return repeat(None), None
        labels: list[str | None] = [None] * len(names)
        defaults = [False] * len(names)
        for i, name in enumerate(names):
            if "@" in name:
                names[i], labels[i], defaults[i] = split_version(name)
        return labels, defaults

    def _by_number(
        self, names: list[str], places: Sequence[int], indexes: Sequence[int]
    ) -> tuple[Iterable[str | None], list[bool] | None]:
        if isinstance(places, range):
            numbers: Sequence[int] = self._numbers[places.start : places.stop]
        else:
            numbers = [self._numbers[i] for i in places if i < len(self._numbers)]
        if max(numbers, default=0) <= 1 and self._plain:
            return repeat(None), None
        pairs = [self[n if x else ~n] for n, x in zip(numbers, indexes, strict=False)]
        pairs += [(None, False)] * (len(names) - len(pairs))
        labels, defaults = [label for label, _ in pairs], [default for _, default in pairs]
        if any(map(eq, names, labels)):  # the symbol that stands for the version itself
            for i, name in enumerate(names):
                if name == labels[i]:
                    labels[i], defaults[i] = None, False
        return labels, defaults

    def __missing__(self, key: int) -> tuple[str | None, bool]:
        number = key if key >= 0 else ~key
        plain = number & 0x7FFF
        if key >= 0 and plain in self._defined:
            self[key] = self._defined[plain], not number & HIDDEN
        else:
            # A defined symbol with a required version is a copy relocation's: one @, as nm prints.
            self[key] = self._required.get(plain) or self._defined.get(plain), False
        return self[key]


def split_version(name: str) -> tuple[str, str | None, bool]:
    """(name, version, default) of a `.symtab` name such as `memcpy@@GLIBC_2.14`.

    Linkers write the version into the string table for symbols that have one. A name that
    begins with @, or ends with it, is no versioned name.
    """
    base, _, version = name.partition("@")
    default = version.startswith("@")
    version = version.lstrip("@")
    if not base or not version:
        return name, None, False
    return base, version, default
