"""The progress bar: on a terminal, and only there; answers are no part of it."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.run import SCHEMAS, symprobe

COMMANDS = [("check", ("--require", "renamed"), "checking"), ("find", (), "searching")]


@pytest.mark.parametrize(("command", "options", "word"), COMMANDS)
def test_a_bar_on_a_terminal(
    fixture: Callable[[str], Path],
    tmp_path: Path,
    command: str,
    options: tuple[str, ...],
    word: str,
) -> None:
    for i in range(200):
        shutil.copy(fixture("libversioned.so"), tmp_path / f"{i}.so")
    arguments = [command, *(("renamed",) if command == "find" else ()), str(tmp_path), *options]
    answers = tmp_path.with_suffix(".out")
    leader, follower = pty.openpty()
    with answers.open("w") as output:  # no pipe: it would fill, unread
        process = subprocess.Popen(
            [sys.executable, "-m", "symprobe", *arguments],
            stdout=output, stderr=follower,
            env={**os.environ, "PYTHONPATH": str(SCHEMAS.parents[1]), "TERM": "xterm"},
        )  # fmt: skip
    os.close(follower)
    shown = b""
    while True:
        try:
            block = os.read(leader, 65536)
        except OSError:  # EIO: the last writer has closed it
            break
        if not block:
            break
        shown += block
    os.close(leader)
    assert process.wait(timeout=60) == 0
    assert word.encode() in shown
    plain = symprobe(*arguments)
    assert plain.err == ""
    assert sorted(answers.read_text().splitlines()) == sorted(plain.lines)
