"""Archives: their members and symbols as ar and nm have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.binary import open_binaries
from symprobe.errors import FileError, MalformedError
from symprobe.model import FilePath
from tests.elfwriter import archive
from tests.support.readelf import run

Fixture = Callable[[str], Path]
Written = Callable[[bytes], Path]


def members(path: Path) -> list[str]:
    prefix = f"{path}("
    shown = [binary.path.shown for binary in open_binaries(FilePath.plain(str(path)))]
    assert all(name.startswith(prefix) and name.endswith(")") for name in shown)
    return [name[len(prefix) : -1] for name in shown]


@pytest.mark.parametrize(
    "name", ["archive.a", "archive-noindex.a", "archive-thin.a", "archive-duplicates.a"]
)
def test_members_are_those_of_ar(fixture: Fixture, name: str) -> None:
    path = fixture(name)
    # A thin archive's members are shown by ar with the path to them.
    listed = [Path(line).name for line in run("ar", "t", str(path)).split()]
    assert members(path) == listed
    assert len(listed) >= 3


def test_an_empty_archive_has_no_members(fixture: Fixture) -> None:
    assert members(fixture("archive-empty.a")) == []


def test_members_that_are_not_elf_are_passed_over(fixture: Fixture) -> None:
    path = fixture("archive-mixed.a")
    assert run("ar", "t", str(path)).split() == ["member_one.o", "hello.c"]
    assert members(path) == ["member_one.o"]


@pytest.mark.parametrize("name", ["archive.a", "archive-thin.a", "archive-duplicates.a"])
def test_symbols_are_those_of_nm(fixture: Fixture, name: str) -> None:
    path = fixture(name)
    theirs = []
    for line in run("nm", "-A", "-p", str(path)).splitlines():
        member, rest = line[len(str(path)) + 1 :].split(":", 1)
        theirs.append((Path(member).name, rest.split()[-1]))
    ours = [
        (binary.path.shown[len(str(path)) + 1 : -1], symbol.name)
        for binary in open_binaries(FilePath.plain(str(path)))
        for symbol in binary.symbols(demangle=False)
        if symbol.kind not in ("file", "section")
    ]
    assert sorted(ours) == sorted(theirs)


def test_a_thin_archive_whose_member_is_gone(fixture: Fixture, tmp_path: Path) -> None:
    path = tmp_path / "thin.a"
    path.write_bytes(fixture("archive-thin.a").read_bytes())
    with pytest.raises(FileError, match="thin member: no such file"):
        list(open_binaries(FilePath.plain(str(path))))


def test_an_archive_cut_short(fixture: Fixture, written: Written) -> None:
    data = fixture("archive.a").read_bytes()
    for size in (30, 100, len(data) // 2, len(data) - 2):
        with pytest.raises(MalformedError):
            list(open_binaries(FilePath.plain(str(written(data[:size])))))


def test_a_member_that_ends_behind_the_file(fixture: Fixture, written: Written) -> None:
    """What is there of it is read, as readelf does; then it is said that the archive is cut."""
    body = fixture("member_one.o").read_bytes()
    longer = archive([(b"one.o/", body)]).replace(b"%-10d`" % len(body), b"%-10d`" % 99999)
    path = written(longer)
    assert "member_one" in run("readelf", "-W", "--syms", str(path))
    found = open_binaries(FilePath.plain(str(path)))
    assert "member_one" in {symbol.name for symbol in next(found).symbols()}
    with pytest.raises(MalformedError, match="the archive is cut short"):
        next(found)


def test_bsd_long_names(fixture: Fixture, written: Written) -> None:
    """`#1/N`: the name stands in front of the member's bytes (ar(5) of the BSDs)."""
    name = b"a name with spaces.o"
    object_file = fixture("member_one.o").read_bytes()
    path = written(archive([(b"#1/%d" % len(name), name + object_file)]))
    (binary,) = open_binaries(FilePath.plain(str(path)))
    assert binary.path.shown == f"{path}(a name with spaces.o)"
    assert "member_one" in {symbol.name for symbol in binary.symbols()}
