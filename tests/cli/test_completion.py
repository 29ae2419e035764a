"""Shell completion: what the shell's script would get."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.run import SCHEMAS, symprobe

Fixture = Callable[[str], Path]


def completed(line: str) -> list[str]:
    """What bash is offered at the end of a command line."""
    env = {
        "_SYMPROBE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - (not line.endswith(" "))),
    }
    return [line for line in symprobe(env=env).lines if line]


def test_commands_and_options() -> None:
    assert "ls" in completed("symprobe l")
    assert "--grep" in completed("symprobe ls --gr")


def test_symbol_names_of_the_target_before() -> None:
    offered = completed("symprobe ls libc.so.6 --grep qui")
    assert "quick_exit" in offered
    assert all(name.startswith("qui") for name in offered)


HOSTILE = (
    "zz$(touch caught)", "zz\\\\$(touch caught)", "zz`touch caught`", "zz;touch caught", "zz\\ttab",
    "zz|touch caught", "zz&touch caught", "zz'touch caught'", 'zz\\"touch caught', "zz*", "zz~",
    "zz{a,b}", "zz>caught", "zz!!", "zz\\\\", "~", "-zz", "=ls", "zz\\nzz", "zz\\033[2J", "#zz",
    "$HOME", "(zz)", "zz\u202e",
)  # fmt: skip
"""As gas is to read them: a backslash stands twice."""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A library whose names are commands for a shell."""
    lines = (f'.globl "{name}"\n.type "{name}", @function\n"{name}": nop\n' for name in HOSTILE)
    (tmp_path / "names.s").write_text("".join(lines) + ".globl zz_good\nzz_good: nop\n")
    library = tmp_path / "names.so"
    subprocess.run(["gcc", "-shared", "-nostdlib", "-o", library, tmp_path / "names.s"], check=True)
    return library


def test_hostile_names_are_not_offered(hostile: Path, fixture: Fixture, tmp_path: Path) -> None:
    """What is offered means itself to a shell, into whose line it is put as it stands."""
    for library in (hostile, fixture("liboddnames.so")):
        for name in completed(f"symprobe ls {library} --grep "):
            for shell in ("bash", "sh"):
                told = subprocess.run(
                    [shell, "-c", f"printf '%s\\n' {name}"],
                    cwd=tmp_path, capture_output=True, text=True, check=True,
                ).stdout  # fmt: skip
                assert told == f"{name}\n"
    assert "zz_good" in completed(f"symprobe ls {hostile} --grep zz")
    assert not (tmp_path / "caught").exists()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_nothing_hostile_is_printed_for_a_shell_that_evaluates_it(
    shell: str, hostile: Path
) -> None:
    """zsh's script evaluates what is printed, twice."""
    env = {
        "_SYMPROBE_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": f"symprobe resolve {hostile} zz",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    printed = symprobe(env=env).out
    assert "zz_good" in printed
    assert "touch" not in printed


def test_cxx_names_are_offered_without_parameters(fixture: Fixture) -> None:
    offered = completed(f"symprobe resolve {fixture('libcxx-unique.so')} ")
    assert any("::" in name for name in offered)


def test_an_unreadable_target_offers_nothing() -> None:
    assert completed("symprobe ls /no/such/file --grep re") == []


def test_symbols_of_a_rule() -> None:
    assert "quick_exit" in completed("symprobe check libc.so.6 --require quick")


def test_in_a_bash_that_someone_types_into(tmp_path: Path) -> None:
    """Installed as the user does, then the tabulator key."""
    command = tmp_path / "bin" / "symprobe"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom symprobe.cli import main\nmain()\n")
    command.chmod(0o755)
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(SCHEMAS.parents[1]),
        "TERM": "dumb",
    }
    subprocess.run(
        ["bash", "-c", "symprobe --install-completion bash; exit $?"],  # bash itself stays
        env=environment, check=True, capture_output=True,
    )  # fmt: skip
    process, terminal = pty.fork()
    if process == 0:
        os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], environment)
    try:
        os.write(terminal, b"source ~/.bashrc; PS1=READY\n")
        assert typed(terminal, b"", b"\nREADY")
        assert typed(terminal, b"symprobe ls /bin/bash --grep read_sec\t", b"read_secondary_line ")
        assert typed(terminal, b"\x15symprobe inf\t", b"symprobe info ")
    finally:
        os.close(terminal)
        os.waitpid(process, 0)


def typed(terminal: int, keys: bytes, expected: bytes) -> bool:
    """Whether a terminal shows something once keys are pressed; it is given a minute."""
    os.write(terminal, keys)
    shown, end = b"", time.monotonic() + 60
    while expected not in shown and time.monotonic() < end:
        if select.select([terminal], [], [], 1.0)[0]:
            shown += os.read(terminal, 65536).replace(b"\r", b"")
    return expected in shown
