"""All functions of a binary at once: 100,000 targets in the time of a listing.

The same answers as targets.py, but for what a bulk answer does not need: notes on single functions,
and cheap attach points. The raw rows are taken by columns; what is rare (several names at an
address, an instruction that its first bytes don't settle) is put right one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress, repeat

from symprobe.binary import Binary
from symprobe.elf.constants import EM_PPC64, ET_REL
from symprobe.model import FileOffset, Kind, Symbol, VAddr
from symprobe.probe import ProbeTarget, Rejected
from symprobe.resolve.entries import file_offsets
from symprobe.resolve.functions import Functions
from symprobe.resolve.match import CODE_KINDS
from symprobe.resolve.names import clone_parent, is_cold
from symprobe.resolve.targets import Builder

_MANY = 1000
"""Functions that are worth a way of their own, without targets."""


class Columns:
    """Targets of functions as parallel columns: what a line of text tells needs no ProbeTarget.

    offsets, vaddrs, costs.  texts: demangled names, each with its version.  special: those of
    several names, or with notes, as ProbeTargets by position.
    """

    def __init__(self, binary: Binary, functions: Functions) -> None:
        self._binary, self._functions = binary, functions
        places = functions.places
        if None in functions.costs:
            places = dict(compress(places.items(), functions.costs))
        self.vaddrs, self._numbers = list(places), list(places.values())
        self.costs = [cost for cost in functions.costs if cost is not None]
        self.offsets = file_offsets(binary.image, self.vaddrs)
        self._keys = [functions.keys[i] for i in self._numbers]
        self.texts = self._with_versions([functions.texts[i] for i in self._numbers])
        self.special = dict(self._special())

    def targets(self) -> list[ProbeTarget]:
        """All of them."""
        names = self._with_versions([key[0] for key in self._keys])
        columns = (
            repeat(self._binary.path), repeat(self._binary.image.source.inode),
            repeat(self._binary.build_id), self.offsets, self.vaddrs, zip(names, strict=True),
            zip(self.texts, strict=True), repeat(Kind.FUNC), [key[3] for key in self._keys],
            [key[1] for key in self._keys], repeat(None), self.costs,
            repeat(not self._binary.is_go), repeat(None), repeat(()),
        )  # fmt: skip
        targets = list(map(tuple.__new__, repeat(ProbeTarget), zip(*columns, strict=False)))
        for at, target in self.special.items():
            targets[at] = target
        return targets

    def _with_versions(self, names: list[str]) -> list[str]:
        for at, key in enumerate(self._keys):
            if key[1] is not None:
                names[at] += self._functions.suffix(self._numbers[at])
        return names

    def _special(self) -> Iterator[tuple[int, ProbeTarget]]:
        functions, binary = self._functions, self._binary
        keys, several = functions.keys, functions.several
        path, inode, build_id = binary.path, binary.image.source.inode, binary.build_id
        returns = not binary.is_go
        for at, (number, key) in enumerate(zip(self._numbers, self._keys, strict=True)):
            if number in several or ("." in key[0] and clone_parent(key[0]) is not None):
                rows, names, texts = functions.aliases(several.get(number, (number,)))
                name, version, *_ = keys[rows[0]]
                # By position: with names it takes three times as long, and there are 10,000.
                yield at, ProbeTarget(
                    path, inode, build_id, FileOffset(self.offsets[at]), VAddr(self.vaddrs[at]),
                    names, texts, Kind.FUNC, max([keys[i][3] for i in rows]), version,
                    None, self.costs[at], returns, None, _notes(name),
                )  # fmt: skip


def all_targets(
    binary: Binary, version: str | None = None
) -> tuple[list[ProbeTarget], list[Rejected], list[Symbol]]:
    """Targets of all functions that a binary defines, what of them can't be probed, and its
    IFUNCs, for which code is still to be found.

    version: only functions of this one (None: all).
    """
    if not _values_are_code(binary):
        symbols = [s for s in binary.symbols(kinds=CODE_KINDS) if s.defined]
        symbols = [s for s in symbols if version in (None, s.version)]
        plain = [s for s in symbols if s.kind != Kind.IFUNC]
        made, rejected = Builder(binary, exact_entry=True).build(plain)
        return made, rejected, [s for s in symbols if s.kind == Kind.IFUNC]
    with Functions(binary, version) as functions:
        columns = Columns(binary, functions)
        made, rejected = _outside(binary, functions)
        return columns.targets() + made, rejected, functions.symbols(functions.ifuncs)


def all_columns(binary: Binary) -> tuple[Columns, list[Rejected]] | None:
    """The same as columns, of a binary with many functions and nothing else; None: of another."""
    table = binary.dynsym or binary.symtab
    if table is None or table.count < _MANY or not _values_are_code(binary):
        return None
    with Functions(binary, None) as functions:
        columns = Columns(binary, functions)
        made, rejected = _outside(binary, functions)
    places = len(set(columns.offsets))
    if made or functions.ifuncs or places < max(_MANY, len(columns.offsets)):
        return None
    return columns, rejected


def _values_are_code(binary: Binary) -> bool:
    """Whether the value of a function's symbol is the address of its code."""
    header = binary.image.header
    return header.machine != EM_PPC64 and header.type != ET_REL


def _outside(binary: Binary, functions: Functions) -> tuple[list[ProbeTarget], list[Rejected]]:
    """A closer look at the rows that have no cost."""
    rows: list[int] = []
    if None in functions.costs:
        for number, cost in zip(functions.places.values(), functions.costs, strict=True):
            if cost is None:
                rows += functions.several.get(number, (number,))
    return Builder(binary, exact_entry=True).build(functions.symbols(rows)) if rows else ([], [])


def _notes(name: str) -> tuple[str, ...]:
    parent = clone_parent(name)
    if parent is None:
        return ()
    return (f"{'the cold part of' if is_cold(name) else 'a clone of'} {parent}",)
