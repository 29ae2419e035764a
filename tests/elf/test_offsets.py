"""File offsets of symbols, against a computation of our own from readelf's segments, sections."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.build import recipes
from symprobe.binary import Binary
from symprobe.model import Symbol
from tests.elf.test_against_readelf import NOT_ELF
from tests.support.offsets import by_sections, by_segments
from tests.support.readelf import run

Fixture = Callable[[str], Path]

LINKED = sorted(
    name
    for name in recipes()
    if not name.endswith((".o", ".a", ".ko", ".debug")) and name not in {*NOT_ELF, "core"}
)
OBJECTS = sorted(name for name in recipes() if name.endswith((".o", ".ko")) and name not in NOT_ELF)
OWN_FILES = ["/bin/bash", "/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libm.so.6"]


@pytest.mark.parametrize("name", LINKED)
def test_linked_files(fixture: Fixture, name: str) -> None:
    check(str(fixture(name)), by_segments)


@pytest.mark.parametrize("name", OBJECTS)
def test_object_files(fixture: Fixture, name: str) -> None:
    check(str(fixture(name)), by_sections)


@pytest.mark.parametrize("path", [path for path in OWN_FILES if Path(path).exists()])
def test_files_of_this_machine(path: str) -> None:
    check(path, by_segments)


def check(path: str, expected: Callable[[str], Callable[[Symbol], int | None]]) -> None:
    symbols = Binary(path, debug_roots=()).symbols(demangle=False)
    offset = expected(path)
    assert [s for s in symbols if s.offset != offset(s)] == []


def test_the_bytes_at_the_offset_are_the_symbols_own(fixture: Fixture) -> None:
    """What objdump disassembles at a function's address stands at its offset in the file."""
    path = fixture("hello-nopie")
    content = path.read_bytes()
    listed = run("objdump", "-d", "--no-show-raw-insn", str(path))
    for symbol in Binary(str(path)).symbols("hello_"):
        if symbol.kind == "func" and symbol.size:
            assert f"{symbol.vaddr:016x} <{symbol.name}>:" in listed
            dumped = run(
                "objdump",
                "-s",
                f"--start-address={symbol.vaddr:#x}",
                f"--stop-address={symbol.vaddr + symbol.size:#x}",
                str(path),
            )
            words = "".join(
                re.sub(r"^ [0-9a-f]+ ((?:[0-9a-f]+ ?)+?) {2}.*", r"\1", line).replace(" ", "")
                for line in dumped.splitlines()
                if re.match(r" [0-9a-f]+ [0-9a-f]", line)
            )
            assert symbol.offset is not None
            there = content[symbol.offset : symbol.offset + symbol.size]
            assert words.startswith(there.hex()[:16])
