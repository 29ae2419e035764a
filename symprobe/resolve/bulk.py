"""All functions of a binary at once: 100,000 targets in the time of a listing.

The same answers as targets.py, but for what a bulk answer does not need: notes on single functions,
and cheap attach points.
"""

from __future__ import annotations

from collections.abc import Sequence

from symprobe.binary import Binary
from symprobe.elf.constants import EM_PPC64
from symprobe.model import Symbol
from symprobe.probe import ProbeTarget, Rejected
from symprobe.resolve.code import executable_segments
from symprobe.resolve.instructions import entry_cost, refused, unsafe
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
    same = (binary.path, image.source.inode, binary.build_id)
    returns, new = not binary.is_go, tuple.__new__
    places: dict[int, list[Symbol]] = {}
    for symbol in symbols:
        places.setdefault(symbol.vaddr, []).append(symbol)
    targets: list[ProbeTarget] = []
    outside: list[Symbol] = []
    rejected: list[Rejected] = []
    for vaddr, group in places.items():
        head = group[0] if len(group) == 1 else min(group, key=preference)
        if not start <= vaddr < end:
            for start, code in segments:
                end = start + len(code)
                if start <= vaddr < end:
                    break
            else:
                outside += group
                continue
        first = code[vaddr - start : vaddr - start + _CODE]
        if refused(first, machine) is not None or unsafe(first, machine) is not None:
            outside += group
            continue
        ordered = [head] if len(group) == 1 else sorted(group, key=preference)
        names = dict.fromkeys(s.versioned_name for s in ordered)
        texts = {s.versioned_name: s.readable_name for s in ordered}
        size = head.size if len(group) == 1 else max(s.size for s in group)
        targets.append(
            new(
                ProbeTarget,
                (
                    *same, head.offset, vaddr, tuple(names), tuple(texts.values()), head.kind,
                    size, head.version, None, entry_cost(first, machine), returns, None,
                    _notes(head),
                ),
            )
        )  # fmt: skip
    if outside:
        made, rejected = Builder(binary, exact_entry=True).build(outside)
        targets += made
    return targets, rejected


def _notes(symbol: Symbol) -> tuple[str, ...]:
    if "." not in symbol.name or (parent := clone_parent(symbol.name)) is None:
        return ()
    return (f"{'the cold part of' if is_cold(symbol.name) else 'a clone of'} {parent}",)
