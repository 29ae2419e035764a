"""All functions of a binary at once: 100,000 targets in the time of a listing.

The same answers as targets.py, but for what a bulk answer does not need: notes on single functions,
and cheap attach points. One plain loop, which calls nothing in the usual case: one name without
a version at an address, and an instruction that its first bytes settle.
"""

from __future__ import annotations

from collections.abc import Sequence

from symprobe.binary import Binary
from symprobe.elf.constants import EM_PPC64
from symprobe.model import Symbol
from symprobe.probe import EntryCost, ProbeTarget, Rejected
from symprobe.resolve.code import executable_segments
from symprobe.resolve.instructions import entry_cost, refused, settled_cost, unsafe
from symprobe.resolve.names import clone_parent, is_cold
from symprobe.resolve.targets import Builder, preference

_CODE = 16
"""Bytes that hold the longest first instruction."""


def all_targets(
    binary: Binary, symbols: Sequence[Symbol]
) -> tuple[list[ProbeTarget], list[Rejected]]:
    """Targets of all these defined functions, which have all names of their places.

    symbols: of the kinds that a probe can go to, IFUNCs left out.
    """
    image = binary.image
    segments = executable_segments(image)
    if image.header.machine == EM_PPC64 or not segments:
        return Builder(binary, exact_entry=True).build(symbols)  # entries apart from symbols
    start, code = segments[0]
    end, machine = start + len(code), image.machine
    file, inode, identity = binary.path, image.source.inode, binary.build_id
    returns, new, costs = not binary.is_go, tuple.__new__, _Costs(machine)
    places: dict[int, list[Symbol]] = {}
    for symbol in symbols:
        places.setdefault(symbol.vaddr, []).append(symbol)
    targets: list[ProbeTarget] = []
    outside: list[Symbol] = []
    rejected: list[Rejected] = []
    for vaddr, group in places.items():
        if not start <= vaddr < end:
            for start, code in segments:
                end = start + len(code)
                if start <= vaddr < end:
                    break
            else:
                outside += group
                continue
        at = vaddr - start
        cost = costs[code[at : at + 2]] or _cost(code[at : at + _CODE], machine)
        # A symbol of no section (ABS) has no offset of its own.
        if cost is None or group[0].offset is None:
            outside += group
            continue
        name, text, version, _, _, size, offset, kind, *_ = group[0]
        names: tuple[str, ...] = (name,)
        texts: tuple[str, ...] = (text,)
        if len(group) > 1 or version is not None:
            group.sort(key=preference)
            name, kind, version = group[0].name, group[0].kind, group[0].version
            size = max(s.size for s in group)
            texts_of = {s.versioned_name: s.readable_name for s in group}
            names, texts = tuple(texts_of), tuple(texts_of.values())
        notes = _notes(name) if "." in name else ()
        targets.append(
            new(
                ProbeTarget,
                (
                    file, inode, identity, offset, vaddr, names, texts, kind, size, version,
                    None, cost, returns, None, notes,
                ),
            )
        )  # fmt: skip
    if outside:
        made, rejected = Builder(binary, exact_entry=True).build(outside)
        targets += made
    return targets, rejected


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
