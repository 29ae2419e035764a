"""`ar` archives and their members."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz import seeds as made
from symprobe.binary import Binary
from symprobe.elf import archive
from symprobe.elf.constants import ELF_MAGIC
from tests import elfwriter

LONGEST = 4096


def seeds() -> Iterator[bytes]:
    member = next(made.libraries())
    names = b"a_very_long_name_of_a_member.o/\n"
    yield elfwriter.archive([(b"/", b"\0\0\0\0"), (b"//", names), (b"/0", member), (b"b.o/", b"x")])
    yield elfwriter.archive([(b"#1/8", b"bsd.o\0\0\0" + member)])
    yield elfwriter.archive([(b"__.SYMDEF", b"\0\0\0\0"), (b"c.o", b"text")])
    yield elfwriter.archive([(b"//", names), (b"/0", b"")]).replace(b"!<arch>", b"!<thin>")
    yield from made.fixtures("archive-mixed.a", "archive-duplicates.a", "archive-thin.a")


def check(data: bytes) -> None:
    for member in archive.members(made.source(data)):
        assert member.size <= len(data)
        if member.read_available(0, 4) == ELF_MAGIC:
            Binary(member, debug_roots=()).symbols()
