"""A slip in a mangled name: what was meant is proposed, as nm lists it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.binary import Binary
from symprobe.resolve.near_mangled import is_mangled, mangled_names, nearest_mangled
from tests.support.run import symprobe

Fixture = Callable[[str], Path]
SOURCE = """
struct Type { Type(int); void run(); };
Type::Type(int) {}
void Type::run() {}
namespace foo { int bar(int x) { return x; } int bar(const char *, long) { return 1; } }
int lonely(int x) { return x; }
template <class T> struct Box { T get(T x) { return x; } };
template struct Box<int>;
template struct Box<long>;
"""
TYPED = {
    "_ZN3foo3baxEi": ["_ZN3foo3barEi"],
    "_ZN3foo3barEx": ["_ZN3foo3barEi", "_ZN3foo3barEPKcl"],
    "_ZN3foo3barEv": ["_ZN3foo3barEi", "_ZN3foo3barEPKcl"],
    "_ZN3foo3barESt6vectorIiSaIiEE": ["_ZN3foo3barEi", "_ZN3foo3barEPKcl"],
    "_ZN3foo4barEi": ["_ZN3foo3barEi"],
    "_ZN3fo3barEi": ["_ZN3foo3barEi"],
    "_Z6lonelyl": ["_Z6lonelyi"],
    "_Z5lonlyi": ["_Z6lonelyi"],
    "_ZN4TypeC1El": ["_ZN4TypeC1Ei", "_ZN4TypeC2Ei"],
    "_ZN4Type3ranEv": ["_ZN4Type3runEv"],
    "_ZN3BoxIlE3getEi": ["_ZN3BoxIiE3getEi", "_ZN3BoxIlE3getEl"],
    "_ZN5other5thingEPKcPPvm": [],
    "_ZN": [],
    "_ZN99999999999999999999xEv": [],
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("near")
    (folder / "near.cpp").write_text(SOURCE)
    command = ["g++", "-O0", "-shared", "-fPIC", "-nostdlib", "-o", "libnear.so", "near.cpp"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "libnear.so"


def listed(path: Path | str, *options: str) -> set[str]:
    text = subprocess.run(["nm", *options, path], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].partition("@")[0] for line in text.splitlines()}


@pytest.mark.parametrize(("typed", "meant"), TYPED.items())
def test_what_was_meant_is_proposed(library: Path, typed: str, meant: list[str]) -> None:
    ran = symprobe("resolve", library, typed)
    assert ran.code == 1
    (line,) = ran.lines
    _, told, near = line.removesuffix("  [not-found]").partition("; near names: ")
    assert bool(told) == bool(meant), line
    names = near.split(", ") if told else []
    assert names[: len(meant)] == meant
    assert set(names) <= listed(library)


def test_a_gate_proposes_them_too(library: Path) -> None:
    ran = symprobe("check", library, "--require", "_ZN3foo3baxEi")
    assert ran.code == 1
    assert ran.lines[0].startswith(
        f"{library}: require _ZN3foo3baxEi: not there, but _ZN3foo3barEi"
    )


def test_a_stripped_file_has_those_of_its_dynamic_table(library: Path, tmp_path: Path) -> None:
    stripped = tmp_path / "stripped.so"
    subprocess.run(["strip", "-o", stripped, library], check=True)
    assert "near names: _ZN3foo3barEi" in symprobe("resolve", stripped, "_ZN3foo3baxEi").out


def test_the_names_are_those_that_nm_lists() -> None:
    path = "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"
    names = {name for name in listed(path, "-D") if is_mangled(name)}
    assert len(names) > 3000
    assert mangled_names(Binary(path, debug_roots=())) == names


def slips(name: str) -> list[str]:
    """One letter wrong, left out, put in; two in the wrong order: all in the middle."""
    at = len(name) // 2
    head, here, then, tail = name[:at], name[at], name[at + 1], name[at + 2 :]
    return [head + "q" + then + tail, head + then + tail, head + "q" + here + then + tail,
            head + then + here + tail]  # fmt: skip


@pytest.mark.parametrize("name", ["libstdc++.so.6", "librust-legacy.so", "librust-v0.so"])
def test_each_slip_in_a_name_is_put_right(fixture: Fixture, name: str) -> None:
    path = f"/usr/lib/x86_64-linux-gnu/{name}" if "++" in name else str(fixture(name))
    names = mangled_names(Binary(path, debug_roots=()))
    for meant in sorted(names)[:: max(1, len(names) // 60)]:
        for typed in slips(meant):
            assert typed in names or meant in nearest_mangled(names, typed), typed


def test_a_rust_function_of_another_build(fixture: Fixture) -> None:
    library = fixture("librust-legacy.so")
    names = [n for n in listed(library) if n.startswith("_ZN5hello5apply17h")]
    assert names
    typed = f"{names[0][:-17]}0123456789abcdefE"
    assert f"near names: {names[0]}" in symprobe("resolve", library, typed).out


def test_other_names_that_begin_so() -> None:
    assert not any(map(is_mangled, ("_Reset", "_RESET", "_Z", "Z3foo", "malloc", "")))
    assert all(map(is_mangled, ("_Z3foov", "_ZN3foo3barEv", "_RNvC1a1b", "_RINvC1a1bhE")))
