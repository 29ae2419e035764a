"""`make verify` itself: it finds what is wrong, and explains only what the file proves."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.binary import Binary
from tests.elfwriter import SHT_STRTAB, SHT_SYMTAB, ElfFile, Section, Symbol, symbol_table
from tests.support.compare_readelf import sides
from verify.__main__ import files, of_corpus, of_machine
from verify.commands import _result, run_all
from verify.explained import explained

Fixture = Callable[[str], Path]
Written = Callable[[bytes], Path]
ODD = ["hello-pie", "symbols.o", "archive.a", "script", "empty", "hello-pie-truncated", "kmod.ko",
       "libhash-sysv-nosections.so", "s390x/libversioned.so", "usdt-m32"]  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_commands_on_odd_files(fixture: Fixture, name: str) -> None:
    """No traceback, no other exit code, one line of error; each in a process of its own."""
    ran = run_all(str(fixture(name)), elf=True)
    assert [fault for each in ran for fault in each.faults] == []
    assert {each.code for each in ran} <= {0, 1, 2}


@pytest.mark.parametrize(
    ("code", "said", "fault"),
    [
        (3, "", "exit code 3"),
        (-9, "", "exit code -9"),
        (2, "", "exit code 2 without a word"),
        (1, "Traceback (most recent call last):\nKeyError: 1\n", "a traceback: KeyError: 1"),
        (2, "symprobe: x: y\nz\n", "stderr holds other lines than symprobe's"),
    ],
)
def test_what_a_command_must_not_do(code: int, said: str, fault: str) -> None:
    def work() -> int:
        os.write(2, said.encode())
        if code < 0:
            os.kill(os.getpid(), -code)
            time.sleep(60)
        return code

    assert fault in _result("ls", work).faults


def test_a_fault_of_a_command_is_a_fault() -> None:
    def work() -> int:
        raise ValueError("broken")

    assert "a traceback: ValueError: broken" in _result("ls", work).faults


def table(*symbols: Symbol) -> ElfFile:
    rows, strings = symbol_table(symbols)
    return ElfFile(
        sections=(
            Section(b".symtab", SHT_SYMTAB, rows, link=2, info=1, entsize=24),
            Section(b".strtab", SHT_STRTAB, strings),
        )
    )


def test_explanations_are_of_what_the_file_proves(written: Written) -> None:
    outside = table(Symbol(b"good", 16), Symbol(1 << 20, 32))
    twice = table(Symbol(b"again", 16), Symbol(b"again", 16, other=2))
    for file, name in ((outside, "name outside"), (twice, "twice")):
        path = str(written(file.to_bytes()))
        assert explained(path, sides(path)) == (Counter({name: 1}), [])


def test_a_real_difference_is_a_finding(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that loses a row, or tells another value, is found out."""
    path = str(written(table(Symbol(b"one", 16), Symbol(b"two", 32)).to_bytes()))
    assert of_machine(path).findings == []
    right = Binary.symbols
    monkeypatch.setattr(Binary, "symbols", lambda *a, **k: right(*a, **k)[1:])
    assert "'one'" in of_machine(path).findings[0]
    monkeypatch.setattr(
        Binary, "symbols", lambda *a, **k: [s._replace(value=8) for s in right(*a, **k)]
    )
    assert len(of_machine(path).findings) == 4


def test_a_collection(fixture: Fixture, tmp_path: Path) -> None:
    for name in ("hello-pie", "archive.a", "script"):
        os.link(fixture(name), tmp_path / name)
    os.link(tmp_path / "script", tmp_path / "the-same-inode")
    found = [of_corpus(path) for path in files([str(tmp_path)])]
    assert [(os.path.basename(f.path), f.elf, f.names, f.findings) for f in found] == [
        ("archive.a", True, False, []),
        ("hello-pie", True, True, []),
        ("script", False, False, []),
    ]
    assert found[1].compared > 50
