"""All functions of a binary at once: 100,000 targets in the time of a listing.

The same answers as targets.py, but for what a bulk answer does not need: notes on single functions,
and cheap attach points. The raw rows are taken by columns; what is rare (several names or a version
at an address, an instruction that its first bytes don't settle) is put right one by one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import compress, repeat
from typing import NamedTuple

from symprobe.binary import Binary
from symprobe.elf.constants import EM_PPC64, ET_REL
from symprobe.elf.image import Image
from symprobe.model import Kind, Symbol
from symprobe.probe import EntryCost, ProbeTarget, Rejected
from symprobe.resolve.code import executable_segments
from symprobe.resolve.functions import Functions
from symprobe.resolve.instructions import entry_cost, refused, settled_cost, unsafe
from symprobe.resolve.match import CODE_KINDS
from symprobe.resolve.names import clone_parent, is_cold
from symprobe.resolve.targets import Builder

_CODE = 16
"""Bytes that hold the longest first instruction."""


def all_targets(
    binary: Binary, version: str | None = None
) -> tuple[list[ProbeTarget], list[Rejected], list[Symbol]]:
    """Targets of all functions that a binary defines, what of them can't be probed, and its
    IFUNCs, for which code is still to be found.

    version: only functions of this one (None: all).
    """
    header = binary.image.header
    if header.machine == EM_PPC64 or header.type == ET_REL:  # a value is no address of code
        symbols = [s for s in binary.symbols(kinds=CODE_KINDS) if s.defined]
        symbols = [s for s in symbols if version in (None, s.version)]
        plain = [s for s in symbols if s.kind != Kind.IFUNC]
        made, rejected = Builder(binary, exact_entry=True).build(plain)
        return made, rejected, [s for s in symbols if s.kind == Kind.IFUNC]
    functions = Functions(binary, version)
    targets, outside = _targets(binary, functions) if functions.places else ([], [])
    rejected = []
    if outside:
        made, rejected = Builder(binary, exact_entry=True).build(functions.symbols(outside))
        targets += made
    return targets, rejected, functions.symbols(functions.ifuncs)


def _targets(binary: Binary, functions: Functions) -> tuple[list[ProbeTarget], list[int]]:
    """The targets, and the numbers of the rows that take a closer look."""
    keys, several, numbers = functions.keys, functions.several, list(functions.places.values())
    places, costs = _Code(binary.image).look(functions.places)
    own = [keys[i] for i in numbers]
    names: list[tuple[str, ...]] = list(zip([key[0] for key in own], strict=True))
    texts: list[tuple[str, ...]] = list(zip([functions.texts[i] for i in numbers], strict=True))
    notes = [_notes(key[0]) if "." in key[0] else () for key in own]
    sizes, versions = [key[3] for key in own], [key[1] for key in own]
    for at, number in enumerate(numbers):
        if number in several or versions[at] is not None:
            rows, names[at], texts[at] = functions.aliases(several.get(number, (number,)))
            name, versions[at], *_ = keys[rows[0]]
            sizes[at], notes[at] = max([keys[i][3] for i in rows]), _notes(name)
    columns = (
        repeat(binary.path), repeat(binary.image.source.inode), repeat(binary.build_id),
        places, functions.places, names, texts, repeat(Kind.FUNC), sizes, versions,
        repeat(None), costs, repeat(not binary.is_go), repeat(None), notes,
    )  # fmt: skip
    targets = list(map(tuple.__new__, repeat(ProbeTarget), zip(*columns, strict=False)))
    outside: list[int] = []
    if None in costs:
        for number, cost in zip(numbers, costs, strict=True):
            if cost is None:
                outside += several.get(number, (number,))
        targets = list(compress(targets, costs))
    return targets, outside


class _Stretch(NamedTuple):
    """Addresses [low, high) of one segment that are as far from their places in the file.

    start, code: of the segment.
    """

    low: int
    high: int
    shift: int
    start: int
    code: bytes


class _Code:
    """Executable code, and where it stands in the file."""

    def __init__(self, image: Image) -> None:
        self._map, self._machine = image.load_map, image.machine
        self._segments = executable_segments(image)

    def look(self, vaddrs: Iterable[int]) -> tuple[list[int], list[EntryCost | None]]:
        """File offsets of addresses, and the costs of the instructions there; None for a cost
        where no probe can go."""
        machine, costs = self._machine, _Costs(self._machine)
        offsets: list[int] = []
        found: list[EntryCost | None] = []
        add, add_cost = offsets.append, found.append
        low = high = start = shift = 0
        code = b""
        for vaddr in vaddrs:
            if not low <= vaddr < high:
                stretch = self._stretch(vaddr)
                if stretch is None:
                    add(0)
                    add_cost(None)
                    continue
                low, high, shift, start, code = stretch
            at = vaddr - start
            add(vaddr + shift)
            add_cost(costs[code[at : at + 2]] or _cost(code[at : at + _CODE], machine))
        return offsets, found

    def _stretch(self, vaddr: int) -> _Stretch | None:
        """The stretch that holds an address."""
        starts, ends, shifts = self._map
        for start, code in self._segments:
            end = start + len(code)
            if start <= vaddr < end:
                place = bisect_right(starts, vaddr) - 1
                return _Stretch(
                    max(start, starts[place]), min(end, ends[place]), shifts[place], start, code
                )
        return None


class _Costs(dict[bytes, "EntryCost | None"]):
    """What the first two bytes of an instruction settle; None: nothing."""

    def __init__(self, machine: str) -> None:
        super().__init__()
        self._known = machine == "x86_64"

    def __missing__(self, start: bytes) -> EntryCost | None:
        self[start] = cost = settled_cost(start) if self._known else None
        return cost


def _cost(code: bytes, machine: str) -> EntryCost | None:
    """The cost of an instruction looked at whole; None when no probe can go there."""
    if refused(code, machine) is not None or unsafe(code, machine) is not None:
        return None
    return entry_cost(code, machine)


def _notes(name: str) -> tuple[str, ...]:
    parent = clone_parent(name)
    if parent is None:
        return ()
    return (f"{'the cold part of' if is_cold(name) else 'a clone of'} {parent}",)
