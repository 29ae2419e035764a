"""Symbols from elsewhere: debug link, build ID, .gnu_debugdata; judged by the unstripped file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.binary import Binary
from tests.support.offsets import by_segments
from tests.support.readelf import run

Fixture = Callable[[str], Path]


def defined_by_nm(path: Path, letters: str = "") -> set[tuple[str, int]]:
    """(name, value) of the defined symbols, of these types only."""
    rows = (line.split() for line in run("nm", "--defined-only", str(path)).splitlines())
    return {
        (name.partition("@")[0], int(value, 16))
        for value, kind, name in rows
        if not letters or kind in letters
    }


def defined(binary: Binary) -> set[tuple[str, int]]:
    return {
        (symbol.name, symbol.vaddr)
        for symbol in binary.symbols()
        if symbol.defined and symbol.kind not in ("section", "file")
    }


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("debug/link", "debuglink"),
        ("debug/sub/link", "debuglink"),
        ("debug/build-id", "build-id"),
    ],
)
def test_a_stripped_file_has_all_its_symbols_back(fixture: Fixture, name: str, label: str) -> None:
    path, full = fixture(name), fixture("debug/full")
    roots = (str(fixture("debug/root")),) if label == "build-id" else ()
    binary = Binary(str(path), debug_roots=(*roots, "/nonexistent"))
    assert defined(binary) == defined_by_nm(full)
    assert [file.found_by for file in binary.debug_files] == [label]
    (local,) = binary.symbols("^hello_local$")
    assert local.tables == (label,)
    assert binary.warnings == []


def test_offsets_are_those_of_the_file_itself(fixture: Fixture) -> None:
    """The debug file's own segments have no bytes: its offsets would be nonsense."""
    path = str(fixture("debug/link"))
    expected = by_segments(path)
    symbols = Binary(path, debug_roots=("/nonexistent",)).symbols()
    assert {s.name for s in symbols} > {"hello_local", "hello_bss", "hello_tls", "main"}
    assert [s for s in symbols if s.offset != expected(s)] == []
    whole = {s.name: s for s in Binary(str(fixture("debug/full"))).symbols()}
    main = next(s for s in symbols if s.name == "main")
    assert (main.vaddr, main.size) == (whole["main"].vaddr, whole["main"].size)


def test_mini_debug_info(fixture: Fixture) -> None:
    binary = Binary(str(fixture("debug/mini")), debug_roots=("/nonexistent",))
    assert [file.found_by for file in binary.debug_files] == ["gnu_debugdata"]
    # The recipe keeps the functions that .dynsym does not have.
    functions = defined_by_nm(fixture("debug/full"), "Tt")
    assert functions <= defined(binary) <= defined_by_nm(fixture("debug/full"))


def test_a_debug_file_with_another_crc_is_not_used(fixture: Fixture) -> None:
    fixture("debug/hello.debug")
    binary = Binary(str(fixture("debug/link-wrong-crc")), debug_roots=("/nonexistent",))
    assert binary.debug_files == []
    assert binary.symbols("^hello_local$") == []
    (warning,) = binary.warnings
    assert "hello.debug has CRC" in warning


def test_a_debug_file_with_another_build_id_is_not_used(fixture: Fixture, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(fixture("debug/root"), root)
    (file,) = root.rglob("*.debug")
    file.unlink()
    shutil.copy(fixture("hello-pie"), file)
    binary = Binary(str(fixture("debug/build-id")), debug_roots=(str(root),))
    assert binary.debug_files == []
    assert any("another build ID" in warning for warning in binary.warnings)


@pytest.mark.parametrize("name", ["debug/link-absent", "debug/build-id", "debug/no-build-id"])
def test_no_debug_file_is_no_error(fixture: Fixture, name: str) -> None:
    binary = Binary(str(fixture(name)), debug_roots=("/nonexistent",))
    assert binary.debug_files == []
    assert binary.warnings == []
    assert "printf@GLIBC_2.2.5" in {symbol.versioned_name for symbol in binary.symbols()}


def test_debug_files_are_not_looked_for_when_there_is_a_symbol_table(fixture: Fixture) -> None:
    binary = Binary(str(fixture("debug/full")), debug_roots=(str(fixture("debug/root")),))
    assert binary.debug_files == []


@pytest.mark.parametrize("content", [b"", b"not ELF", b"\x7fELF" + b"\xff" * 60])
def test_a_broken_debug_file_is_a_warning(fixture: Fixture, tmp_path: Path, content: bytes) -> None:
    shutil.copy(fixture("debug/link"), tmp_path / "link")
    (tmp_path / "hello.debug").write_bytes(content)
    binary = Binary(str(tmp_path / "link"), debug_roots=("/nonexistent",))
    assert binary.symbols("^hello_local$") == []
    assert len(binary.warnings) == 1


def test_the_debug_link_may_name_the_file_itself(fixture: Fixture, tmp_path: Path) -> None:
    shutil.copy(fixture("debug/link"), tmp_path / "hello.debug")
    assert Binary(str(tmp_path / "hello.debug"), debug_roots=("/nonexistent",)).debug_files == []


def test_broken_mini_debug_info_is_a_warning(fixture: Fixture, tmp_path: Path) -> None:
    data = bytearray(fixture("debug/mini").read_bytes())
    start = data.index(b"\xfd7zXZ\0")
    for spoilt in (b"\0" * 6, data[start : start + 40] + b"\xff" * 40):
        path = tmp_path / "mini"
        path.write_bytes(data[:start] + spoilt + data[start + len(spoilt) :])
        binary = Binary(str(path), debug_roots=("/nonexistent",))
        assert binary.symbols("^hello_local$") == []
        assert any(".gnu_debugdata" in warning for warning in binary.warnings)
