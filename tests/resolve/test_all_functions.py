"""`resolve FILE '*'` of so many functions that a child process demangles their names."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest

from symprobe.aside import Aside
from symprobe.binary import Binary
from symprobe.cli import main
from symprobe.demangle import demangle
from symprobe.probe import Resolution
from symprobe.render.resolve import resolution_lines
from symprobe.resolve.resolver import resolve

COUNT = 10_500


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """C++ functions, each with an alias; some are local, so that only `.symtab` has them. Also
    a clone, a name for terminals, an instruction that takes no probe."""
    folder = tmp_path_factory.mktemp("all")
    lines = []
    for i in range(COUNT):
        for name in (f"_Z4fullILi{i}EEvv", f"_Z5aliasILi{i}EEvv"):
            scope = ".local" if i % 10 == 0 else ".globl"
            lines += [f"{scope} {name}", f".type {name}, @function", f"{name}:"]
        lines.append("ret" if i % 3 else "push %rax")
    for name, code in ('"red\x1b[31m"', "ret"), ("f.part.0", "ret"), ("_Z4fullv", "int3"):
        lines += [f".globl {name}", f".type {name}, @function", f"{name}:", code]
    (folder / "all.s").write_text("\n".join([*lines, '.section .note.GNU-stack,""', ""]))
    subprocess.run(
        ["gcc", "-shared", "-nostdlib", "-o", "liball.so", "all.s"], cwd=folder, check=True
    )
    return folder / "liball.so"


def _names(answer: Resolution) -> set[tuple[int, str]]:
    return {(target.vaddr, name) for target in answer.targets for name in target.demangled}


def test_every_function_has_its_place_and_its_names(library: Path) -> None:
    listed = subprocess.run(["nm", "-C", library], capture_output=True, text=True, check=True)
    rows = [line.split(" ", 2) for line in listed.stdout.splitlines()]
    wanted = {(int(address, 16), name) for address, kind, name in rows if kind in "tT"}
    assert len(wanted) == 2 * COUNT + 3
    refused = {(address, name) for address, name in wanted if name == "full()"}
    assert _names(resolve(Binary(str(library)), "*")) == wanted - refused


def test_the_listing_shows_the_targets(
    library: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = resolve(Binary(str(library)), "*")
    monkeypatch.chdir(library.parent)
    with pytest.raises(SystemExit) as ended:
        main(["resolve", library.name, "*"])
    text = capsys.readouterr().out
    told = list(resolution_lines(answer, (), ""))
    told[0] = told[0].removeprefix(f"{library.parent}/")
    assert text == "\n".join([*told, ""])
    assert ended.value.code == 0
    assert "\x1b" not in text
    assert "red\\x1b[31m" in text
    assert "      - a clone of f" in text
    assert "no probe: _Z4fullv: " in text


def test_without_a_child_the_answer_is_the_same(library: Path) -> None:
    answer = resolve(Binary(str(library)), "*")
    binary = Binary(str(library))
    demangle("_Z1fv")  # what it imports is no file too many
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        with Aside(list) as aside:
            assert aside.text() is None
        assert resolve(binary, "*") == answer
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_where_the_end_of_children_is_ignored_the_answer_is_the_same(library: Path) -> None:
    answer = resolve(Binary(str(library)), "*")
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with Aside(list):
            time.sleep(0.1)  # it ends by itself, before anybody asks
        assert resolve(Binary(str(library)), "*") == answer
    finally:
        signal.signal(signal.SIGCHLD, before)
