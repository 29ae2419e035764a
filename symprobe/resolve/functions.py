"""All functions that a binary defines, as raw rows of its symbol tables: no Symbol is built for
what one line of text will tell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property

from symprobe.aside import Aside, Feed
from symprobe.binary import Binary
from symprobe.demangle import demangle_many
from symprobe.elf.constants import EM_ARM, EM_MIPS
from symprobe.elf.gather import Key, Rows, gather
from symprobe.elf.rows import BINDS, KINDS, Builder, types_of
from symprobe.elf.symbols import SymbolTable
from symprobe.model import Bind, Kind, Symbol
from symprobe.resolve.entries import entry_costs
from symprobe.resolve.match import CODE_KINDS
from symprobe.resolve.targets import name_preference

_MANY = 10_000
"""Entries of the first table, above which a child process demangles their names."""
_TYPES = types_of(CODE_KINDS)
_IFUNC, _LOCAL = KINDS.index(Kind.IFUNC), BINDS.index(Bind.LOCAL)


class Functions:
    """keys, texts: raw rows and their demangled names, parallel.  places: the number of the first
    row at each address, IFUNCs left out.  costs: of probes there, in the order of places; None
    where no probe can go.  several: all the rows at an address that has more than one, by the
    number of the first.  ifuncs: numbers of rows.

    version: only functions of this one (None: all).
    """

    def __init__(self, binary: Binary, version: str | None) -> None:
        self._binary = binary
        # A bit of an address on these machines is the mode of the processor.
        self._mask = ~1 if binary.image.header.machine in (EM_ARM, EM_MIPS) else ~0
        self._child: tuple[Feed, Aside] | None = None
        table = binary.dynsym or binary.symtab
        with ExitStack() as stack:
            if table is not None and table.count > _MANY:
                self._child = _demangling(stack)
            rows = gather([(table, None)], _TYPES) if table is not None else {}
            first = len(rows)
            self._ask(rows)
            _add_others(rows, binary, table, self._mask)
            self.keys, self._rests = list(rows), list(rows.values())
            self._ask(self.keys[first:])
            self._group(version)
            costs = entry_costs(binary.image, self.places)
            self.costs = [costs.get(vaddr) for vaddr in self.places]
            self._open = stack.pop_all()

    def __enter__(self) -> Functions:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def _ask(self, rows: Collection[Key]) -> None:
        """Have the child process demangle names, if there is one."""
        if self._child is not None and rows:
            with suppress(OSError):
                self._child[0].give("\0".join(_names(rows)))

    @cached_property
    def texts(self) -> list[str]:
        """The demangled names of all rows."""
        told = None
        if self._child is not None:
            feed, aside = self._child
            feed.end()
            told = aside.text()
        texts = told.removesuffix("\n").split("\0") if told is not None else []
        if len(texts) == len(self.keys):
            return texts
        return demangle_many(_names(self.keys))  # there is no child, or it has failed

    def _group(self, version: str | None) -> None:
        keys, mask = self.keys, self._mask
        wanted = [i for i, key in enumerate(keys) if key[5]]
        if version is not None:
            wanted = [i for i in wanted if keys[i][1] == version]
        self.ifuncs = [i for i in wanted if keys[i][4] & 15 == _IFUNC]
        if self.ifuncs:
            wanted = [i for i in wanted if keys[i][4] & 15 != _IFUNC]
        values = [keys[i][2] & mask for i in wanted]
        self.places: dict[int, int] = {}
        self.several: dict[int, list[int]] = {}
        for i, first in zip(wanted, map(self.places.setdefault, values, wanted), strict=True):
            if i != first:
                self.several.setdefault(first, [first]).append(i)

    def aliases(self, numbers: Sequence[int]) -> tuple[list[int], tuple[str, ...], tuple[str, ...]]:
        """Rows at one address in the order in which they are told, their different names with
        versions, the same demangled."""
        ordered = sorted(numbers, key=self._preference) if len(numbers) > 1 else [*numbers]
        names: dict[str, str] = {}
        for i in ordered:
            suffix = self.suffix(i)
            names[self.keys[i][0] + suffix] = self.texts[i] + suffix
        return ordered, tuple(names), tuple(names.values())

    def suffix(self, number: int) -> str:
        """The version of a row as it stands behind the name."""
        version = self.keys[number][1]
        if version is None:
            return ""
        return f"{'@@' if self._rests[number][1] else '@'}{version}"

    def _preference(self, number: int) -> tuple[bool, bool, int, int, str]:
        name, version, _, _, info, _ = self.keys[number]
        other_version = version is not None and not self._rests[number][1]
        return name_preference(name, info >> 4 == _LOCAL, other_version)

    def symbols(self, numbers: Iterable[int]) -> list[Symbol]:
        """These rows as Symbols."""
        keys, rests, texts = self.keys, self._rests, self.texts
        rows = [(keys[i], rests[i], texts[i]) for i in numbers]
        return Builder(self._binary.image).build(*zip(*rows, strict=True)) if rows else []


def _demangling(stack: ExitStack) -> tuple[Feed, Aside] | None:
    """A child process that demangles the names it is given, those of one text with NULs between
    them; None when there can be none: too many files are open."""
    try:
        feed = stack.enter_context(Feed())
    except OSError:
        return None

    def texts() -> Iterator[str]:
        yield "\0".join([text for names in feed for text in demangle_many(names.split("\0"))])

    return feed, stack.enter_context(Aside(texts))


def _names(rows: Iterable[Key]) -> list[str]:
    return [key[0] for key in rows]


def _add_others(rows: Rows, binary: Binary, first: SymbolTable | None, mask: int) -> None:
    """Also the rows of the other table, and those of debug files that say something new."""
    if binary.symtab is not None and binary.symtab is not first:
        gather([(binary.symtab, None)], _TYPES, known=rows)
    if not binary.debug_tables:
        return
    places = {_place(key, mask) for key in rows}
    for table in binary.debug_tables:
        for key, rest in gather([(table, None)], _TYPES).items():
            if key[5] and (place := _place(key, mask)) not in places:
                places.add(place)
                rows[key] = rest


def _place(key: Key, mask: int) -> tuple[str, str | None, int, int]:
    """What a row of a debug file has in common with one of the file itself."""
    name, version, value, _, info, _ = key
    return name, version, value & mask, info & 15
