"""Inputs to begin with: small fixtures, and files written byte by byte."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from fixtures.build import FixtureUnavailableError, build
from symprobe.elf.source import MemorySource
from symprobe.model import FilePath
from tests.elfwriter import SHF_ALLOC, ElfFile, Section, Segment
from tests.support.written import library

PATH = FilePath.plain("fuzzed")


def source(data: bytes) -> MemorySource:
    """The bytes as a file that is in memory only."""
    return MemorySource(data, PATH)


def fixtures(*names: str) -> Iterator[bytes]:
    """The bytes of fixtures; one that can't be built here is named and left out."""
    for name in names:
        try:
            yield build(name).read_bytes()
        except FixtureUnavailableError as error:
            print(f"fuzz: seed {name} is left out: {error}", file=sys.stderr)


def libraries() -> Iterator[bytes]:
    """A whole shared library of a kilobyte: both classes, both byte orders, and bare."""
    for bits in (64, 32):
        for big in (False, True):
            for headers in (True, False):
                yield library(
                    [b"one", b"_ZN3two5threeEi"], bits=bits, big=big, section_headers=headers
                ).to_bytes()


def elf_around(
    sections: list[tuple[bytes, int, bytes]], *, bits: int = 64, big: bool = False
) -> bytes:
    """An ELF file with these sections, (name, type, bytes), all loaded and executable."""
    return ElfFile(
        bits,
        big,
        sections=tuple(Section(name, kind, data, SHF_ALLOC) for name, kind, data in sections),
        segments=(Segment(memsz=1 << 30),),
    ).to_bytes()
