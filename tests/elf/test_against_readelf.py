"""Every symbol of every fixture, and of a sample of this machine's own files, as readelf has it:
name, version, value, size, type, binding, visibility, section index."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.build import recipes
from symprobe.binary import Binary
from symprobe.elf import notes
from tests.support.compare_readelf import differences, elf_files, row
from tests.support.readelf import run, symbol_tables

Fixture = Callable[[str], Path]

NOT_ELF = {"script", "linker-script.so", "empty"}
NOT_ELF |= {"rebuilt.o"}  # now and then it is gone for a moment
NOT_ELF |= {name for name in recipes() if name.endswith("root")}  # directories of debug files
ELF_FIXTURES = sorted(name for name in recipes() if name not in NOT_ELF and "/" not in name)
FOREIGN_AND_DEBUG = sorted(name for name in recipes() if name not in NOT_ELF and "/" in name)
SAMPLE = 60
SIZES = range(64 << 10, 8 << 20)
"""Bytes: the smallest are all alike, the largest are for `make verify`, which takes all."""


@pytest.mark.parametrize("name", ELF_FIXTURES + FOREIGN_AND_DEBUG)
def test_fixture(fixture: Fixture, name: str) -> None:
    path = fixture(name)
    if path.read_bytes()[:4] not in (b"\x7fELF", b"!<ar", b"!<th"):
        pytest.fail(f"{name} is neither ELF nor an archive: list it in NOT_ELF")
    assert differences(str(path)) == []


def sample_of_this_machine() -> list[str]:
    """The same files in every run: those whose path hashes lowest, and the C library."""
    paths = [
        path
        for root in ("/usr/bin", "/usr/sbin", "/usr/libexec", "/usr/lib/x86_64-linux-gnu")
        for path in elf_files(root)
        if os.path.getsize(path) in SIZES
    ]
    paths.sort(key=lambda path: hashlib.sha256(path.encode("utf-8", "surrogateescape")).digest())
    libraries = [path for path in paths if os.path.basename(path).startswith(("libc.so", "ld-"))]
    return sorted({*paths[:SAMPLE], *libraries})


def test_sample_of_this_machine() -> None:
    paths = sample_of_this_machine()
    assert len(paths) >= SAMPLE
    assert [line for path in paths for line in differences(path)] == []


@pytest.mark.parametrize(
    "name",
    [name for name in ELF_FIXTURES + FOREIGN_AND_DEBUG if "-nosections" in name],
)
def test_a_file_without_section_headers_says_the_same_as_with_them(
    fixture: Fixture, name: str
) -> None:
    """The truth is readelf's reading of the file before its section headers were wiped."""
    whole = fixture(name.replace("-nosections", ""))
    (expected,) = [table for table in symbol_tables(str(whole)) if table.name == "dynsym"]
    found = [row(symbol) for symbol in Binary(str(fixture(name))).symbols()]
    # A section's symbol has its name from the section header.
    nameless = {item._replace(name="") if item.kind == 3 else item for item in expected.rows}
    assert set(found) == nameless


@pytest.mark.parametrize("name", ["hello-pie", "s390x/hello", "mips/hello", "hello-m32"])
def test_build_id_and_dynamic_section(fixture: Fixture, name: str) -> None:
    path = str(fixture(name))
    binary = Binary(path)
    assert f"Build ID: {binary.build_id}\n" in run("readelf", "-nW", path)
    assert binary.dynamic is not None
    said = run("readelf", "-dW", path)
    needed = [line.split("[")[1][:-1] for line in said.splitlines() if "(NEEDED)" in line]
    assert binary.dynamic.needed == needed
    assert len(binary.dynamic.entries) + 1 == int(said.split(" contains ")[1].split()[0])


def test_a_file_without_a_build_id_has_none(fixture: Fixture) -> None:
    assert Binary(str(fixture("debug/no-build-id"))).build_id is None


@pytest.mark.parametrize("name", ["usdt", "usdt-nopie", "usdt-m32"])
def test_usdt_probes(fixture: Fixture, name: str) -> None:
    path = str(fixture(name))
    probes = Binary(path).usdt_probes
    assert [_as_readelf(probe) for probe in probes] == _usdt_of_readelf(path)
    assert len(probes) == 7
    assert {probe.name for probe in probes if probe.semaphore} == {"request"}
    content = Path(path).read_bytes()
    for probe in probes:
        assert probe.offset is not None
        assert content[probe.offset] == 0x90, "the probe is where its nop is"


def test_usdt_probes_of_a_file_that_was_moved(fixture: Fixture, tmp_path: Path) -> None:
    """prelink moves sections but not notes: addresses count from .stapsdt.base, which they name."""
    moved = tmp_path / "moved"
    base = ["--change-section-address", ".stapsdt.base+0x100"]
    run("objcopy", *base, str(fixture("usdt-nopie")), str(moved))
    before = Binary(str(fixture("usdt-nopie"))).usdt_probes
    after = Binary(str(moved)).usdt_probes
    assert [probe.vaddr for probe in after] == [probe.vaddr + 0x100 for probe in before]
    assert [p.semaphore for p in after] == [p.semaphore and p.semaphore + 0x100 for p in before]


def _as_readelf(probe: notes.UsdtProbe) -> tuple[str, str, int, int, str]:
    return probe.provider, probe.name, probe.vaddr, probe.semaphore or 0, probe.arguments


def _usdt_of_readelf(path: str) -> list[tuple[str, str, int, int, str]]:
    found = []
    for part in run("readelf", "-nW", path).split("Provider: ")[1:]:
        lines = [line.strip() for line in part.splitlines()]
        location, _, semaphore = (int(text.split(": ")[1], 16) for text in lines[2].split(", "))
        arguments = lines[3].removeprefix("Arguments:").strip()
        found.append((lines[0], lines[1].removeprefix("Name: "), location, semaphore, arguments))
    return found
