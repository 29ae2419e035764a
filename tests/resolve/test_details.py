"""What debug information adds to an answer, against the source that was compiled."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from symprobe.binary import Binary
from symprobe.model import FilePath
from symprobe.probe import Reason, Resolution
from symprobe.render.resolve import resolution_lines
from symprobe.resolve import resolve
from symprobe.resolve.details import with_source

SOURCE = """#include <stdio.h>
static inline __attribute__((always_inline)) int only(int a) { return a * 3 + 1; }
int part(int a, const char *text) { return a + text[0]; }
int main(int c, char **v) {
  printf("%d %d\\n", only(c), part(c, v[0]) + only(c + 1));
  return part(c, v[0]);
}
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "inline.c").write_text(SOURCE)
    command = ["gcc", "-O2", "-g", "-o", tmp_path / "inline", tmp_path / "inline.c"]
    subprocess.run(command, check=True)
    return tmp_path / "inline"


def answer(program: Path, *symbols: str) -> Resolution:
    plain = resolve(Binary(str(program)), *symbols)
    return with_source(plain, FilePath.plain(str(program)), ())


def test_source_line_and_parameters(program: Path) -> None:
    source = answer(program, "part").targets[0].source
    assert source is not None
    assert source.parameters is not None
    assert (source.file, source.line) == (str(program.with_suffix(".c")), 3)
    assert [name for name, _ in source.parameters] == ["a", "text"]
    assert source.parameters[0][1] == "int"


def test_inlined_copies_are_warned_of(program: Path) -> None:
    target = answer(program, "part").targets[0]
    assert target.source is not None
    assert target.source.inlined == 2
    assert any("inlined 2 times, in main" in note for note in target.notes)


def test_a_name_that_is_only_inlined_says_so(program: Path) -> None:
    rejected = answer(program, "only").rejected
    assert [r.reason for r in rejected] == [Reason.ONLY_INLINED]
    assert "inlined 2 times" in rejected[0].detail


def test_without_debug_information_nothing_changes(program: Path) -> None:
    subprocess.run(["strip", "-g", program], check=True)
    plain = resolve(Binary(str(program)), "part", "nothing")
    assert with_source(plain, FilePath.plain(str(program)), ()) == plain


def test_of_an_assembler_function_only_the_line(tmp_path: Path) -> None:
    source, library = tmp_path / "f.S", tmp_path / "f.so"
    code = ".text\n.globl by_hand\n.type by_hand, @function\nby_hand:\n\tnop\n\tret\n"
    source.write_text(code + ".size by_hand, .-by_hand\n")
    subprocess.run(["gcc", "-g", "-shared", "-nostdlib", "-o", library, source], check=True)
    found = resolve(Binary(str(library)), "by_hand")
    told = with_source(found, FilePath.plain(str(library)), ())
    lines = "\n".join(resolution_lines(told, (), "")).split("\n")
    where = [line for line in lines if ".S:" in line]
    assert where in ([f"      at {source}:4"], [f"      at {source}:5"])
