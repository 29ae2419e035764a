"""Long listings, which are written from raw rows: the same lines as from Symbols."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from symprobe.aside import Aside
from symprobe.binary import open_binaries
from symprobe.model import FilePath
from symprobe.render.ls import symbol_lines
from tests.support.run import symprobe

Fixture = Callable[[str], Path]
MANY = 12_000


def slow_lines(path: Path, *, demangled: bool) -> Iterator[str]:
    for binary in open_binaries(FilePath.plain(str(path))):
        symbols = binary.symbols(demangle=demangled)
        yield from symbol_lines(symbols, binary.image.bits, demangled=demangled)


@pytest.mark.parametrize("options", [[], ["--no-demangle"]])
@pytest.mark.parametrize(
    "name",
    ["cxx", "oddnames.o", "liboddnames.so", "libversioned.so", "hello-static", "armhf/hello",
     "s390x/hello", "archive.a", "hello-pie-stripped"],
)  # fmt: skip
def test_both_ways_give_the_same_lines(fixture: Fixture, name: str, options: list[str]) -> None:
    path = fixture(name)
    heads = {f"{binary.path.shown}:" for binary in open_binaries(FilePath.plain(str(path)))}
    lines = [line for line in symprobe("ls", path, *options).lines if line not in heads]
    assert lines == list(slow_lines(path, demangled=not options))
    assert lines


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with many symbols in both tables, and as many in one only."""
    directory = tmp_path_factory.mktemp("large")
    rows = [f".globl _Z1f{i}v\n.type _Z1f{i}v,@function\n_Z1f{i}v: nop" for i in range(MANY)]
    rows += [f"local{i}: nop" for i in range(MANY)]
    (directory / "large.s").write_text("\n".join([*rows, ""]))
    path = directory / "large.so"
    subprocess.run(["cc", "-shared", "-nostdlib", "-o", path, "large.s"], cwd=directory, check=True)
    return path


def test_two_processes_list_what_one_does(large: Path) -> None:
    lines = symprobe("ls", large).lines
    assert lines[1:] == list(slow_lines(large, demangled=True))
    assert len(lines) > 2 * MANY
    assert symprobe("ls", large, "--count").out.split()[0] == str(len(lines) - 1)


def test_a_child_that_fails_gives_nothing_and_one_that_is_left_ends() -> None:
    with Aside(lambda: ["one", "two\u2423"]) as aside:
        assert aside.text() == "one\ntwo\u2423\n"
    with Aside(lambda: (str(1 // divisor) for divisor in (1, 0))) as aside:
        assert aside.text() is None
    reader, writer = os.pipe()
    with Aside(lambda: [os.read(reader, 1).decode()]):
        pass  # it would wait for ever
    os.close(writer)
    assert os.read(reader, 1) == b""
    os.close(reader)
