"""What is no ELF file, or not one for long: one clear error."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.binary import Binary
from symprobe.errors import FileError, NotElfError
from symprobe.model import FilePath
from tests.elfwriter import (
    archive,
)
from tests.support.bounded import read_whole
from tests.support.written import (
    PLAIN,
)

Written = Callable[[bytes], Path]


@pytest.mark.parametrize(
    "member",
    [
        (b"name.o/", b"not ELF"),
        (b"/99999999999", b""),
        (b"/-1", b""),
        (b"#1/99999999", b"x"),
        (b"#1/4", b"abc"),
        (b"//", b"no end"),
        (b"\xff\x1b[31m/", b"\x7fELF"),
        (b"", b"\x7fELF"),
    ],
    ids=str,
)
def test_lies_of_an_archive(written: Written, member: tuple[bytes, bytes]) -> None:
    good = (b"good.o/", PLAIN.to_bytes())
    read_whole(written(archive([member])))
    read_whole(written(archive([good, member])))


@pytest.mark.parametrize("size", [b"99999999999", b"-1", b"0x10", b"", b"1e3", b"\xb2"])
def test_archive_members_of_impossible_size(written: Written, size: bytes) -> None:
    data = bytearray(archive([(b"name.o/", PLAIN.to_bytes())]))
    data[56:66] = size[:10].ljust(10)
    assert read_whole(written(bytes(data))).error is not None


def test_a_thin_archive_that_names_itself_or_a_directory(tmp_path: Path) -> None:
    path = tmp_path / "self.a"
    for name in (b"self.a/", b"/", b"../", b"absent.o/", b"//etc/hostname/"):
        path.write_bytes(b"!<thin>\n" + archive([(name, b"")])[8:])
        read_whole(path)


@pytest.mark.parametrize(
    ("data", "looks"),
    [
        (b"", "empty"),
        (b"\x7fEL", "3 bytes"),
        (b"#!/bin/sh\n", "script"),
        (b"MZ\x90", "Windows"),
        (b"just text\n", "text"),
        (b"\0\1\2\3", "other data"),
    ],
)
def test_a_file_that_is_not_elf_says_what_it_looks_like(
    written: Written, data: bytes, looks: str
) -> None:
    with pytest.raises(NotElfError, match=looks):
        Binary(str(written(data)))


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, what in (
        (tmp_path, "is a directory"),
        (tmp_path / "fifo", "is a FIFO"),
        (Path("/dev/zero"), "is a character device"),
        (tmp_path / "absent", "no such file"),
        (tmp_path / ("x" * 300), "can't be opened"),
        (Path("/proc/self/mem/x"), "can't be opened"),
    ):
        with pytest.raises(FileError, match=what):
            Binary(str(path))
    with pytest.raises(FileError):
        Binary("with\0nul")


def test_a_file_that_shrinks_while_it_is_read(written: Written) -> None:
    path = written(PLAIN.to_bytes())
    binary = Binary(FilePath.plain(str(path)))
    os.truncate(path, 70)
    assert binary.symbols() == []
    assert binary.warnings
