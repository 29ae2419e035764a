"""strace proves it: nothing is executed, nothing opened that the loader itself would not open."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import unavailable
from tests.loader import rules

ROOT = Path(__file__).parents[2]
_OPEN = re.compile(r'open(?:at2?)?\((?:AT_FDCWD, )?"([^"]*)"[^)]*\)? = (\S+)')
_MARK = "/marked-by-the-test"
_CODE = """
import os, sys
import symprobe.cli, symprobe.cli.deps, symprobe.loader.glibc, symprobe.loader.musl
from symprobe.cli.app import run
mark = "/marked" + "-by-the-test"  # not as one word: the log shows this text too
os.access(mark, 0)
code = run(sys.argv[1:])
os.access(mark, 0)
sys.exit(code)
"""


@pytest.fixture(autouse=True)
def strace() -> None:
    if shutil.which("strace") is None:
        unavailable("strace is needed")
    probe = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False)
    if probe.returncode:
        unavailable(f"strace can't trace here: {probe.stderr.decode().strip()}")


def traced(command: list[str], cwd: Path, **environment: str) -> str:
    """What strace writes of processes and files."""
    log = cwd / "strace.log"
    calls = "trace=process,open,openat,access,faccessat"
    subprocess.run(
        ["strace", "-f", "-s", "4096", "-o", log, "-e", calls, *command],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONPATH": str(ROOT), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=120,
    )
    return log.read_text(errors="replace")


def opened(log: str) -> set[str]:
    """Paths that were opened or tried, absolute."""
    return {m[1] for m in _OPEN.finditer(log)}


def own(arguments: list[str], cwd: Path, **environment: str) -> tuple[set[str], str]:
    """(what symprobe opened, the log between the marks)."""
    log = traced([sys.executable, "-c", _CODE, *arguments], cwd, **environment)
    between = log.split(_MARK)
    assert len(between) == 3, log[-2000:]
    # /proc/self/fd: once more what was opened before, now that it is known to be a regular file.
    others = (sys.base_prefix, sys.prefix, str(ROOT / "symprobe"), "/proc/self/fd/")
    return {
        path for path in opened(between[1])
        if not path.startswith(others) and not path.endswith((".py", ".pyc"))
    }, between[1]  # fmt: skip


RULES = (
    "rpath-is-inherited",
    "library-path-comes-before-runpath",
    "a-text-file-is-fatal",
    "hwcaps-subdirectories-best-first",
    "another-machine-is-passed-over",
    "legacy-hwcaps-subdirectories",
    "preloaded-libraries-come-first",
    "filter-puts-its-filtee-first",
    "what-is-missing-twice-is-searched-twice",
    "a-missing-version-is-reported",
)


@pytest.mark.parametrize("name", RULES)
def test_the_loader_opens_all_that_symprobe_opens(name: str, tmp_path: Path) -> None:
    if missing := rules.missing_tools(name):
        unavailable(f"{name} needs {', '.join(missing)}")
    rule = rules.build(name, tmp_path)
    environment = {k: v for k, v in rule.environment.items() if k.startswith("LD_")}
    arguments = ["deps", "./exe"]
    # As options: in the environment they would be for the Python that runs, too.
    if "LD_LIBRARY_PATH" in environment:
        arguments += ["--library-path", environment["LD_LIBRARY_PATH"]]
    if "LD_PRELOAD" in environment:
        arguments += ["--preload", environment["LD_PRELOAD"]]
    mine, log = own(arguments, tmp_path)
    assert not re.search(r"\b(execve|execveat|fork|vfork|clone3?)\(", log)
    # env(1) gives the program its LD_ variables: strace itself must not get them.
    given = [f"{key}={value}" for key, value in environment.items()]
    real = opened(traced(["env", *given, "LD_TRACE_LOADED_OBJECTS=1", "./exe"], tmp_path))
    allowed = real | {"./exe", rules.interpreter(), "/proc/cpuinfo"}
    assert mine - allowed == set()
    assert len(mine) > 3


QUESTIONS = ("--who malloc", "--unresolved", "--why libc.so.6", "--tree", "--json")


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_runs_anything(question: str, tmp_path: Path) -> None:
    target = shutil.which("git") or "/bin/bash"
    mine, log = own(["deps", target, *question.split()], tmp_path)
    assert not re.search(r"\b(execve|execveat|fork|vfork|clone3?)\(", log)
    real = opened(traced(["env", "LD_TRACE_LOADED_OBJECTS=1", target], tmp_path))
    assert mine - real - {target, rules.interpreter(), "/proc/cpuinfo"} == set()


def test_a_setuid_program_is_not_run(tmp_path: Path) -> None:
    target = next(
        (path for name in ("su", "passwd", "mount") if (path := shutil.which(name))), None
    )
    if target is None:
        unavailable("a setuid program is needed")
        return
    _, log = own(["deps", target], tmp_path)
    assert "execve(" not in log
