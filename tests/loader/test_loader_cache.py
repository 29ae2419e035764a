"""ld.so.cache: ldconfig -p judges; files that lie are survived."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from symprobe.loader.cache import LoaderCache, library_paths
from symprobe.loader.machine import native_machine

CACHE = Path("/etc/ld.so.cache")
_FLAGS = {"libc6,x86-64": 0x303, "libc6,x32": 0x803, "libc6": 3}


def printed() -> list[tuple[str, str, str]]:
    """(name, flags, path) as ldconfig prints its cache."""
    text = subprocess.run(
        ["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True
    ).stdout
    return re.findall(r"^\t(\S+) \(([^)]*)\) => (\S+)$", text, re.MULTILINE)


def test_every_row_is_the_one_that_ldconfig_prints() -> None:
    cache = LoaderCache(CACHE.read_bytes(), big_endian=sys.byteorder == "big")
    assert cache.problem == ""
    rows = printed()
    assert len(rows) > 20
    own = [(name, e.path, e.flags) for name in cache.names() for e in cache.entries(name)]
    assert sorted((name, path) for name, path, _ in own) == sorted((n, p) for n, _, p in rows)
    for name, kind, path in rows:
        words = kind.split(", ")[0]
        if words in _FLAGS:
            assert (name, path, _FLAGS[words]) in own


def test_a_name_finds_this_machines_library_first() -> None:
    flags = native_machine().cache_flags
    cache = LoaderCache(CACHE.read_bytes(), big_endian=sys.byteorder == "big")
    first = library_paths("libc.so.6")[0]
    assert first in [e.path for e in cache.entries("libc.so.6") if e.flags in flags]
    assert library_paths("libc") == library_paths("libc.so.6")
    assert library_paths("libno-such-thing") == []
    assert library_paths("libc.so.6", "/nonexistent/cache") == []


def test_the_newest_of_a_short_name(tmp_path: Path) -> None:
    names = {f"libx.so.{n}": f"/lib/libx.so.{n}" for n in (2, 10, 9)}
    path = tmp_path / "cache"
    path.write_bytes(new_cache(names))
    assert library_paths("libx", str(path))[0] == "/lib/libx.so.10"


def new_cache(names: dict[str, str], *, flags: int = 0x303, endian: int = 2) -> bytes:
    """A cache in the new format."""
    strings, rows = b"", b""
    base = 48 + 24 * len(names)
    for name, path in names.items():
        key = base + len(strings)
        strings += name.encode() + b"\0"
        value = base + len(strings)
        strings += path.encode() + b"\0"
        rows += struct.pack("<iIIIQ", flags, key, value, 0, 0)
    head = b"glibc-ld.so.cache1.1" + struct.pack("<IIB3xI12x", len(names), len(strings), endian, 0)
    return head + rows + strings


def test_a_cache_cut_at_every_byte_is_survived() -> None:
    whole = new_cache({f"lib{n}.so": f"/lib/lib{n}.so" for n in range(5)})
    for size in range(len(whole)):
        cache = LoaderCache(whole[:size], big_endian=False)
        assert cache.problem or all(e.path for n in cache.names() for e in cache.entries(n))
    assert LoaderCache(whole[:100], big_endian=False).problem.startswith("is cut short")


def test_offsets_outside_the_file() -> None:
    whole = bytearray(new_cache({"liba.so": "/lib/liba.so", "libb.so": "/lib/libb.so"}))
    struct.pack_into("<I", whole, 48 + 4, 0xFFFFFFF0)  # the first key
    struct.pack_into("<I", whole, 48 + 24 + 8, 0x7FFFFFFF)  # the second value
    cache = LoaderCache(bytes(whole), big_endian=False)
    assert cache.problem == "holds names outside the file"
    assert list(cache.names()) == ["libb.so"]
    assert list(cache.entries("libb.so")) == []


def test_the_other_byte_order_is_ignored() -> None:
    cache = LoaderCache(new_cache({"liba.so": "/lib/liba.so"}, endian=3), big_endian=False)
    assert "other byte order" in cache.problem
    assert list(cache.names()) == []


@pytest.mark.parametrize(
    "data", [b"", b"x" * 100, b"ld.so-1.7.0\0", b"ld.so-1.7.0\0\xff\xff\xff\xff"]
)
def test_what_is_no_cache(data: bytes) -> None:
    assert LoaderCache(data, big_endian=False).problem


def test_extensions_that_lie() -> None:
    whole = bytearray(new_cache({"liba.so": "/lib/liba.so"}))
    for offset in (1, 4, len(whole), 0xFFFFFFFC):
        struct.pack_into("<I", whole, 32, offset)
        cache = LoaderCache(bytes(whole), big_endian=False)
        assert [e.path for e in cache.entries("liba.so")] == ["/lib/liba.so"]
    struct.pack_into("<I", whole, 32, len(whole))
    whole += bytes(-len(whole) % 4)
    struct.pack_into("<I", whole, 32, len(whole))
    extension = struct.pack("<II", 0xEAA42174, 1) + struct.pack("<IIII", 1, 0, len(whole) + 24, 4)
    extension += struct.pack("<I", 0x7FFFFFF0)  # a name outside
    struct.pack_into("<Q", whole, 48 + 16, 1 << 62)
    cache = LoaderCache(bytes(whole) + extension, big_endian=False)
    assert [e.level for e in cache.entries("liba.so")] == [""]
