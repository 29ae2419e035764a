"""Colours: on a terminal only, or when asked for; the text is the same without them."""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.run import SCHEMAS, symprobe

Fixture = Callable[[str], Path]
COMMANDS = [
    "ls libc.so.6 --grep ^exit$",
    "info /bin/sh",
    "deps /bin/sh",
    "resolve libc.so.6 exit",
    "check /bin/sh --require no_such_symbol",
    "diff libc.so.6 libm.so.6",
    "find exit /bin/sh /bin/bash --jobs 1",
]
FOR_MACHINES = [
    "ls libc.so.6 --grep ^exit$ --json",
    "info /bin/sh --json",
    "deps /bin/sh --json",
    "resolve libc.so.6 exit --json",
    "resolve libc.so.6 exit --as gdb",
    "resolve libc.so.6 exit --as systemtap",
    "check /bin/sh --require no_such_symbol --format json",
    "diff libc.so.6 libm.so.6 --json",
    "find exit /bin/sh --json",
    "doctor --json",
    "check /bin/sh --require no_such_symbol --format sarif",
    "check /bin/sh --require no_such_symbol --format junit",
    "check /bin/sh --require no_such_symbol --format github",
    "check libc.so.6 --write-contract",
    "diff libc.so.6 libm.so.6 --format markdown",
    "deps /bin/sh --dot",
]


def on_a_terminal(command: str, **environment: str) -> str:
    """What a command shows on a terminal."""
    ours, theirs = pty.openpty()
    inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
    inherited |= {"PYTHONPATH": str(SCHEMAS.parents[1]), "TERM": "xterm", **environment}
    process = subprocess.Popen(
        [sys.executable, "-m", "symprobe", *command.split()],
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env=inherited,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not block:
            break
        shown += block
    os.close(ours)
    process.wait()
    return shown.decode().replace("\r\n", "\n")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[\d+m", "", text)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_text_is_the_same_without_them(command: str) -> None:
    without = symprobe(*command.split())
    painted = symprobe(*command.split(), "--color", "always")
    assert "\x1b" not in without.out
    assert plain(painted.out) == without.out
    assert painted.code == without.code


@pytest.mark.parametrize("command", FOR_MACHINES)
def test_documents_have_none(command: str) -> None:
    assert "\x1b" not in symprobe(*command.split(), "--color", "always").out


@pytest.mark.parametrize("name", ["{a", "[a", "<a", "#a", ":a", "digraph"])
def test_a_text_is_painted_whatever_it_begins_with(
    fixture: Fixture, tmp_path: Path, name: str
) -> None:
    shutil.copy(fixture("hello-pie"), tmp_path / name)
    file = f"./{name}" if ":" in name else name
    for command in (["ls", file, "--kind", "func"], ["info", file], ["resolve", file, "main"]):
        ran = symprobe(*command, "--color", "always", cwd=tmp_path)
        assert ran.code == 0
        assert ran.lines[0].startswith(f"\x1b[1m{file}:\x1b[0m")
        document = symprobe(*command, "--json", "--color", "always", cwd=tmp_path).out
        assert document == symprobe(*command, "--json", cwd=tmp_path).out
        assert "\x1b" not in document


def test_on_a_terminal_unless_no_color_is_set() -> None:
    command = COMMANDS[0]
    without = symprobe(*command.split()).out
    shown = on_a_terminal(command)
    assert "\x1b[" in shown
    assert plain(shown) == without
    assert on_a_terminal(command, NO_COLOR="1") == without
    assert on_a_terminal(command, TERM="dumb") == without
    assert on_a_terminal(f"{command} --color never") == without
    assert on_a_terminal(f"{command} --color always", NO_COLOR="1") == shown
    assert on_a_terminal(command, NO_COLOR="") == shown  # as no-color.org has it


def test_names_can_not_paint(fixture: Fixture) -> None:
    """The escapes on a line are ours, whatever the names hold."""
    ran = symprobe("ls", fixture("liboddnames.so"), "--color", "always")
    assert set(re.findall(r"\x1b[^m]*m?", ran.out)) <= {"\x1b[1m", "\x1b[2m", "\x1b[33m", "\x1b[0m"}
    assert symprobe("ls", "libc.so.6", "--color", "sometimes").code == 2


def test_every_row_of_a_long_listing() -> None:
    """It is written many rows at a time."""
    plain = symprobe("ls", "libc.so.6", "--table", "dynsym").lines
    shown = symprobe("ls", "libc.so.6", "--table", "dynsym", "--color", "always").lines
    assert [re.sub("\x1b\\[[0-9;]*m", "", line) for line in shown] == plain
    assert all("\x1b" in line for line in shown if line)
