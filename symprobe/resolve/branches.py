"""Who branches where, told from bytes alone: no disassembly, so nothing can be missed.

Every byte of x86 machine code is read as if a direct branch began there. What none of them
reaches, no direct branch reaches, whichever bytes really begin an instruction; the price is that
some bytes look like a branch and are none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from struct import Struct

from symprobe.model import VAddr
from symprobe.resolve.x86 import SHORT_BRANCHES, straight_line

Segments = Sequence[tuple[int, bytes]]
"""Executable segments: link-time address, bytes."""

INDIRECT = re.compile(
    # jmp through a register or memory
    rb"\xff(?:[\x20-\x27\x60-\x65\x67\xa0-\xa7\xe0-\xe7]"
    # ff 66 is mostly the end of a call's displacement and a nop: e8 .. .. .. ff, 66 90
    rb"|\x66(?!(?<=\xe8...\xff\x66)[\x0f\x2e\x90]))"
    # push, ret; mov to the top of the stack, ret
    rb"|[\x50-\x57\x24]\xc3|\x68....\xc3",
    re.DOTALL,
)
"""What may be a jump to an address that the code computes: a jump table, a computed goto."""

_RETPOLINE = b"\xf3\x90\x0f\xae\xe8\xeb"
"""pause; lfence; jmp: the trap loop of a thunk that makes an indirect jump look like a return."""

_NEAR = (
    rb"\xe8",  # call
    rb"\xe9",  # jmp
    rb"\x0f[\x80-\x8f]",  # jcc
    rb"\xc7\xf8",  # xbegin
    rb"\x8d[\x05\x0d\x15\x1d\x25\x2d\x35\x3d]",  # lea from %rip, to jump there later
)
"""What 32 bits of displacement follow. One pattern each: that is much the fastest."""
_DISPLACEMENT = Struct("<i").unpack_from
_SHORT_DISPLACEMENTS = bytes((127 - i) & 0xFF for i in range(256))
"""What the 256 bytes around a place must be for a short branch there to reach it."""

_CHUNK = 1 << 20
_MOST_BRANCHES = 4_000_000
"""Sweeps end when they have met so many: code is not as dense, 100 MB of LLVM hold 1.6 million."""
_FEW = 8
"""Points up to this many are looked for one by one, more in one sweep over all code."""
_HALF = 1 << 16


def landings(code: bytes, places: Collection[int]) -> set[int]:
    """Those of the places (offsets into code) that a direct branch in code may lead to."""
    found, _ = _near(code, 0, frozenset(places))
    return found | {place for place in places if _short(code, place)}


def unshared(
    segments: Segments, points: Mapping[VAddr, int], labels: Collection[int] = ()
) -> dict[VAddr, int]:
    """Those of the cheap points that code elsewhere in the file does not branch to either.

    Hand-written code jumps from one function into another (memcpy into memmove), and the cold
    part of a function back into it. segments: every executable segment, (address, bytes).
    points: function -> distance, as cheap_point() tells.  labels: addresses known by a
    name; a name between a function and its point is another entry.
    """
    if any(_RETPOLINE in code for _, code in segments):
        return {}
    lines: dict[VAddr, list[int]] = {}
    shared: set[VAddr] = set()
    for function, distance in points.items():
        start, code = _segment_of(segments, function)
        at = function - start
        lines[function] = [function + d for d in straight_line(code[at : at + distance + 16])]
        if not lines[function] or any(
            p in labels or _short(code, p - start) for p in lines[function]
        ):
            shared.add(function)
    rest = {function: line for function, line in lines.items() if function not in shared}
    reached = (_search if len(rest) <= _FEW else _sweep)(segments, list(rest.values()))
    if reached is None:
        return {}
    return {f: points[f] for f, line in rest.items() if reached.isdisjoint(line)}


def _segment_of(segments: Segments, vaddr: int) -> tuple[int, bytes]:
    for start, code in segments:
        if start <= vaddr < start + len(code):
            return start, code
    return vaddr, b""


def _short(code: bytes, place: int) -> bool:
    """Whether a branch with an 8-bit displacement in code may lead to the place."""
    start = max(0, place - 128)
    window = code[start : place + 128]
    wanted = _SHORT_DISPLACEMENTS[start - place + 128 :][: len(window)]
    difference = int.from_bytes(window, "little") ^ int.from_bytes(wanted, "little")
    same = difference.to_bytes(len(window), "little")
    at = same.find(0)
    while at >= 0:
        if start + at and code[start + at - 1] in SHORT_BRANCHES:
            return True
        at = same.find(0, at + 1)
    return False


def _near(code: bytes, start: int, places: Collection[int]) -> tuple[set[int], int]:
    """The places that a 32-bit displacement in code, at address `start`, may lead to; and how
    many branches there may be."""
    last = len(code) - 4
    found: set[int] = set()
    met = 0
    for pattern in _NEAR:
        ends = [match.end() for match in re.finditer(pattern, code, re.DOTALL)]
        met += len(ends)
        found.update(
            place
            for at in ends
            if at <= last and (place := start + at + 4 + _DISPLACEMENT(code, at)[0]) in places
        )
    return found, met


def _sweep(segments: Segments, lines: Sequence[Sequence[int]]) -> set[int] | None:
    """All places on the lines that a 32-bit displacement may lead to, or None: too much code."""
    places = frozenset(place for line in lines for place in line)
    found: set[int] = set()
    left = _MOST_BRANCHES
    for start, code in segments:
        for at in range(0, len(code), _CHUNK):
            reached, met = _near(code[at : at + _CHUNK + 6], start + at, places)
            found |= reached
            left -= met
            if left < 0:
                return None
    return found


def _search(segments: Segments, lines: Sequence[Sequence[int]]) -> set[int] | None:
    """The same for few lines: close to each a sweep, further away a search for the upper half
    of the displacement, which is the same for 64 KiB of code."""
    found: set[int] = set()
    for start, code in segments:
        for line in lines:
            first, last = line[0] - start, line[-1] - start
            begin = min(max(0, first - _HALF - 8), len(code))
            reached, _ = _near(code[begin : max(0, last + _HALF + 8)], start + begin, line)
            far = _from_afar(code, [place - start for place in line])
            if far is None:
                return None
            found |= reached
            found.update(place + start for place in far)
    return found


def _from_afar(code: bytes, line: Sequence[int]) -> set[int] | None:
    """Places on the line, which is shorter than 100 bytes, that a displacement in code more
    than 64 KiB away may lead to."""
    found: set[int] = set()
    at, last, met, high = 0, len(code) - 4, 0, line[-1]
    while at <= last:
        half = (high - at - 4) >> 16
        end = high - 4 - (half << 16) + 1  # where the upper half becomes the next one
        if half not in (0, -1):
            upper = (half & 0xFFFF).to_bytes(2, "little")
            # for the lower places it becomes that a few bytes earlier
            hit = code.find(upper, max(at - 100, 0) + 2, end + 3)
            while hit >= 0:
                met += 1
                place = hit + 2 + _DISPLACEMENT(code, hit - 2)[0] if hit - 2 <= last else -1
                if place in line and _is_near(code, hit - 2):
                    found.add(place)
                hit = code.find(upper, hit + 1, end + 3)
            if met > _MOST_BRANCHES:
                return None
        at = end
    return found


def _is_near(code: bytes, displacement: int) -> bool:
    """Whether the bytes before a displacement are the opcode of a branch that has one."""
    before = code[max(0, displacement - 2) : displacement]
    return any(re.search(pattern + rb"\Z", before, re.DOTALL) for pattern in _NEAR)
