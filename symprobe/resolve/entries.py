"""What probes on the entries of many functions cost, from the first bytes of each."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence

from symprobe.elf.constants import PF_X
from symprobe.elf.image import Image
from symprobe.probe import EntryCost
from symprobe.resolve.instructions import entry_cost, refused, settled_cost, unsafe

_LONGEST_INSTRUCTION = 16
_BLOCK = 1 << 18
"""Bytes of code that are read at once, so few that they stay in the processor's cache."""


def entry_costs(image: Image, vaddrs: Iterable[int]) -> dict[int, EntryCost]:
    """The costs of the instructions at these addresses; none for one where no probe can go.

    Read in the order of the addresses, a block of code at a time.
    """
    costs: dict[int, EntryCost] = {}
    settled, machine = _Settled(image.machine), image.machine
    wanted = sorted(vaddrs)
    for low, high, shift in _stretches(image):

        def read(start: int, size: int, high: int = high, shift: int = shift) -> bytes:
            return image.source.read_available(start + shift, min(size, high - start))

        for here, code in in_blocks(
            wanted[bisect_left(wanted, low) : bisect_left(wanted, high)], read
        ):
            places = [vaddr - here[0] for vaddr in here]
            found = [settled[code[place : place + 2]] for place in places]
            if None in found:
                for i, place in enumerate(places):
                    if found[i] is None:
                        found[i] = _cost(code[place : place + _LONGEST_INSTRUCTION], machine)
            costs.update((v, c) for v, c in zip(here, found, strict=True) if c)
    return costs


def in_blocks(
    places: Sequence[int], read: Callable[[int, int], bytes]
) -> Iterator[tuple[Sequence[int], bytes]]:
    """Sorted places, some at a time, with the bytes from the first of them to the end of the
    longest instruction at the last.

    read: gives so many bytes from a place on, fewer at an end.
    """
    at = 0
    while at < len(places):
        behind = bisect_left(places, places[at] + _BLOCK, at)
        here = places[at:behind]
        yield here, read(here[0], here[-1] - here[0] + _LONGEST_INSTRUCTION)
        at = behind


def file_offsets(image: Image, vaddrs: Sequence[int]) -> list[int]:
    """The file offsets of addresses that are all in the file."""
    starts, ends, shifts = image.load_map
    place = bisect_right(starts, min(vaddrs, default=0)) - 1
    if vaddrs and max(vaddrs) < ends[place]:
        shift = shifts[place]
        return [vaddr + shift for vaddr in vaddrs]
    places = [bisect_right(starts, vaddr) - 1 for vaddr in vaddrs]
    return [vaddr + shifts[place] for vaddr, place in zip(vaddrs, places, strict=True)]


def _stretches(image: Image) -> list[tuple[int, int, int]]:
    """Addresses [low, high) that are executable and as far from their places in the file, and
    how far."""
    code = [(s.vaddr, s.vaddr + s.filesz) for s in image.loads if s.flags & PF_X]
    found = []
    for low, high, shift in zip(*image.load_map, strict=True):
        held = min(high, image.source.size - shift)  # a file may be cut short
        found += [(max(low, start), min(held, end), shift) for start, end in code]
    return [stretch for stretch in found if stretch[0] < stretch[1]]


class _Settled(dict[bytes, "EntryCost | None"]):
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
