"""x86 machine code, as far as probes need it: opcodes, what the kernel emulates, straight lines.

Sources: Intel's manual, volume 2, chapter 2 and appendix A (the tests compare the lengths with
another disassembler); for what is emulated arch/x86/kernel/uprobes.c, push_setup_xol_ops and
branch_setup_xol_ops (the tests see it in real hits).
"""

import re
from typing import NamedTuple

PREFIXES = frozenset(b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3")
SHORT_BRANCHES = frozenset([*range(0x70, 0x80), *range(0xE0, 0xE4), 0xEB])
"""Opcodes with an 8-bit displacement: jcc, loop, jrcxz, jmp."""
_VECTOR_ESCAPES = {0xC5: 2, 0xC4: 3, 0x62: 4}
"""VEX and EVEX: how far behind the escape the opcode stands."""


class Opcode(NamedTuple):
    """The opcode of one instruction, as the kernel's decoder sees it.

    prefixes: legacy ones.  rex: 0 if there is none.  byte: the opcode, 0x0F for two-byte ones;
    rest: the bytes behind it.  vector: encoded by VEX, EVEX or XOP, whose opcodes
    have other meanings.
    """

    prefixes: bytes
    rex: int
    byte: int
    rest: bytes
    vector: bool


def opcode_of(code: bytes, *, bits: int) -> Opcode | None:
    """The opcode of the instruction that code begins with, None if the code ends before it."""
    at = rex = 0
    while at < len(code) and code[at] in PREFIXES:
        at += 1
    prefixes = code[:at]
    if bits == 64 and code[at : at + 1] and code[at] & 0xF0 == 0x40:
        rex = code[at]
        at += 1
    vector = False
    first, second = (*code[at : at + 2], 0, 0)[:2]
    if not rex and (bits == 64 or second >= 0xC0):  # with 32 bits else lds, les, bound
        if first in _VECTOR_ESCAPES:
            vector, at = True, at + _VECTOR_ESCAPES[first]
        elif first == 0x8F and second & 0x1F >= 8:  # XOP, else pop
            vector, at = True, at + 3
    if at >= len(code):
        return None
    return Opcode(prefixes, rex, code[at], code[at + 1 :], vector)


EMULATED = re.compile(
    rb"\x41?[\x50-\x57]"  # push
    rb"|[\x64-\x67\xf2\xf3]*[\x40\x42\x44\x46\x48\x4a\x4c\x4e]?\x90"  # nop, pause; not xchg %r8
    rb"|\x0f\x1f(?:\x00|\x40\x00|\x44\x00\x00|\x80\x00{4}|\x84\x00{5})"  # nops of 3, 4, 5, 7, 8
    rb"|\x66\x0f\x1f\x44\x00\x00"  # nop of 6
    rb"|[\x64\x65\x67\xf2\xf3]*[\x40-\x4f]?"
    rb"(?:[\x70-\x7f\xeb].|[\xe8\xe9].{4}|\x0f[\x80-\x8f].{4})",  # jcc, jmp, call
    re.DOTALL,
)
"""Instructions that the kernel emulates; those nops since 6.18."""

_MODRM, _IMM8, _IMM32, _LEA, _GROUP, _PLAIN = 1, 2, 4, 8, 16, 32


def _forms(**opcodes_of: str) -> dict[int, int]:
    forms = {"modrm": _MODRM, "imm8": _IMM8, "imm32": _IMM32, "plain": _PLAIN}
    forms |= {"modrm_imm8": _MODRM | _IMM8, "modrm_imm32": _MODRM | _IMM32}
    forms |= {"lea": _MODRM | _LEA, "group": _MODRM | _GROUP}
    return {
        opcode: forms[form] for form, text in opcodes_of.items() for opcode in bytes.fromhex(text)
    }


_ONE_BYTE = _forms(
    modrm="00010203 08090a0b 10111213 18191a1b 20212223 28292a2b 30313233 38393a3b"  # add ... cmp
    "63 8485 88898a8b d0d1d2d3",  # movslq, test, mov, shifts
    modrm_imm8="80 83 c0c1 6b",
    modrm_imm32="81 69",
    imm8="040c141c242c343c a8 b0b1b2b3b4b5b6b7",
    imm32="050d151d252d353d a9 b8b9babbbcbdbebf",  # b8...bf with REX.W: 64 bits
    plain="98 99",  # cltq, cqto
    lea="8d",
    group="c6c7 f6f7 feff",
)
_TWO_BYTE = _forms(
    modrm="101112141516 2829 54555657 6e6f7e7f ef"  # moves and logic of vector registers
    "404142434445464748494a4b4c4d4e4f 909192939495969798999a9b9c9d9e9f"  # cmov, set
    "a3 af b6b7 bebf",  # bt, imul, movz, movs
    plain="c8c9cacbcccdcecf",  # bswap
)
_GROUPS = {
    (0xC6, 0): _IMM8, (0xC7, 0): _IMM32,  # mov
    (0xF6, 0): _IMM8, (0xF7, 0): _IMM32,  # test
    (0xF6, 2): 0, (0xF7, 2): 0, (0xF6, 3): 0, (0xF7, 3): 0,  # not, neg; not div: it can fault
    (0xFE, 0): 0, (0xFF, 0): 0, (0xFE, 1): 0, (0xFF, 1): 0,  # inc, dec; not the jumps
}  # fmt: skip
"""What the groups have as immediate, by opcode and the middle bits of ModRM."""

_ENDBR64 = b"\xf3\x0f\x1e\xfa"
_CANARY = re.compile(
    rb"\x64[\x48\x4c][\x2b\x33\x8b][\x04\x0c\x14\x1c\x24\x2c\x34\x3c]\x25.{4}", re.DOTALL
)
"""What -fstack-protector reads: %fs:0x28."""


_LONGEST_LINE = 64
"""Bytes: where nothing was found by then, further on it is rare."""


def straight_line(code: bytes) -> tuple[int, ...]:
    """Where the instructions behind the first one begin, up to the first that is emulated.

    Empty when the first is emulated itself, or when none is reached by
    instructions that are known to always go on to the next.
    """
    places: list[int] = []
    at = 0
    while at < _LONGEST_LINE:
        if EMULATED.match(code, at):
            return tuple(places)
        length = falls_through(code, at)
        if not length:
            return ()
        at += length
        places.append(at)
    return ()


def falls_through(code: bytes, at: int) -> int:
    """Length of the instruction at `at` if it is one that always goes on to the next, else 0.

    Such instructions neither branch nor trap, and the memory that they touch is there
    in every process: the stack, this file's own data, the thread's canary. Many
    others do so too; for those the answer is 0 as well.
    """
    try:
        length = _length(code, at)
    except IndexError:  # the code ends within the instruction
        return 0
    return length if at + length <= len(code) else 0


def _length(code: bytes, at: int) -> int:
    start, prefix, rex = at, code[at], 0
    if prefix == 0xF3 and code.startswith(_ENDBR64, at):
        return len(_ENDBR64)
    if prefix == 0x62 and code[at + 1] & 7 == 2 and code[at + 5] >= 0xC0:
        return 6  # EVEX, map 0F38, between registers: it has no immediate
    if prefix == 0x64:
        return 9 if _CANARY.match(code, at) else 0
    if prefix in (0x66, 0xF2, 0xF3):
        at += 1
    else:
        prefix = 0
    if code[at] & 0xF0 == 0x40:
        rex = code[at]
        at += 1
    opcode = code[at]
    if opcode == 0x0F:
        at += 1
        form = _TWO_BYTE.get(code[at], 0)
    else:
        form = 0 if prefix in (0xF2, 0xF3) else _ONE_BYTE.get(opcode, 0)
    rest = _rest_length(code, at + 1, form, opcode, rex, wide=not prefix)
    return at + rest - start if rest else 0


def _rest_length(code: bytes, at: int, form: int, opcode: int, rex: int, *, wide: bool) -> int:
    """Bytes of the opcode's last byte and all behind it, which begins at `at`; 0 if unknown."""
    length = 1
    if form & _GROUP:
        immediate = _GROUPS.get((opcode, code[at] >> 3 & 7))
        if immediate is None:
            return 0
        form |= immediate
    if form & _MODRM:
        operand = _operand_length(code, at, rex, of_lea=bool(form & _LEA))
        if not operand:
            return 0
        length += operand
    if form & _IMM8:
        return length + 1
    if form & _IMM32:
        if not wide:  # a 66 prefix makes it 16 bits
            return 0
        return length + (8 if 0xB8 <= opcode <= 0xBF and rex & 8 else 4)
    return length if form else 0


def _operand_length(code: bytes, at: int, rex: int, *, of_lea: bool) -> int:
    """Bytes of ModRM, SIB and displacement; 0 for memory that may be missing in a process
    (lea only computes the address: it takes any memory, and no register)."""
    mode, base = code[at] >> 6, code[at] & 7
    if mode == 3:
        return 0 if of_lea else 1  # lea of a register is no instruction
    if mode == 0 and base == 5:  # relative to %rip
        return 5
    length = 1 + (0, 1, 4)[mode]
    if base == 4:
        sib = code[at + 1]
        length += 5 if mode == 0 and sib & 7 == 5 else 1
        if sib == 0x24 and not rex & 3:  # %rsp, and no index
            return length
    return length if of_lea else 0
