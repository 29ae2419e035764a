"""Standard streams in every bad state: an answer that could not be written is an error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.run import SCHEMAS

Fixture = Callable[[str], Path]
COMMANDS = [
    "ls libc.so.6",
    "ls libc.so.6 --json",
    "ls libc.so.6 --count",
    "info libc.so.6",
    "info libc.so.6 --json",
    "deps /bin/sh",
    "resolve libc.so.6 exit",
    "check libc.so.6 --require exit -v",
    "check libc.so.6 --require exit --format junit",
    "check libc.so.6 --write-contract",
    "diff libc.so.6 libc.so.6",
    "find exit /lib/x86_64-linux-gnu/libc.so.6",
    "find exit /lib/x86_64-linux-gnu/libc.so.6 --json",
    "doctor",
    "--help",
    "ls --help",
    "--version",
]
FULL = (
    "symprobe: standard output: can't be written: No space left on device: "
    "make room, or write elsewhere\n"
)


def shell(text: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A shell command in which symprobe stands for this one, as users redirect its streams."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON"))}
    inherited["PYTHONPATH"] = str(SCHEMAS.parents[1])
    function = f'symprobe() {{ "{sys.executable}" -m symprobe "$@"; }}'
    return subprocess.run(
        ["bash", "-c", f"{function}\n{text}"],
        capture_output=True, env={**inherited, **environment}, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_disk(command: str, buffered: str) -> None:
    done = shell(f"symprobe {command} > /dev/full", PYTHONUNBUFFERED=buffered)
    assert (done.returncode, done.stderr.decode()) == (2, FULL)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_stdout(command: str) -> None:
    done = shell(f"symprobe {command} >&-")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"Bad file descriptor" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_leaves(command: str) -> None:
    done = shell(f"symprobe {command} | true; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) in ((0, b""), (1, b""))


def test_stderr_and_stdin_that_are_closed_or_full() -> None:
    for redirection in ("2>&-", "2>/dev/full", "<&-", "<&- 2>&-"):
        done = shell(f"symprobe ls libc.so.6 --count {redirection}")
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.split()[0].isdigit()
        assert shell(f"symprobe ls /no/such {redirection}").returncode == 2
    assert shell("symprobe ls /no/such <&- >&- 2>&-").returncode == 2


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LC_ALL": "C.UTF-8"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
)
def test_json_is_the_same_in_every_locale(fixture: Fixture, environment: dict[str, str]) -> None:
    """Names that are not ASCII included: escapes of Python's are no JSON."""
    text = f"symprobe ls {fixture('liboddnames.so')} --json"
    expected = shell(text, LC_ALL="C.UTF-8").stdout
    assert any(not s["name"].isascii() for s in json.loads(expected)["files"][0]["symbols"])
    done = shell(text, **environment)
    assert (done.returncode, done.stdout) == (0, expected)


def test_text_in_a_locale_without_utf_8_is_escaped(fixture: Fixture) -> None:
    path = fixture("liboddnames.so")
    done = shell(f"symprobe ls {path}", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    assert len(done.stdout.splitlines()) == len(shell(f"symprobe ls {path}").stdout.splitlines())
