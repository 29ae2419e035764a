"""The source line of every address, against LLVM (binutils' addr2line mixes up files)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.dwarf.recipes import FORMS
from symprobe.model import VAddr
from tests.dwarf.judges import functions, opened, run

MACHINES = ("aarch64", "armhf", "s390x", "mips", "riscv64", "m32")
NAMES = [
    *(f"dwarf/{program}-{form}" for form in FORMS for program in ("c", "cxx")),
    *(f"dwarf/c-{machine}" for machine in MACHINES),
    "dwarf/cxx-dwz", "dwarf/split", "rust-v0",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_address(fixture: Callable[[str], Path], name: str) -> None:
    path = fixture(name)
    _, info = opened(path)
    sample = sorted(functions(path))[:120]
    addresses = [start + step for start in sample for step in range(0, 64, 3)]
    text = "".join(f"{address:#x}\n" for address in addresses)
    judged = run("llvm-addr2line-14", "-e", str(path), text=text).splitlines()
    assert len(judged) == len(addresses)
    known = 0
    for address, answer in zip(addresses, judged, strict=True):
        file, _, line = answer.partition(" (discriminator")[0].rpartition(":")
        ours = info.line_of(VAddr(address))
        if file == "??":
            assert ours is None, (hex(address), ours)
            continue
        known += 1
        assert ours == (file, 0 if line == "?" else int(line)), (hex(address), ours, answer)
    assert known > 100
    assert not info.notes


def test_an_address_without_a_line(fixture: Callable[[str], Path]) -> None:
    path = fixture("dwarf/c-gcc")
    _, info = opened(path)
    addresses = {name: address for address, name in functions(path).items()}
    assert info.line_of(VAddr(addresses["_start"])) is None
    assert info.line_of(VAddr(0)) is None
    assert info.line_of(VAddr((1 << 64) - 1)) is None
