"""Commands on one file, each in a child process of its own: how they end, and what they take."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from typing import NamedTuple

from symprobe.cli.app import run

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("ls", "--usdt"),
    ("ls", "--json"),
    ("info",),
    ("deps", "--json"),
    ("resolve", "{}", "*"),
    ("check", "--no-missing", "--forbid", "gets", "--max-version", "GLIBC_2.31"),
)
"""Without an argument {} the file comes last."""
USUAL_CPU, USUAL_MEMORY = 1.0, 200 << 20
"""Seconds of processor time and bytes beyond which a command is told, not blamed."""
_CPU, _MEMORY = 60, 4 << 30


class Ran(NamedTuple):
    """faults: what must not be, a clause each.  heavy: what it took, if beyond the usual."""

    command: str
    code: int
    faults: tuple[str, ...]
    heavy: str


def run_all(path: str, *, elf: bool) -> list[Ran]:
    """All commands on a file; those that say most of one that is not ELF."""
    _import_all()
    return [_run(command, path) for command in COMMANDS if elf or command[0] in ("info", "deps")]


@cache
def _import_all() -> None:
    """What commands import late is imported here, in the process that forks: run them once."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        for command in COMMANDS:
            run(_arguments(command, "/bin/true"))


def _arguments(command: tuple[str, ...], path: str) -> list[str]:
    arguments = [path if part == "{}" else part for part in command]
    return arguments if "{}" in command else [*arguments, path]


def _run(command: tuple[str, ...], path: str) -> Ran:
    return _result(" ".join(command), lambda: run(_arguments(command, path)))


def _result(command: str, work: Callable[[], int]) -> Ran:
    """What came of a command's work."""
    with tempfile.TemporaryFile() as errors:
        before = _resident()
        status, usage = _in_child(work, errors.fileno())
        errors.seek(0)
        said = errors.read()
    memory = max(0, usage.ru_maxrss * 1024 - before)
    cpu = usage.ru_utime + usage.ru_stime
    heavy = ""
    if cpu > USUAL_CPU or memory > USUAL_MEMORY:
        heavy = f"{cpu:.1f} s, {memory >> 20} MiB"
    code = os.waitstatus_to_exitcode(status)
    return Ran(command, code, tuple(_faults(code, said)), heavy)


def _faults(code: int, said: bytes) -> list[str]:
    """said: what the command wrote to stderr."""
    lines = said.decode(errors="replace").splitlines()
    found = []
    if code not in (0, 1, 2):
        found.append(f"exit code {code}")
    if any(line.startswith("Traceback") for line in lines):
        found.append(f"a traceback: {lines[-1]}")
    if any(not line.startswith("symprobe: ") for line in lines):
        found.append("stderr holds other lines than symprobe's")
    if code == 2 and not lines:
        found.append("exit code 2 without a word")
    return found


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _in_child(work: Callable[[], int], errors: int) -> tuple[int, resource.struct_rusage]:
    """(wait status, what it took) of work done in a child, within limits no answer needs."""
    child = os.fork()
    if child:
        _, status, usage = os.wait4(child, 0)
        return status, usage
    try:
        code = 70
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU, _CPU + 1))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1):
            os.dup2(nowhere, number)
        os.dup2(errors, 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        code = work()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
