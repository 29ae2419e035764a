"""Rust's generic functions: a name without the arguments means every instance."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.resolve.names import without_generics
from tests.support.run import symprobe, symprobe_json

Fixture = Callable[[str], Path]
V0 = {
    "a::ptr::drop_in_place::<b::T>": "_RINvNtC1a3ptr13drop_in_placeNtC1b1TE",
    "a::ptr::drop_in_place::<fn() -> u8>": "_RINvNtC1a3ptr13drop_in_placeFEhE",
    "a::ptr::drop_in_place::<dyn b::T<x = u8>>": "_RINvNtC1a3ptr13drop_in_placeDNtC1b1Tp1xhEL_E",
    "a::ptr::drop_in_place::<u8>::{closure#0}": "_RNCINvNtC1a3ptr13drop_in_placehE0B5_",
    "a::ptr::drop_in_place2::<u8>": "_RINvNtC1a3ptr14drop_in_place2hE",
    "a::f::<'>'>": "_RINvC1a1fKc3e_E",
    "a::f::<'\\''>": "_RINvC1a1fKc27_E",
    'a::f::<"<<">': "_RINvC1a1fKRe3c3c_E",
    "a::plain": "_RNvC1a5plain",
    "<a::S>::new::<u8>": "_RINvMC1aNtB3_1S3newhE",
    "<a::S as a::T>::new::<u8>": "_RINvXC1aNtB3_1SNtB3_1T3newhE",
    "core::ptr::drop_in_place<b::T>": "_ZN4core3ptr25drop_in_place$LT$b..T$GT$17h0123456789abcdefE",
    "core::ptr::drop_in_place": "_ZN4core3ptr13drop_in_place17hfedcba9876543210E",
    "<b::T as b::U>::go": "_ZN29_$LT$b..T$u20$as$u20$b..U$GT$2go17h0123456789abcdefE",
    "b::moved": "_ZN1b5moved17h0123456789abcdefE.llvm.1234",
    "b::split": "_ZN1b5split17h0123456789abcdefE",
}
COLD = "_ZN1b5split17h0123456789abcdefE.cold"
TYPED = {
    "a::ptr::drop_in_place": [*list(V0)[:3]],
    "a::ptr::drop_in_place::<b::T>": ["a::ptr::drop_in_place::<b::T>"],
    "a::ptr::drop_in_place::<fn() -> u8>": ["a::ptr::drop_in_place::<fn() -> u8>"],
    "a::f": ["a::f::<'>'>", "a::f::<'\\''>", 'a::f::<"<<">'],
    "a::f::<'>'>": ["a::f::<'>'>"],
    "a::plain": ["a::plain"],
    "<a::S>::new": ["<a::S>::new::<u8>"],
    "<a::S as a::T>::new": ["<a::S as a::T>::new::<u8>"],
    "core::ptr::drop_in_place": ["core::ptr::drop_in_place<b::T>", "core::ptr::drop_in_place"],
    "core::ptr::drop_in_place<b::T>": ["core::ptr::drop_in_place<b::T>"],
    "core::ptr::drop_in_place::hfedcba9876543210": ["core::ptr::drop_in_place"],
    "<b::T as b::U>::go": ["<b::T as b::U>::go"],
    "<b::T as b::U>": [],
    "b::moved": ["b::moved"],
    "b::split": ["b::split"],
    "drop_in_place": [],
    "a::ptr::*place": [*list(V0)[:3]],
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A function for each name."""
    folder = tmp_path_factory.mktemp("rust")
    lines = [
        line
        for name in (*V0.values(), COLD)
        for line in (f'.globl "{name}"', f'.type "{name}", @function', f'"{name}": ret')
    ]
    (folder / "rust.s").write_text("\n".join([*lines, '.section .note.GNU-stack,""', ""]))
    command = ["gcc", "-shared", "-nostdlib", "-o", "librust.so", "rust.s"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "librust.so"


def defined(program: Path) -> list[tuple[str, int]]:
    """Raw names with their addresses; local ones may be there several times."""
    command = ["nm", "--defined-only", program]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [(raw, int(address, 16)) for address, _, raw in map(str.split, listed.splitlines())]


def places(library: Path) -> dict[str, int]:
    return dict(defined(library))


@pytest.mark.parametrize(("typed", "meant"), TYPED.items())
def test_what_a_name_means(library: Path, typed: str, meant: list[str]) -> None:
    known = places(library)
    document = symprobe_json("resolve", library, typed)
    found = {target["address"]: target["demangled"][0] for target in document["targets"]}
    assert found == {known[V0[name]]: name for name in meant}


def test_its_cold_part_is_a_note(library: Path) -> None:
    (target,) = symprobe_json("resolve", library, "b::split")["targets"]
    assert any(f"its cold part {COLD}" in note for note in target["notes"])


@pytest.mark.parametrize("mangling", ["v0", "legacy"])
def test_every_instance_in_a_program(fixture: Fixture, mangling: str) -> None:
    """Of `core::ptr::drop_in_place`, whose raw names tell it without any demangler."""
    program = fixture(f"rust-{mangling}")
    raw = re.compile(r"_RINvNtC\w{,15}_4core3ptr13drop_in_place|_ZN4core3ptr\d+drop_in_place")
    wanted = {address for name, address in defined(program) if raw.match(name)}
    document = symprobe_json("resolve", program, "core::ptr::drop_in_place", "--no-source")
    assert len(wanted) > 10
    assert {target["address"] for target in document["targets"]} == wanted


def test_find_and_check_mean_the_same(library: Path) -> None:
    ran = symprobe("find", "a::ptr::drop_in_place", library)
    assert (ran.code, len(ran.lines)) == (0, 3)
    assert symprobe("check", library, "--require", "a::ptr::drop_in_place").code == 0
    assert symprobe("check", library, "--require", "a::ptr").code == 1


@pytest.mark.parametrize("text", ["<<", ">>", "<a>", "a->", ">" * 5, "", "'>'", "a::<", "\"'<\\"])
def test_what_is_no_generic_function(text: str) -> None:
    assert without_generics(text) == text
