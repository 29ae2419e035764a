"""What holds for every path and name: text that can be pasted."""

from __future__ import annotations

import os
import re
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from symprobe.model import FileOffset, FilePath, VAddr
from symprobe.probe import ProbeTarget
from symprobe.resolve.emit import Tool, emit, emit_all
from tests.support.counting import Programs


def file_at(path: str) -> ProbeTarget:
    names = ("f@V1",)
    return ProbeTarget(
        FilePath.plain(path), (1, 2), None, FileOffset(16), VAddr(32), names, names, "func", 1
    )


@given(st.binary(min_size=1, max_size=40).filter(lambda path: 0 not in path))
def test_what_is_emitted_is_printable_and_one_word_of_a_shell(path: bytes) -> None:
    target = file_at(os.fsdecode(b"/nowhere/" + path))
    for tool in (Tool.PERF, Tool.TRACEFS, Tool.BCC, Tool.GDB):
        emission = emit(target, tool)
        assert all(text.isprintable() for text in (*emission.lines, *emission.before))
    link = emit(target, Tool.TRACEFS).before
    if link:
        words = re.fullmatch(r"ln -sfT -- (.*) /run/symprobe-2", link[0])
        assert words is not None
        said = subprocess.run(
            ["bash", "-c", f"printf %s {words[1]}"], capture_output=True, check=True
        )
        assert said.stdout == b"/nowhere/" + path


def test_targets_of_several_files_keep_their_order(programs: Programs) -> None:
    cases = [programs.case(program, "work") for program in ("pie", "nopie", "pie")]
    assert emit_all([c.target for c in cases], Tool.BPFTRACE) == [
        emit(case.target, Tool.BPFTRACE) for case in cases
    ]


def test_a_place_without_return_probes_says_so(programs: Programs) -> None:
    assert "return" in emit(programs.case("pie", "work+1").target, Tool.TRACEFS).note
    assert "return" not in emit(programs.case("pie", "work").target, Tool.TRACEFS).note
