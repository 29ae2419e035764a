"""Our own process is not in the way: of all the functions of libraries that it has mapped too."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.process import mappings
from symprobe.trace.session import Tracer
from tests.trace.helpers import ROOT, SYMPROBE, addresses, target, tracing


def _libc() -> str:
    libraries = subprocess.run(["ldd", sys.executable], capture_output=True, text=True, check=True)
    line = next(line for line in libraries.stdout.splitlines() if "libc.so" in line)
    return os.path.realpath(line.split()[2])


@pytest.mark.parametrize(("symbol", "kept"), [("*", False), ("getppid", True)])
def test_our_code_is_a_copy_where_many_functions_are_traced(symbol: str, kept: bool) -> None:
    libc = _libc()
    with tracing(libc, symbol, "--top", "1") as tracer:
        assert any(each.path == libc for each in mappings(tracer.pid))
        assert _code_is_mapped(tracer.pid, libc) is kept
        tracer.terminate()
        output, errors = tracer.communicate()
    assert errors == ""
    assert "functions in" in output or "of 1 function in" in output


def _code_is_mapped(pid: int, path: str) -> bool:
    return any(each.path == path and "x" in each.permissions for each in mappings(pid))


def test_breakpoints_of_another_tracer_are_not_copied() -> None:
    libc = _libc()
    with tracing(libc, "getppid"), tracing(libc, "*", "--top", "1") as tracer:
        assert _code_is_mapped(tracer.pid, libc)


def test_where_the_kernel_does_not_tell_what_is_changed_nothing_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as unreadable:
        unreadable.bind("unreadable")
        hide = 'mount --bind unreadable /proc/$$/smaps && exec "$0" "$@"'
        command = ["unshare", "--mount", "sh", "-c", hide, *SYMPROBE, "trace", _libc(), "*"]
        done = subprocess.run(
            [*command, "--expect", "getppid==0", "--", "true"],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
    assert done.stderr == ""
    assert done.returncode == 0


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """A library of 3,000 functions; those in the set begin with an instruction that the kernel
    refuses."""
    folder = tmp_path_factory.mktemp("many")
    chosen = random.Random(4)
    lines, bad = [".text"], set()
    good = ["push %rbx; pop %rbx", "sub $8, %rsp; add $8, %rsp", "endbr64", "nop"]
    for i in range(3000):
        code = chosen.choice(good)
        if i % 301 == 7:
            bad.add(f"f{i}")
            code = chosen.choice(["lock incl (%rdi)", "hlt", "int3", ".byte 0x06", "in $1, %al"])
        lines += [f".globl f{i}", f".type f{i}, @function", f"f{i}:", f"{code}; ret"]
        lines.append(f".skip {chosen.randrange(300)}, 0x90")
    (folder / "many.s").write_text("\n".join([*lines, '.section .note.GNU-stack,""', ""]))
    command = ["gcc", "-shared", "-nostdlib", "-o", "libmany.so", "many.s"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "libmany.so", bad


def test_of_many_functions_the_kernel_refuses_the_same(many: tuple[Path, set[str]]) -> None:
    library, bad = many
    known = addresses(library)
    names = sorted(name for name in known if name[1:].isdigit())
    with Tracer([target(library, name, known=known) for name in names]) as tracer:
        assert {refused.name for refused in tracer.refused} == bad


CALLING = """
import ctypes, os, sys
from symprobe import Binary, resolve
from symprobe.trace.session import Tracer
targets = resolve(Binary(sys.argv[1]), "*").targets
with Tracer(targets, aloof=True) as tracer:
    parents = {os.getppid() for _ in range(100)}
    forked = os.fork()
    if forked == 0:
        os._exit(len(parents))
    assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == 1
    os.posix_spawn(sys.argv[2], [sys.argv[2], "getppid", "1001"], os.environ)
    os.wait()
    print(next(hit.calls for hit in tracer.snapshot().hits if "getppid" in hit.target.names[0]))
"""


def test_a_program_started_meanwhile_is_counted_exactly(compiled: Callable[..., Path]) -> None:
    program = compiled("libcalls.c")
    found = subprocess.run(
        [sys.executable, "-c", CALLING, _libc(), program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(found.stdout.split()[-1]) >= 1001
