"""What a symbol is: versions, kinds, bindings, what its value means; by sources that say so."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.recipes import FOREIGN, ODD_NAMES
from symprobe.binary import Binary
from symprobe.elf.gather import split_version
from symprobe.model import Symbol
from tests.support.readelf import run

Fixture = Callable[[str], Path]


def by_name(path: Path, table: str = "all") -> dict[str, Symbol]:
    return {symbol.versioned_name: symbol for symbol in Binary(str(path)).symbols(table=table)}


@pytest.mark.parametrize("name", ["libversioned.so", "libversioned-nosections.so"])
def test_versions_are_those_of_the_version_script(fixture: Fixture, name: str) -> None:
    symbols = by_name(fixture(name), "dynsym")
    defined = {key: s for key, s in symbols.items() if s.defined and s.kind != "notype"}
    assert set(defined) == {
        *("renamed@LIBV_1.0", "renamed@LIBV_1.1", "renamed@@LIBV_2.0"),
        *("since_one@@LIBV_1.0", "since_two@@LIBV_2.0", "hidden_only@LIBV_1.0"),
        *("versioned_object@@LIBV_1.0", "versioned_tls@@LIBV_2.0", "without_version"),
        *("LIBV_1.0", "LIBV_1.1", "LIBV_2.0"),
    }
    old, new = defined["renamed@LIBV_1.0"], defined["renamed@@LIBV_2.0"]
    assert (old.name, old.version, old.default_version) == ("renamed", "LIBV_1.0", False)
    assert (new.name, new.version, new.default_version) == ("renamed", "LIBV_2.0", True)
    assert defined["without_version"].version is None


def test_the_version_of_a_symbol_that_is_needed(fixture: Fixture) -> None:
    path = fixture("versioned-user")
    symbols = by_name(path)
    assert not symbols["renamed@LIBV_1.0"].defined
    assert "renamed@LIBV_2.0" in symbols
    assert symbols["without_version"].version is None
    assert symbols["nobody_has_this"].bind == "weak"
    # A copy relocation defines here what has its version from there.
    assert symbols["versioned_object@LIBV_1.0"].defined
    requirements = {(r.file, r.version) for r in Binary(str(path)).versions.requirements}
    assert {("libversioned.so", "LIBV_1.0"), ("libversioned.so", "LIBV_2.0")} <= requirements


def test_version_definitions_and_their_parents(fixture: Fixture) -> None:
    definitions = Binary(str(fixture("libversioned.so"))).versions.definitions
    assert [(d.name, d.parents, d.is_base) for d in definitions] == [
        ("libversioned.so", (), True),
        ("LIBV_1.0", (), False),
        ("LIBV_1.1", ("LIBV_1.0",), False),
        ("LIBV_2.0", ("LIBV_1.1",), False),
    ]


def test_a_symbol_in_both_tables_is_one_row(fixture: Fixture) -> None:
    symbols = Binary(str(fixture("libversioned.so"))).symbols()
    (row,) = [s for s in symbols if s.name == "renamed" and s.version == "LIBV_1.0"]
    assert row.tables == ("dynsym", "symtab")
    (private,) = [s for s in symbols if s.name == "kept_private"]
    assert private.tables == ("symtab",)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("memcpy@@GLIBC_2.14", ("memcpy", "GLIBC_2.14", True)),
        ("memcpy@GLIBC_2.2.5", ("memcpy", "GLIBC_2.2.5", False)),
        ("memcpy", ("memcpy", None, False)),
        ("@", ("@", None, False)),
        ("@@V", ("@@V", None, False)),
        ("ends@", ("ends@", None, False)),
        ("ends@@", ("ends@@", None, False)),
    ],
)
def test_versions_in_names(name: str, expected: tuple[str, str | None, bool]) -> None:
    assert split_version(name) == expected


@pytest.mark.parametrize("machine", ["", *(f"{machine}/" for machine in FOREIGN)])
def test_kinds_bindings_and_visibility(fixture: Fixture, machine: str) -> None:
    symbols = by_name(fixture(f"{machine}libsymbols.so"))
    kinds = {
        "vis_default": "func", "data_object": "object", "bss_object": "object",
        "tls_data": "tls", "tls_bss": "tls", "untyped_symbol": "notype",
    }  # fmt: skip
    assert {name: symbols[name].kind for name in kinds} == kinds
    if machine != "mips/":
        assert symbols["ifunc_double"].kind == "ifunc"
    assert symbols["vis_protected"].visibility == "protected"
    assert "vis_hidden" not in by_name(fixture(f"{machine}libsymbols.so"), "dynsym")
    assert symbols["vis_default"].bind == "global"
    assert symbols["alias_weak"].bind == "weak"
    assert len({symbols[name].vaddr for name in ("alias_target", "alias_one", "alias_weak")}) == 1
    assert (symbols["undefined_weak"].bind, symbols["undefined_weak"].defined) == ("weak", False)
    absolute = symbols["absolute_symbol"]
    assert (absolute.section, absolute.vaddr, absolute.offset) == ("ABS", 0x12345678, None)
    for name in ("bss_object", "tls_data", "undefined_strong"):
        assert symbols[name].offset is None
    assert symbols["data_object"].size == 16
    assert symbols["sizeless_function"].size == 0


def test_symbols_of_an_object_file(fixture: Fixture) -> None:
    symbols = by_name(fixture("symbols-common.o"))
    common = symbols["common_big"]
    assert (common.section, common.offset, common.size) == ("COM", None, 17 * 8)
    assert symbols["vis_internal"].visibility == "internal"
    assert symbols["vis_hidden"].visibility == "hidden"
    assert symbols["symbols.c"].kind == "file"
    assert by_name(fixture("symbols.o"))["common_object"].section == ".bss"


def test_gnu_unique(fixture: Fixture) -> None:
    unique = [s for s in Binary(str(fixture("libcxx-unique.so"))).symbols() if s.bind == "unique"]
    assert "_ZZ7countervE5value" in {s.name for s in unique}
    said = run("nm", str(fixture("libcxx-unique.so")))
    assert len({s.name for s in unique}) == len(re.findall(r" u ", said))


def test_the_thumb_bit_is_no_part_of_the_address(fixture: Fixture) -> None:
    path = fixture("armhf/thumb")
    symbols = by_name(path)
    listing = run("arm-linux-gnueabihf-objdump", "-d", str(path))
    for name in ("thumb_function", "arm_function"):
        assert f"{symbols[name].vaddr:08x} <{name}>:" in listing
    assert symbols["thumb_function"].value == symbols["thumb_function"].vaddr + 1
    assert "Thumb" in symbols["thumb_function"].note
    assert symbols["arm_function"].value == symbols["arm_function"].vaddr
    assert symbols["arm_function"].note == ""


def test_function_descriptors_and_local_entry_points_are_said(fixture: Fixture) -> None:
    big = by_name(fixture("powerpc64/libsymbols.so"))
    assert big["vis_default"].section == ".opd"
    assert "descriptor" in big["vis_default"].note
    little = fixture("ppc64le/libsymbols.so")
    symbols = by_name(little)
    said = re.findall(r"\[<localentry>: (\d+)\] +\d+ (\S+)$", run("readelf", "-W", "--syms",
                      str(little)), re.MULTILINE)  # fmt: skip
    assert said
    for distance, name in said:
        assert f" {distance} bytes after" in symbols[name].note
    assert symbols["data_object"].note == ""


def test_extended_section_numbers(fixture: Fixture) -> None:
    binary = Binary(str(fixture("manysections.o")))
    assert len(binary.image.sections) > 0xFFFF - 0x100
    symbols = {symbol.name: symbol for symbol in binary.symbols("^f[0-9]+$")}
    for number in (0, 65_270, 65_280, 65_499):
        assert symbols[f"f{number}"].section == f".text.f{number}"
    assert max(symbol.section_index for symbol in symbols.values()) > 0xFF00


@pytest.mark.parametrize("name", ["oddnames.o", "oddnames", "liboddnames.so"])
def test_names_are_the_bytes_of_the_file(fixture: Fixture, name: str) -> None:
    found = {
        symbol.name.encode("utf-8", "surrogateescape")
        for symbol in Binary(str(fixture(name))).symbols()
        if symbol.kind == "func"
    }
    assert set(ODD_NAMES.values()) <= found


@pytest.mark.parametrize("name", ["hello-static", "libversioned.so", "cxx", "mips/hello-static"])
def test_grep_keeps_what_a_look_at_every_row_keeps(fixture: Fixture, name: str) -> None:
    binary = Binary(str(fixture(name)))
    every = binary.symbols()
    for pattern in ("hello", "^_", "LIBV_1", "std::", "e.*r$", "nothing_has_this_name"):
        kept = [s for s in every if re.search(pattern, s.name) or re.search(pattern, s.demangled)]
        assert binary.symbols(pattern) == kept
