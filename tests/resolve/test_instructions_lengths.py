"""Where instructions begin, against what disassemblers say."""

from __future__ import annotations

import itertools
import random
import re
import subprocess
from pathlib import Path

import pytest

from symprobe.resolve import x86
from symprobe.resolve.instructions import on_boundary
from tests.conftest import need_module, unavailable
from tests.resolve.instructions_elf import Elf, installed


def test_lengths_agree_with_another_disassembler() -> None:
    """Random bytes, and the beginnings of all functions of libc: where both know the length."""
    capstone = need_module("capstone")
    disassembler = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    chance = random.Random(64)
    starts = (
        b"",
        b"\x48",
        b"\x66",
        b"\x4c",
        b"\x41",
        b"\x0f",
        b"\x66\x0f",
        b"\xf3\x0f",
        b"\x48\x0f",
    )
    codes = [chance.randbytes(16) for _ in range(20_000)]
    for start in starts:
        for opcode in range(256):
            codes += [
                start + bytes([opcode, modrm]) + chance.randbytes(12) for modrm in range(0, 256, 5)
            ]
    compared = 0
    for code in codes:
        length = x86.falls_through(code, 0)
        decoded = next(disassembler.disasm_lite(code, 0), None)
        if length and decoded is not None:
            compared += 1
            _, other, name, _ = decoded
            assert length == other, (code.hex(" "), name)
            assert not re.match("j|call|ret|loop|i?div|syscall|int|hlt|ud|push", name), name
    assert compared > 20_000


def test_only_memory_that_every_process_has() -> None:
    """The stack, the file's own data, the canary; nothing else that a pointer may miss."""
    for text in ("48 890424", "48 89442408", "4c 8b842480000000", "48 8b0511223344",
                 "64 48 8b042528000000", "48 8d3c87", "49 8d0424"):  # fmt: skip
        code = bytes.fromhex(text)
        assert x86.falls_through(code, 0) == len(code), text
    for text in ("49 890424", "4a 890420", "4b 890424", "48 8907", "48 8b4708", "41 ff0424",
                 "64 48 8b00", "48 890425 11223344", "48 f7 34 24"):  # fmt: skip
        assert x86.falls_through(bytes.fromhex(text) + bytes(8), 0) == 0, text


def test_straight_lines_agree_with_objdump() -> None:
    """The instructions of every straight line of bash, and that the last one is emulated."""
    elf = installed("bash")
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", str(elf.path)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    places = [int(at, 16) for at in re.findall(r"^ *([0-9a-f]+):\t", listing, re.MULTILINE)]
    following = dict(itertools.pairwise(places))
    names = dict(re.findall(r"^ *([0-9a-f]+):\t(\S+)", listing, re.MULTILINE))
    lines = 0
    for vaddr, (size, _) in elf.functions.items():
        line = x86.straight_line(elf.code(vaddr, size))
        at = vaddr
        for place in line:
            at = following[at]
            assert at == vaddr + place
        if line:
            lines += 1
            assert re.match("push|j|call|nop|xchg|data16|bnd", names[f"{at:x}"]), names[f"{at:x}"]
    assert lines > 500


@pytest.mark.parametrize("machine", ["x86_64", "i386"])
def test_boundaries_agree_with_objdump(machine: str, tmp_path: Path) -> None:
    """Every byte of the first part of many functions: of bash, or of a 32-bit program."""
    need_module("capstone")
    if machine == "x86_64":
        elf = installed("bash")
    else:
        source = Path(__file__).with_name("instructions_hold.c")
        program = tmp_path / "hold"
        if subprocess.run(
            ["gcc", "-m32", "-static", "-o", program, source], check=False
        ).returncode:
            unavailable("gcc can't compile for 32 bits")
        elf = Elf(program)
    command = ["objdump", "-d", "--no-show-raw-insn", str(elf.path)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    places = {int(at, 16) for at in re.findall(r"^ *([0-9a-f]+):\t", listing, re.MULTILINE)}
    checked = 0
    for vaddr, (size, name) in list(elf.functions.items())[:150]:
        code = elf.code(vaddr, size)
        for distance in range(min(size, 40)):
            said = on_boundary(code, distance, machine)
            assert said is not None, (name, distance)
            assert said == (vaddr + distance in places), (name, distance)
            checked += 1
    assert checked > 3000


def test_boundaries_elsewhere() -> None:
    assert on_boundary(bytes(16), 4, "aarch64") is True
    assert on_boundary(bytes(16), 6, "aarch64") is False
    assert on_boundary(bytes(16), 2, "s390x") is None
    assert on_boundary(b"\x90" * 16, 17, "x86_64") is None
    assert on_boundary(b"\x06" * 16, 3, "x86_64") is None  # no instruction of 64 bits
    assert on_boundary(b"\x90" * 16, -1, "x86_64") is None
