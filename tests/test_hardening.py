"""Large files are read by our own tables instead of LIEF, which copies them: both say the same."""

from __future__ import annotations

import glob
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe import hardening
from symprobe.elf.constants import ET_CORE, ET_REL
from symprobe.elf.image import Image
from symprobe.elf.source import FileSource
from symprobe.model import FilePath

Fixture = Callable[[str], Path]
FIXTURES = (
    "hello-static", "hello-static-pie", "hello-nopie", "hello-pie", "hello-pie-stripped",
    "hello-m32", "aarch64/hello", "armhf/hello", "powerpc64/hello", "ppc64le/hello",
    "s390x/hello", "mips/hello", "riscv64/hello", "go-static", "hello-musl-static",
    "libversioned.so", "libcxx-unique.so",
)  # fmt: skip


def agree(path: str | Path) -> bool:
    """Whether the file was compared; object files and cores have no hardening."""
    image = Image(FileSource(FilePath.plain(str(path))))
    if image.header.type in (ET_REL, ET_CORE):
        return False
    assert isinstance(image.source, FileSource)
    for program in (False, True):
        theirs = hardening._by_lief(image.source, program)
        assert theirs is not None
        ours = hardening._by_tables(image, program)
        assert ours._replace(used=checks(ours.used)) == theirs._replace(used=checks(theirs.used))
    return True


def checks(names: set[str]) -> set[str]:
    """The names that hardening is told from."""
    bare = {name.split("@")[0] for name in names}
    return {n for n in bare if (n.startswith("__") and n.endswith("_chk")) or "__stack_chk" in n}


@pytest.mark.parametrize("name", FIXTURES)
def test_fixtures(fixture: Fixture, name: str) -> None:
    assert agree(fixture(name))


def test_this_machines_libraries_and_programs() -> None:
    paths = [*glob.glob("/usr/lib/x86_64-linux-gnu/libs*.so.*"), *glob.glob("/usr/bin/g*")]
    elf = [path for path in paths if Path(path).read_bytes()[:4] == b"\x7fELF"]
    assert sum(map(agree, elf)) > 40
