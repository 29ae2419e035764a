"""Lines, parameters and types of every function, in every form of debug information, as gdb."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.dwarf.recipes import FORMS
from symprobe.dwarf import Encoding, FunctionInfo
from symprobe.model import VAddr
from tests.dwarf.judges import functions, gdb_describes, opened, same_type

SHAPES = [f"dwarf/{program}-{form}" for form in (*FORMS, "dwz") for program in ("c", "cxx")]
GDB_LOSES_FILES = ("dwarf/c-gcc-lto", "dwarf/cxx-gcc-lto", "dwarf/dwz-multi/common")
"""gdb takes a declaration's file number for one of the unit with the code, not of the unit with
the declaration: <artificial>, or a header of another function."""


@pytest.mark.parametrize("name", [*SHAPES, "dwarf/dwz-multi/common", "dwarf/c-m32", "rust-v0"])
def test_every_function_is_described_as_gdb_does(fixture: Callable[[str], Path], name: str) -> None:
    path = fixture(name)
    if name.endswith("common"):  # the supplementary file stands beside the two that use it
        path = path.with_name("common-one")
    image, info = opened(path)
    symbols = functions(path)
    judged = gdb_describes(path, symbols)
    assert len(judged) >= 8
    wrong = []
    for address, theirs in judged.items():
        ours = info.function(symbols[address], VAddr(address), budget=0)
        named = [] if ours is None else [p for p in ours.parameters if p.name]
        # Of clones gdb lists what is left first; we keep the order of the source.
        alike = ours is not None and (
            ours.line & 0xFFFF == theirs.line or not theirs.line,
            Path(ours.file).name == Path(theirs.file).name or name in GDB_LOSES_FILES,
            same_type(ours.return_type, theirs.returns),
            {p.name for p in named} == {name for name, _ in theirs.parameters if name},
            all(
                same_type(p.type, kind)
                for p in named
                for name, kind in theirs.parameters
                if name == p.name
            ),
        )
        if not alike or not all(alike):
            wrong.append((symbols[address], alike, theirs, ours))
    assert not wrong, wrong[:3]
    assert not image.warnings
    assert not info.notes


def _described(path: Path) -> dict[str, FunctionInfo]:
    _, info = opened(path)
    found = {}
    for address, name in functions(path).items():
        answer = info.function(name, VAddr(address))
        if answer is not None and answer.file.endswith((".c", ".h")):
            found[name] = answer
    return found


@pytest.mark.parametrize("machine", ["aarch64", "armhf", "powerpc64", "s390x", "mips", "riscv64"])
def test_other_machines_describe_the_same_source_alike(
    fixture: Callable[[str], Path], machine: str
) -> None:
    native, foreign = (_described(fixture(f"dwarf/c-{name}")) for name in ("gcc", machine))
    # powerpc64's symbols are of function descriptors, which are no code.
    assert machine == "powerpc64" or len(foreign) >= 12
    for name, theirs in foreign.items():
        ours = native.get(name)
        if ours is None:
            continue
        assert (theirs.file, theirs.line, theirs.return_type) == (
            ours.file,
            ours.line,
            ours.return_type,
        )
        assert [(p.name, p.type) for p in theirs.parameters] == [
            (p.name, p.type) for p in ours.parameters
        ]
        assert theirs.inlined == ours.inlined


def test_every_kind_of_parameter(fixture: Callable[[str], Path]) -> None:
    path = fixture("dwarf/c-gcc")
    _, info = opened(path)
    addresses = {name: address for address, name in functions(path).items()}

    def kinds(name: str) -> list[tuple[str, int | None, Encoding | None]]:
        answer = info.function(name, VAddr(addresses[name]))
        assert answer is not None
        return [(p.type, p.byte_size, p.encoding) for p in answer.parameters]

    assert kinds("scalars") == [
        ("char", 1, Encoding.CHAR),
        ("signed char", 1, Encoding.CHAR),
        ("unsigned char", 1, Encoding.UNSIGNED),
        ("short", 2, Encoding.SIGNED),
        ("unsigned short", 2, Encoding.UNSIGNED),
        ("unsigned int", 4, Encoding.UNSIGNED),
        ("long long", 8, Encoding.SIGNED),
        ("unsigned long long", 8, Encoding.UNSIGNED),
    ]
    assert kinds("floats") == [
        ("float", 4, Encoding.FLOAT),
        ("double", 8, Encoding.FLOAT),
        ("int", 4, Encoding.SIGNED),
        ("long double", 16, Encoding.FLOAT),
        ("float", 4, Encoding.FLOAT),
    ]
    assert kinds("flags") == [
        ("_Bool", 1, Encoding.BOOL),
        ("enum colour", 4, Encoding.UNSIGNED),
        ("size_t", 8, Encoding.UNSIGNED),
        ("uint8_t", 1, Encoding.UNSIGNED),
    ]
    assert kinds("pointers") == [
        ("const char *", 8, Encoding.POINTER),
        ("char *const", 8, Encoding.POINTER),
        ("const volatile int *", 8, Encoding.POINTER),
        ("void *", 8, Encoding.POINTER),
        ("const void **", 8, Encoding.POINTER),
        ("struct point *", 8, Encoding.POINTER),
    ]
    assert kinds("callbacks") == [
        ("visitor", 8, Encoding.POINTER),
        ("int (*)(const void *, const void *)", 8, Encoding.POINTER),
        ("int *", 8, Encoding.POINTER),
        ("int (*)[3]", 8, Encoding.POINTER),
        ("point_list", 8, Encoding.POINTER),
    ]
    assert kinds("structures") == [
        ("struct point", 8, Encoding.STRUCT),
        ("struct wide", 64, Encoding.STRUCT),
        ("int", 4, Encoding.SIGNED),
    ]


def test_what_a_declaration_says_besides(fixture: Callable[[str], Path]) -> None:
    path = fixture("dwarf/c-gcc")
    _, info = opened(path)
    addresses = {name: address for address, name in functions(path).items()}
    variadic = info.function("variadic", VAddr(addresses["variadic"]))
    assert variadic is not None
    assert variadic.variadic
    assert [p.name for p in variadic.parameters] == ["format"]
    old = info.function("old_style", VAddr(addresses["old_style"]))
    assert old is not None
    assert not old.prototyped
    assert not old.variadic
    structures = info.function("structures", VAddr(addresses["structures"]))
    assert structures is not None
    assert (structures.return_type, structures.return_size) == ("struct wide", 64)
    assert structures.return_encoding == Encoding.STRUCT


def test_names_with_their_scopes(fixture: Callable[[str], Path]) -> None:
    path = fixture("dwarf/cxx-gcc")
    _, info = opened(path)
    answers = {name: info.function(name, VAddr(a)) for a, name in functions(path).items()}
    names = {name: answer.name for name, answer in answers.items() if answer is not None}
    assert names["_ZNK6shapes6Square4areaENS_4UnitE"] == "shapes::Square::area"
    secret = next(text for name, text in names.items() if "Secret" in name)
    assert secret == "shapes::Square::Secret::value"
    assert names["_ZN6shapes4RingIiLm4EE4pushEi"] == "shapes::Ring<int, 4>::push"
    assert names["c_linkage"] == "c_linkage"
    unnamed = next(text for name, text in names.items() if "unnamed" in name)
    assert unnamed == "(anonymous namespace)::unnamed"
    references = next(a for n, a in answers.items() if "references" in n and a is not None)
    assert [p.type for p in references.parameters][-4:] == [
        "bool (shapes::Shape::*)(shapes::Shape *, int)",
        "int shapes::Point::*",
        "char32_t",
        "const char *const (&)[2]",
    ]


def test_an_address_inside_a_function_and_a_clone(fixture: Callable[[str], Path]) -> None:
    path = fixture("dwarf/c-gcc")
    _, info = opened(path)
    addresses = {name: address for address, name in functions(path).items()}
    inside = info.function("first_unit", VAddr(addresses["first_unit"] + 9))
    assert inside is not None
    assert (inside.name, inside.vaddr) == ("first_unit", addresses["first_unit"])
    assert info.function("nothing", VAddr(0x10)) is None
    assert info.function("nothing", VAddr(1 << 60)) is None


def test_go_has_results_and_the_line_of_its_code(fixture: Callable[[str], Path]) -> None:
    path = fixture("go-static")
    _, info = opened(path)
    addresses = {name: address for address, name in functions(path).items()}
    answer = info.function("main.main", VAddr(addresses["main.main"]))
    assert answer is not None
    assert answer.name == "main.main"
    assert answer.file.endswith("hello.go")
    assert answer.line > 0
    add = info.function("main.add", VAddr(addresses["main.add"]))
    assert add is not None
    registers = [(p.name, p.type, p.register) for p in add.parameters]
    assert registers == [("a", "int", "rax"), ("b", "int", "rbx")]  # Go's own convention
    assert add.return_type == "int"
