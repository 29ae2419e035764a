"""The instruction under a probe: does the kernel take it, does it run rightly, at what price?

The kernel puts a breakpoint over its first byte, and on a hit emulates the instruction or
single-steps a copy of it elsewhere. Sources: arch/x86/kernel/uprobes.c (good_insns_32,
good_insns_64, uprobe_init_insn, branch_setup_xol_ops), kernel/events/uprobes.c (prepare_uprobe),
arch/arm64/kernel/probes/decode-insn.c. The rules for x86 were compared with what Linux 6.18
answers for every opcode; where another kernel differs, it says so when the probe is put in.

Machines are named as by `uname -m`. Of machines that are not known nothing is claimed.
"""

from __future__ import annotations

from symprobe.probe import EntryCost
from symprobe.resolve.branches import INDIRECT, landings
from symprobe.resolve.x86 import EMULATED, PREFIXES, Opcode, opcode_of, straight_line

_BITS = {"x86_64": 64, "i386": 32}

_BAD_PREFIXES = {0x26: "an es", 0x2E: "a cs", 0x36: "an ss", 0x3E: "a ds", 0xF0: "a lock"}
_BAD_EVERYWHERE = bytes.fromhex("07 17 1f 6c6d6e6f cccdcecf e4e5e6e7 ecedeeef f1 f4 fafb")
_BAD = {
    32: frozenset(_BAD_EVERYWHERE),
    64: frozenset(
        _BAD_EVERYWHERE + bytes.fromhex("06 0e 16 1e 27 2f 37 3f 60 61 62 82 9a d4d5d6 ea")
    ),
}
"""Opcodes that good_insns_32 and good_insns_64 leave out. For vector instructions the kernel
looks its opcode up in the same table, though it means something else there."""
_NAMES = dict.fromkeys([*range(0x6C, 0x70), *range(0xE4, 0xE8), *range(0xEC, 0xF0)], "in or out")
_NAMES |= {0xCC: "int3", 0xCD: "int", 0xCE: "into", 0xCF: "iret", 0xF1: "int1", 0xF4: "hlt"}
_NAMES |= {0xFA: "cli", 0xFB: "sti"}

_CLOSER_LOOK = {
    bits: frozenset([*bad, *PREFIXES, 0x62, 0x8E, 0x8F, 0xC4, 0xC5] + [0xD5] * (bits == 64))
    for bits, bad in _BAD.items()
}
"""First bytes that may begin an instruction that the kernel refuses."""

_TAKEN_FOR_JUMPS = frozenset([*range(0x70, 0x80), 0x90, 0xE8, 0xE9, 0xEB])
_TAKEN_FOR_RETURNS = frozenset([0xC2, 0xC3, 0xCA, 0xCB])
ENDBR64 = b"\xf3\x0f\x1e\xfa"
_HARMLESS = (ENDBR64, b"\xc5\xf8\x77")
"""vzeroupper is left out like other vector instructions, but that only costs time."""
_UNSAFE_STARTS = PREFIXES | frozenset(b"\x0f\x62\x8f\x9c\xc4\xc5") | frozenset(range(0x40, 0x50))
"""First bytes that may begin an instruction that is unsafe to probe."""
_STRING_OPCODES = frozenset([*range(0xA4, 0xA8), *range(0xAA, 0xB0)])

_MAY_BE_EMULATED = frozenset(
    [*range(0x50, 0x58), *range(0x64, 0x68), *range(0x70, 0x80), *b"\x0f\x90\xe8\xe9\xeb\xf2\xf3"]
)
"""First bytes of x86.EMULATED, REX left out."""

_LONGEST_FUNCTION = 1 << 20
"""Functions of more bytes are not searched for branches or boundaries."""


def refused(code: bytes, machine: str) -> str | None:
    """Why the kernel takes no probe on the instruction that code begins with, as a sentence.

    None when it may take it, or when nothing is known. code: 16 bytes or more, fewer at the
    end of a segment.
    """
    bits = _BITS.get(machine)
    if bits is None:
        return _refused_aarch64(code) if machine == "aarch64" else None
    looks = _CLOSER_LOOK[bits]
    at = 1 if bits == 64 and code and code[0] & 0xF0 == 0x40 else 0
    if (len(code) > at and code[at] not in looks) or code.startswith(ENDBR64):
        return None
    what = _refused_x86(code, bits)
    return None if what is None else f"the kernel takes no probe on {what}: {code[:8].hex(' ')}"


def _refused_x86(code: bytes, bits: int) -> str | None:
    opcode = opcode_of(code, bits=bits)
    if opcode is None:
        return None
    for prefix in opcode.prefixes:
        if prefix in _BAD_PREFIXES:
            return f"an instruction with {_BAD_PREFIXES[prefix]} prefix"
    byte = opcode.byte
    if opcode.vector:
        return f"vector instructions with opcode {byte:02x}" if byte in _BAD[bits] else None
    if byte == 0xD5 and not opcode.rex and bits == 64:  # REX2
        return None
    if byte in _BAD[bits]:
        return _NAMES.get(byte, f"opcode {byte:02x}")
    if byte == 0x8E and opcode.rest[:1] and opcode.rest[0] >> 3 & 7 == 2:
        return "a load of the stack segment"
    if 0x66 in opcode.prefixes and _is_relative_branch(opcode):
        return "a branch with a 66 prefix"
    return None


def _is_relative_branch(opcode: Opcode) -> bool:
    byte, rest = opcode.byte, opcode.rest
    if byte == 0x0F:
        return bool(rest) and 0x80 <= rest[0] <= 0x8F
    return byte in (0xE8, 0xE9, 0xEB) or 0x70 <= byte <= 0x7F


def _refused_aarch64(code: bytes) -> str | None:
    if len(code) < 4:
        return None
    word = int.from_bytes(code[:4], "little")
    if word & 0x3F000000 == 0x08000000:
        what = "an exclusive or acquiring load or store"
    elif word >> 24 == 0xD4:
        what = "an instruction that raises an exception"
    else:
        return None
    return f"the kernel takes no probe on {what}: {code[:4].hex(' ')}"


def unsafe(code: bytes, machine: str) -> str | None:
    """Why a probe that the kernel would take must not be put there, as a sentence, or None.

    The program would not do the same as without it (Linux 6.18 mistakes some vector
    instructions for jumps: a store is left out, without a sign), or the count would be wrong.
    """
    bits = _BITS.get(machine)
    if bits is None:
        return None
    at = 1 if bits == 64 and code and code[0] & 0xF0 == 0x40 and code[1:2] != b"\x90" else 0
    if (len(code) > at and code[at] not in _UNSAFE_STARTS) or code.startswith(_HARMLESS):
        return None
    opcode = opcode_of(code, bits=bits)
    what = None if opcode is None else _unsafe_x86(opcode)
    return None if what is None else f"{what}: {code[:8].hex(' ')}"


def _unsafe_x86(opcode: Opcode) -> str | None:
    byte = opcode.byte
    if opcode.vector:
        if byte in _TAKEN_FOR_JUMPS:
            return "the kernel takes this vector instruction for a jump and leaves it out"
        if byte in _TAKEN_FOR_RETURNS:
            return "the kernel takes this vector instruction for a return and loses the way back"
        if byte == 0x9D:
            return "the kernel takes this vector instruction for popf and goes on single-stepping"
        return None
    if byte == 0x9C:
        return "single-stepped, pushf saves the flag of single-stepping"
    if byte == 0x90 and opcode.rex & 1:
        return "the kernel takes this exchange of registers for a nop and leaves it out"
    if byte == 0x0F and opcode.rest[:1] in (b"\x05", b"\x34"):
        return "single-stepped, a system call returns one instruction too late"
    if byte in _STRING_OPCODES and (0xF2 in opcode.prefixes or 0xF3 in opcode.prefixes):
        return "each repetition would be counted like a call"
    return None


def entry_cost(code: bytes, machine: str) -> EntryCost:
    """What a hit of a probe on the instruction that code begins with costs."""
    if machine != "x86_64" or not code:
        return EntryCost.UNKNOWN
    first = code[0] if code[0] & 0xF0 != 0x40 else code[1:2] and code[1]
    emulated = first in _MAY_BE_EMULATED and EMULATED.match(code)
    return EntryCost.EMULATED if emulated else EntryCost.SINGLE_STEPPED


def settled_cost(start: bytes) -> EntryCost | None:
    """The entry cost of a 64-bit x86 instruction whose first two bytes settle it, and that it is
    neither refused nor unsafe; None: look at it whole."""
    if len(start) < 2:
        return None
    rex = start[0] if start[0] & 0xF0 == 0x40 else 0
    opcode = start[1] if rex else start[0]
    push = 0x50 <= opcode < 0x58
    if opcode in _CLOSER_LOOK[64] or opcode in _UNSAFE_STARTS:
        return None
    if opcode in _MAY_BE_EMULATED and not push:
        return None
    return EntryCost.EMULATED if push and rex in (0, 0x41) else EntryCost.SINGLE_STEPPED


def cheap_point(code: bytes, machine: str) -> int | None:
    """Bytes from a function's entry to an instruction that the kernel emulates and that is
    executed exactly as often as the entry; None when there is none, or none is needed.

    code: the whole function. Its first instructions up to that point always go on to the next,
    and nothing in the function, read as a direct branch at any byte, leads to one of them;
    functions with an indirect jump have no cheap point. What other functions do is not
    seen here: see branches.unshared().
    """
    if machine != "x86_64" or len(code) > _LONGEST_FUNCTION:
        return None
    line = straight_line(code)
    if not line or INDIRECT.search(code) or landings(code, line):
        return None
    return line[-1]


def on_boundary(code: bytes, distance: int, machine: str) -> bool | None:
    """Whether an instruction begins `distance` bytes behind the first one of code.

    None when it can't be told: code that is not understood, or too long; a machine
    with instructions of several lengths and no disassembler (capstone) for it.
    """
    if machine in ("aarch64", "powerpc", "powerpc64", "powerpc64le"):
        return distance % 4 == 0
    bits = _BITS.get(machine)
    if bits is None or not 0 <= distance <= min(len(code), _LONGEST_FUNCTION):
        return None
    if distance == 0 or (bits == 64 and distance in straight_line(code)):
        return True
    try:
        import capstone
    except ImportError:
        return None
    mode = capstone.CS_MODE_64 if bits == 64 else capstone.CS_MODE_32
    disassembler = capstone.Cs(capstone.CS_ARCH_X86, mode)
    for start, length, _, _ in disassembler.disasm_lite(code[: distance + 15], 0):
        end = start + length
        if end >= distance:
            return bool(end == distance)
    return None
