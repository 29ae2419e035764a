"""Any bytes at all: a mutated file gives rows, or one SymprobeError, within bounds."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symprobe.binary import Binary
from symprobe.errors import SymprobeError
from tests.support.bounded import read_whole

Fixture = Callable[[str], Path]
NAMES = [
    "hello-pie", "hello-pie-nosections", "libversioned.so", "versioned-user", "symbols.o",
    "libhash-sysv-nosections.so", "usdt-m32", "debug/mini", "debug/link", "s390x/libversioned.so",
    "mips/libsymbols-nosections.so", "armhf/thumb", "kmod.ko", "archive.a", "archive-thin.a",
]  # fmt: skip
EXTREMES = [0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 60, (1 << 64) - 1]


@functools.cache
def tables(path: Path) -> list[tuple[int, int]]:
    """(start, end) of the parts where a changed byte matters most: headers and tables."""
    try:
        image = Binary(str(path)).image
    except SymprobeError:
        return [(0, 256)]
    header = image.header
    found = [(0, 64), (header.phoff, header.phoff + header.phnum * header.phentsize)]
    found.append((header.shoff, header.shoff + header.shnum * header.shentsize))
    for part in (*image.sections, *image.segments):
        if part.type not in (0, 1):
            size = part.size if hasattr(part, "size") else part.filesz
            found.append((part.offset, part.offset + min(size, 4096)))
    return [(start, end) for start, end in found if end > start]


@st.composite
def mutations(draw: st.DrawFn, path: Path) -> bytes:
    """The file with up to eight numbers overwritten, most of them in its tables; perhaps cut."""
    data = bytearray(path.read_bytes())
    for _ in range(draw(st.integers(1, 8))):
        start, end = draw(st.sampled_from([*tables(path), (0, len(data))]))
        place = draw(st.integers(start, min(end, len(data)) - 1))
        width = draw(st.sampled_from("BHIQ"))
        order = draw(st.sampled_from("<>"))
        size = struct.calcsize(width)
        value = draw(st.sampled_from(EXTREMES) | st.integers(0, len(data)))
        number = struct.pack(order + width, value & ((1 << 8 * size) - 1))
        data[place : place + size] = number[: len(data) - place]
    if draw(st.booleans()):
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@pytest.mark.parametrize("name", NAMES)
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(choice=st.data())
def test_mutated_files(fixture: Fixture, tmp_path: Path, name: str, choice: st.DataObject) -> None:
    data = choice.draw(mutations(fixture(name)))
    path = tmp_path / "mutated"
    path.write_bytes(data)
    outcome = read_whole(path)
    assert outcome.error is None or outcome.symbols == () or outcome.warnings is not None


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    head=st.sampled_from([b"", b"\x7fELF\2\1\1", b"\x7fELF\1\2\1", b"!<arch>\n"]), rest=st.binary()
)
def test_arbitrary_bytes(tmp_path: Path, head: bytes, rest: bytes) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(head + rest)
    read_whole(path)
