"""No branch is missed: the searches against one that reads byte by byte, and at every distance."""

from __future__ import annotations

import random

from symprobe.model import VAddr
from symprobe.resolve import branches, x86
from symprobe.resolve.branches import unshared
from symprobe.resolve.instructions import cheap_point

LONG_BRANCHES = {*(bytes([0x0F, 0x80 + n]) for n in range(16)), b"\xc7\xf8"}
LONG_BRANCHES |= {bytes([0x8D, 0x05 + 8 * n]) for n in range(8)}
"""jcc, xbegin, and lea of an address to jump to: a displacement of 32 bits follows."""


def reference(code: bytes, start: int) -> set[int]:
    """Every address that bytes of code, read as a direct branch, lead to: found slowly."""
    found = set()
    for at in range(len(code)):
        if code[at] in (*range(0x70, 0x80), 0xE0, 0xE1, 0xE2, 0xE3, 0xEB):
            end, size = at + 2, 1
        elif code[at] in (0xE8, 0xE9):
            end, size = at + 5, 4
        elif code[at : at + 2] in LONG_BRANCHES:
            end, size = at + 6, 4
        else:
            continue
        if end <= len(code):
            displacement = int.from_bytes(code[end - size : end], "little", signed=True)
            found.add(start + end + displacement)
    return found


def test_no_branch_is_missed() -> None:
    """Random code full of branches: both ways to search find what reading byte by byte finds."""
    chance = random.Random(17)
    pieces = [bytes([n]) for n in (0x74, 0xEB, 0xE2, 0xE8, 0xE9, 0xE8)]
    pieces += [b"\x0f\x84", b"\xc7\xf8", b"\x8d\x0d", b"\xff\xff", b"\0\0", b"\xfe\xff", b"\1\0"]
    lines = 0
    for _ in range(5):
        body = bytearray()
        while len(body) < 200_000:
            body += chance.choice(pieces) + chance.randbytes(chance.choice((1, 2, 4, 40)))
        functions = {}
        for _ in range(60):  # functions are a nop, which is no branch, and a push
            at = chance.randrange(len(body) - 8)
            body[at : at + 5] = bytes.fromhex("f30f1efa55")
            functions[VAddr(0x10000 + at)] = 4
        code, start = bytes(body), 0x10000
        functions = {f: d for f, d in functions.items() if x86.straight_line(code[f - start :])}
        reached = reference(code, start)
        expected = {f for f in functions if f + 4 not in reached}
        assert set(unshared([(start, code)], functions)) == expected
        for function in functions:
            one = set(unshared([(start, code)], {function: 4}))
            assert one == ({function} & expected)
            within = branches.landings(code, [function + 4 - start])
            assert within == ({function + 4 - start} if function not in expected else set())
        lines += len(functions)
        assert 0 < len(expected) < len(functions)
    assert lines > 100


def test_near_branches_of_any_distance() -> None:
    """A jump to each instruction of a line, from around every 64 KiB before and behind it: where
    the upper half of the displacement changes."""
    body = bytes.fromhex("48c7c001000000") * 8 + b"\x53\x5b\xc3"  # mov, eight times; push
    function = 200_000
    base = bytearray(b"\x90" * 400_000)
    base[function : function + len(body)] = body
    for distance in range(-180_224 - 16_384, 180_225, 65_536):
        for around in (*range(-70, -10, 6), *range(-10, 8)):
            for place in (function + 7, function + 56):
                at = place + distance // 65_536 * 65_536 + around
                if at < 0 or function - 5 < at < function + len(body):
                    continue
                code = bytearray(base)
                code[at : at + 5] = b"\xe9" + (place - at - 5).to_bytes(4, "little", signed=True)
                segments = [(0x1000, bytes(code))]
                assert unshared(segments, {VAddr(0x1000 + function): 56}) == {}, (distance, around)
    untouched = {VAddr(0x1000 + function): 56}
    assert unshared([(0x1000, bytes(base))], untouched) == untouched


def test_indirect_jumps_of_every_form() -> None:
    """Through each register and each kind of memory, as the assembler encodes them."""
    start = bytes.fromhex("f30f1efa 53 5b")
    assert cheap_point(start + b"\xc3", "x86_64") == 4
    for modrm in (*range(0x20, 0x28), *range(0x60, 0x68), *range(0xA0, 0xA8), *range(0xE0, 0xE8)):
        for prefix in (b"", b"\x41", b"\x3e", b"\xf2"):
            jump = prefix + bytes([0xFF, modrm]) + b"\x08\x00\x00\x00\x00"
            assert cheap_point(start + jump, "x86_64") is None, jump.hex(" ")
    call_and_nop = bytes.fromhex("e8 00 f0 ff ff 66 90 c3")
    assert cheap_point(start + call_and_nop, "x86_64") == 4
    assert cheap_point(start + call_and_nop[1:], "x86_64") is None, "no call: it may be a jump"


def test_short_branches_of_every_length() -> None:
    for opcode in x86.SHORT_BRANCHES:
        for displacement in range(-128, 128):
            code = bytearray(b"\x90" * 400)
            code[200:202] = bytes([opcode, displacement & 0xFF])
            place = 202 + displacement
            places = {place - 1, place, place + 1}
            assert branches.landings(bytes(code), places) == {place}
        assert branches.landings(bytes([opcode, 0, 0x55]), [2]) == {2}
        assert branches.landings(bytes([0x55, opcode, 0xFD]), [0]) == {0}


def test_other_machines_and_hostile_code() -> None:
    good = bytes.fromhex("f30f1efa 53 5b c3")
    assert cheap_point(good, "x86_64") == 4
    assert cheap_point(good, "i386") is None
    assert cheap_point(good, "aarch64") is None
    for length in range(len(good)):
        assert cheap_point(good[:length], "x86_64") == (4 if length > 4 else None)
    assert cheap_point(b"", "x86_64") is None
    assert cheap_point(good + bytes(1 << 20), "x86_64") is None, "too long to be searched"
    dense = [(0, good * 9 + b"\xe8" * 9_000_000)]
    several = {VAddr(len(good) * number): 4 for number in range(9)}
    assert unshared([(0, good * 9)], several) == several
    assert unshared(dense, several) == {}, "more branches than code can have"
    assert unshared([], {VAddr(0): 4}) == {}
