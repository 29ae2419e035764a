"""Where the debug information is found, what is said when it can't be used, how little is read."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.debuginfo import DEFAULT_DEBUG_ROOTS
from symprobe.dwarf import debug_info
from symprobe.elf.image import Image
from symprobe.elf.source import FileSource, MemorySource
from symprobe.model import FilePath, VAddr
from tests.conftest import unavailable
from tests.dwarf.judges import functions, gdb_describes, opened, run, same_type

LIBC = Path("/lib/x86_64-linux-gnu/libc.so.6")


def image_of(path: Path) -> Image:
    return Image(FileSource(FilePath.plain(str(path))))


@pytest.mark.parametrize("program", ["c", "cxx"])
def test_a_stripped_program_s_debug_file(fixture: Callable[[str], Path], program: str) -> None:
    full = fixture(f"dwarf/{program}-gcc")
    stripped, root = fixture(f"dwarf/{program}-stripped"), fixture(f"dwarf/{program}-root")
    assert debug_info(image_of(stripped), ()) is None
    image = image_of(stripped)
    info = debug_info(image, (str(root),))
    assert info is not None
    assert info.found_by == "build-id"
    assert info.path.startswith(str(root))
    _, own = opened(full)
    assert own.found_by == "own"
    for address, name in functions(full).items():
        assert info.function(name, VAddr(address)) == own.function(name, VAddr(address))
        assert info.line_of(VAddr(address)) == own.line_of(VAddr(address))


def test_a_debug_file_alone(fixture: Callable[[str], Path]) -> None:
    root = fixture("dwarf/c-root")
    (file,) = root.rglob("*.debug")
    _, info = opened(file)
    found = info.inlined_only("weighed")
    assert found is not None
    assert found.vaddr is not None
    assert found.inlined == 3


def test_a_supplementary_file_that_is_gone(fixture: Callable[[str], Path], tmp_path: Path) -> None:
    whole = fixture("dwarf/dwz-multi/common").with_name("common-one")
    alone = tmp_path / "alone"
    shutil.copy(whole, alone)
    image, info = opened(alone)
    assert image.warnings == [
        "the supplementary debug file common was not found: names in it are missing"
    ]
    addresses = {name: address for address, name in functions(whole).items()}
    answer = info.function("c_linkage", VAddr(addresses["c_linkage"]))
    assert answer is not None
    assert answer.name == "c_linkage"
    assert answer.line > 0
    assert [p.type for p in answer.parameters] == ["?"]
    (tmp_path / "common").write_bytes(whole.with_name("common").read_bytes())
    image, info = opened(alone)
    assert not image.warnings
    answer = info.function("c_linkage", VAddr(addresses["c_linkage"]))
    assert answer is not None
    assert [p.type for p in answer.parameters] == ["unsigned long"]


def test_a_supplementary_file_in_the_debug_root(
    fixture: Callable[[str], Path], tmp_path: Path
) -> None:
    whole = fixture("dwarf/dwz-multi/common").with_name("common-one")
    (tmp_path / "bin").mkdir()
    alone = tmp_path / "bin" / "alone"
    shutil.copy(whole, alone)
    identity = re.findall(r"Build ID: (\w+)", run("readelf", "-nW", str(whole.with_name("common"))))
    place = tmp_path / "debug" / ".build-id" / identity[0][:2] / f"{identity[0][2:]}.debug"
    place.parent.mkdir(parents=True)
    shutil.copy(whole.with_name("common"), place)
    image, _ = opened(alone, (str(tmp_path / "debug"),))
    assert not image.warnings


def test_split_dwarf_is_named(fixture: Callable[[str], Path]) -> None:
    path = fixture("dwarf/split")
    _, info = opened(path)
    addresses = {name: address for address, name in functions(path).items()}
    assert info.function("main", VAddr(addresses["main"])) is None
    assert info.notes == [
        f"split DWARF: the entries are in {path}-one.dwo, which is not followed",
    ]
    assert info.line_of(VAddr(addresses["main"])) is not None


def test_files_without_debug_information(fixture: Callable[[str], Path]) -> None:
    assert debug_info(image_of(fixture("oddnames")), ()) is None
    image = image_of(fixture("cxx.o"))
    assert debug_info(image, ()) is None
    image = image_of(fixture("dwarf/object.o"))
    assert debug_info(image, ()) is None
    assert image.warnings == ["debug information of an object file is not read before it is linked"]


def test_zstd_is_said(fixture: Callable[[str], Path]) -> None:
    path = fixture("dwarf/c-gcc-zlib")
    data = bytearray(path.read_bytes())
    image = image_of(path)
    section = image.section(".debug_info")
    assert section is not None
    data[section.offset] = 2  # ELFCOMPRESS_ZSTD
    image = Image(MemorySource(bytes(data), FilePath.plain("zstd")))
    assert debug_info(image, ()) is None
    assert image.warnings == [
        "debug information can't be read: .debug_info is compressed by zstd, "
        "which can't be read here"
    ]


@pytest.fixture(scope="module")
def libc_debug() -> Path:
    """The debug file of this machine's libc: 11 MB of DWARF, 250 units, compressed."""
    info = debug_info(image_of(LIBC), DEFAULT_DEBUG_ROOTS) if LIBC.exists() else None
    if info is None:
        unavailable("this machine has no debug file of its libc: install libc6-dbg")
        raise AssertionError
    return Path(info.path)


def test_libc_as_gdb(libc_debug: Path) -> None:
    image = image_of(LIBC)
    info = debug_info(image)
    assert info is not None
    symbols = functions(libc_debug)
    chosen = sorted(symbols)[:: len(symbols) // 150]
    judged = gdb_describes(libc_debug, chosen)
    assert len(judged) > 80
    for address, theirs in judged.items():
        ours = info.function(symbols[address], VAddr(address), budget=0)
        assert ours is not None, symbols[address]
        assert ours.line == theirs.line or not theirs.line  # assembler: gdb takes no line
        assert Path(ours.file).name == Path(theirs.file).name
        assert same_type(ours.return_type, theirs.returns) or not ours.return_type
        for parameter in ours.parameters:
            kinds = [kind for name, kind in theirs.parameters if name == parameter.name]
            assert all(same_type(parameter.type, kind) for kind in kinds)
    assert not info.notes


class CountingSource(FileSource):
    """A file that knows how much of it was read."""

    count = 0

    def _pread(self, offset: int, size: int) -> bytes:
        data = super()._pread(offset, size)
        self.count += len(data)
        return data


def test_one_question_reads_little(libc_debug: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.debug"
    run("objcopy", "--decompress-debug-sections", str(libc_debug), str(plain))
    symbols = functions(plain)
    asked = sorted(symbols)[:: len(symbols) // 12]
    parameters = 0
    for address in asked:
        source = CountingSource(FilePath.plain(str(plain)))
        info = debug_info(Image(source), ())
        assert info is not None
        before = source.count
        answer = info.function(symbols[address], VAddr(address), budget=0)
        parameters += 0 if answer is None else len(answer.parameters)
        assert source.count - before < plain.stat().st_size / 5  # one unit, and the indexes
    assert parameters >= 10


def test_compressed_and_plain_sections_say_the_same(libc_debug: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain.debug"
    run("objcopy", "--decompress-debug-sections", str(libc_debug), str(plain))
    packed, unpacked = opened(libc_debug)[1], opened(plain)[1]
    symbols = functions(libc_debug)
    for address in sorted(symbols)[::40]:
        arguments = (symbols[address], VAddr(address))
        assert packed.function(*arguments, budget=0) == unpacked.function(*arguments, budget=0)
