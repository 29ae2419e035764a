"""How `symprobe trace` ends: exit codes, usage errors, one line each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.run import as_nobody, symprobe, validate
from tests.trace.helpers import traced

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("expected", "code", "said"),
    [
        (["work==23"], 0, "expected work==23: held (23 and 23)"),
        (["work==24"], 1, "expected work==24: FAILED (23 and 24)"),
        (["work>=1", "never>work"], 1, "expected never>work: FAILED (0 and 23)"),
    ],
)
def test_expectations(expected: list[str], code: int, said: str, counted: Path) -> None:
    options = [word for each in expected for word in ("--expect", each)]
    ran = symprobe("trace", counted, "work", "never", *options, "--", counted, "thread", "23")
    assert ran.code == code
    assert said in ran.lines
    document = traced(counted, "work", "never", *options, "--", counted, "thread", "23")
    outcomes = [each["held"] for each in document["expectations"]]  # type: ignore[attr-defined]
    assert all(outcomes) == (code == 0)


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["/bin/sh", "-c", "exit 3"], 1, "command: /bin/sh -c exit 3: exit 3"),
        (["/bin/sh", "-c", "kill -9 $$"], 1, "killed by SIGKILL"),
        (["no-such-command"], 2, "symprobe: no-such-command: command not found"),
        (["/etc/passwd"], 2, "can't be executed: permission denied"),
        ([], 2, "no COMMAND stands behind --"),
    ],
)
def test_commands_that_fail(command: list[str], code: int, said: str, counted: Path) -> None:
    ran = symprobe("trace", counted, "work", "--", *command)
    assert ran.code == code
    assert said in (ran.out if code == 1 else ran.err)
    if code == 2:
        assert ran.err.count("\n") == 1


def test_no_symbol_matches(counted: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for options in ([], ["--json"]):
        ran = symprobe("trace", counted, "wrok", *options, "--", "touch", mark)
        assert ran.code == 1
        assert ran.err.startswith("symprobe: wrok: not in ")
        assert "work" in ran.err
        assert not mark.exists()
    document = json.loads(ran.out)
    validate(document)
    assert document["targets"] == []
    assert document["rejected"][0]["name"] == "wrok"


def test_strict(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    words = ["trace", "libc.so.6", "pthread_spin_lock", "getppid"]
    ran = symprobe(*words, "--strict", "--", "touch", mark)
    assert ran.code == 2
    assert "pthread_spin_lock" in ran.err
    assert "without --strict" in ran.err
    assert not mark.exists()
    ran = symprobe(*words, "--", "touch", mark)
    assert ran.code == 0
    assert "not traced (1):" in ran.lines
    assert mark.exists()


def test_strict_when_nothing_else_is_asked_for() -> None:
    for name, code in ("pthread_spin_lock", 2), ("no_such_function", 1):
        assert symprobe("trace", "libc.so.6", name, "--strict", "--", "true").code == code
        assert symprobe("trace", "libc.so.6", name, "--", "true").code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-p", "1", "--", "true"], "-p and a COMMAND exclude each other"),
        (["--all"], "--all goes with a COMMAND"),
        (["--no-follow"], "--no-follow goes with -p"),
        (["--expect", "nosuch>1", "-d", "1"], "names 'nosuch', which is not traced"),
        (["--expect", "work", "-d", "1"], "is not NAME OP NUMBER"),
        (["-p", "99999999"], "there is no process 99999999"),
        (["--by", "colour"], "colour"),
        (["--output", "/no/such/directory/x", "-d", "1"], "can't be written"),
    ],
)
def test_usage(words: list[str], said: str, counted: Path) -> None:
    ran = symprobe("trace", counted, "work", *words)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_without_permission(counted: Path) -> None:
    command = [*as_nobody(), sys.executable, "-m", "symprobe"]
    done = subprocess.run(
        [*command, "trace", "/bin/sh", "main"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "tracing takes root, or CAP_BPF and CAP_PERFMON" in done.stderr
    assert "sudo" in done.stderr


def test_symbols_are_completed(counted: Path) -> None:
    line = f"symprobe trace {counted} also"
    env = {
        "_SYMPROBE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }
    assert "also_work" in symprobe(env=env).lines
