"""Trees and indexes in a bad state: nothing is lost, nothing hangs, the exit code is right."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from symprobe.contract.check import Candidates, check
from symprobe.contract.contractfile import Clause
from symprobe.contract.find import find
from symprobe.contract.rules import RuleKind, make_rule
from symprobe.contract.subject import Surroundings
from symprobe.contract.walk import Walk
from symprobe.model import FilePath
from tests.contract.support import ALL, GREPPED, as_ordinary_user, file_system, found
from tests.support.run import SCHEMAS, symprobe, symprobe_json

Fixture = Callable[[str], Path]


def test_unreadable_directories_and_files(tree: Path) -> None:
    (tree / "closed").mkdir()
    shutil.copy(tree / "one.so", tree / "closed")
    (tree / "closed").chmod(0)
    shutil.copy(tree / "one.so", tree / "shut.so")
    (tree / "shut.so").chmod(0)
    for arguments in (
        ("find", GREPPED, tree),
        ("check", tree, "--require", GREPPED),
        ("find", GREPPED, tree, "--index", tree.parent / "index"),
        ("find", GREPPED, tree, "--index", tree.parent / "index"),
    ):
        ran = as_ordinary_user(*arguments)
        assert ran.code == 2
        errors = ran.err.splitlines()
        assert f"symprobe: {tree}/closed: permission denied" in errors
        assert f"symprobe: {tree}/shut.so: permission denied" in errors
        assert len(errors) == 2
        if arguments[0] == "find":
            assert len(ran.lines) == 3
        else:
            assert ran.out == "incomplete: 3 rules held on 3 files, 2 not checked\n"


def test_what_is_no_regular_file(tree: Path) -> None:
    os.mkfifo(tree / "fifo.so")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tree / "socket.so"))
    os.mknod(tree / "null.so", 0o644 | 0o020000, os.makedev(1, 3))
    os.mknod(tree / "below" / "zero.so", 0o644 | 0o020000, os.makedev(1, 5))
    assert found(tree) == ALL
    assert found(tree, "--index", tree.parent / "index") == ALL
    assert symprobe("check", tree, "--require", GREPPED).code == 0
    # Given by name, they are not passed over.
    assert symprobe("find", GREPPED, tree / "fifo.so").code == 2
    assert symprobe("check", tree / "null.so", "--require", GREPPED).code == 2
    listener.close()


def test_links_count_once_and_loops_end(tree: Path) -> None:
    (tree / "loop").symlink_to(tree)
    (tree / "below" / "up").symlink_to("..")
    (tree / "self").symlink_to("self")
    (tree / "again.so").symlink_to("one.so")
    (tree / "dangling.so").symlink_to("nothing")
    outside = tree.parent / "outside"
    outside.mkdir()
    shutil.copy(tree / "one.so", outside / "four.so")
    (outside / "back").symlink_to(tree)
    (tree / "door").symlink_to(outside)
    (tree / "door-again").symlink_to(outside)
    (tree / "window.so").symlink_to(outside / "four.so")
    assert found(tree) == ALL
    assert found(tree, "--follow") == [*ALL[:2], "door/four.so", ALL[2]]
    assert found(tree / "loop", "--follow") == [
        "loop/below/three.so", "loop/below/two.so", "loop/door/four.so", "loop/one.so"
    ]  # fmt: skip
    assert found(tree, tree / "below", tree / "one.so", tree) == ALL


def test_other_file_systems_are_not_entered(tree: Path) -> None:
    mounted = tree / "mounted"
    mounted.mkdir()
    with file_system(mounted):
        shutil.copy(tree / "one.so", mounted)
        assert found(tree) == ALL
        assert found(mounted) == ["mounted/one.so"]
        assert symprobe("check", tree, "--require", GREPPED).out.startswith("held: 3 rules on 3")


def test_files_that_vanish_after_they_were_seen(tree: Path) -> None:
    """Between the walk and the reading, one file at a time."""

    def vanishing() -> Iterator[str]:
        for path in Walk([str(tree)]):
            if path.endswith("two.so"):
                os.unlink(path)
            yield path

    assert sorted(os.path.basename(f.path) for f in find([GREPPED], vanishing())) == [
        "one.so", "three.so"
    ]  # fmt: skip
    candidates = Candidates()
    candidates.add(str(tree), FilePath.plain)
    os.unlink(tree / "one.so")
    clause = Clause("*", (make_rule(RuleKind.REQUIRE, GREPPED),))
    (report,) = check(candidates.files, [clause], Surroundings())
    assert report.path.endswith("three.so")
    assert report.held


def test_a_directory_that_vanishes_while_it_is_walked(tree: Path) -> None:
    seen = []
    walk = Walk([str(tree)])
    for path in walk:
        seen.append(os.path.basename(path))
        shutil.rmtree(tree / "below", ignore_errors=True)
    assert seen == ["one.so"]
    assert walk.problems == []


def test_a_tree_in_constant_change(tree: Path) -> None:
    """Whatever another process does meanwhile, what stays is found."""
    busy = subprocess.Popen(
        [sys.executable, "-c",
         "import os, shutil, sys\n"
         "top, source = sys.argv[1:]\n"
         "while True:\n"
         "  for i in range(40): shutil.copy(source, f'{top}/below/c{i}.so')\n"
         "  os.makedirs(f'{top}/new/deep'); shutil.copy(source, f'{top}/new/deep/d.so')\n"
         "  shutil.rmtree(f'{top}/new')\n"
         "  for i in range(40): os.unlink(f'{top}/below/c{i}.so')\n",
         tree, tree / "one.so"],
    )  # fmt: skip
    try:
        index = tree.parent / "index"
        for extra in ((), ("--jobs", "2"), ("--index", index), ("--index", index)):
            ran = symprobe("find", GREPPED, tree, *extra)
            assert {f"{tree}/{name}" for name in ALL} <= {
                line.partition(": ")[0].split()[-1] for line in ran.lines
            }
            # A file is there before its bytes are: half of one may be met, and is told then.
            assert ran.code == (2 if ran.err else 0)
    finally:
        busy.kill()
        busy.wait()


def test_a_hundred_thousand_small_files(tree: Path) -> None:
    for i in range(100):
        directory = tree / "many" / f"{i:02}"
        directory.mkdir(parents=True)
        for k in range(1000):
            os.close(os.open(directory / f"{k:03}", os.O_CREAT | os.O_WRONLY))
    (tree / "many" / "50" / "500").write_bytes((tree / "one.so").read_bytes())
    shutil.copy(tree / "one.so", tree / "many" / "99" / "last.so")
    expected = sorted([*ALL, "many/50/500", "many/99/last.so"])
    assert found(tree) == expected
    assert found(tree, "--index", tree.parent / "index") == expected
    assert found(tree, "--index", tree.parent / "index", "--no-refresh") == expected
    ran = symprobe("check", tree, "--require", GREPPED)
    assert ran.out == "held: 5 rules on 5 files\n"


def test_a_truncated_file_among_others(tree: Path) -> None:
    data = (tree / "one.so").read_bytes()
    (tree / "cut.so").write_bytes(data[:40])
    ran = symprobe("find", GREPPED, tree)
    assert (ran.code, len(ran.lines)) == (2, 3)
    assert f"{tree}/cut.so: " in ran.err
    ran = symprobe("check", tree, "--require", GREPPED)
    assert (ran.code, ran.lines[-1]) == (2, "incomplete: 3 rules held on 3 files, 1 not checked")
    index = tree.parent / "index"
    for extra in ((), (), ("--no-refresh",)):
        assert symprobe("find", GREPPED, tree, "--index", index, *extra).code == 2


# -- processes


def test_ctrl_c_ends_all_processes(tree: Path) -> None:
    for i in range(2000):
        shutil.copy(tree / "one.so", tree / f"{i:04}.so")
    environment = {**os.environ, "PYTHONPATH": str(SCHEMAS.parents[1])}
    run = subprocess.Popen(
        [sys.executable, "-m", "symprobe", "find", GREPPED, tree, "--jobs", "2"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert run.stdout is not None
    assert run.stderr is not None
    run.stdout.readline()
    os.killpg(run.pid, signal.SIGINT)
    out = run.stdout.read()
    assert run.wait(timeout=60) in (0, 2)
    errors = run.stderr.read().decode()
    assert "Traceback" not in errors
    if run.returncode == 2:
        assert errors == "symprobe: interrupted\n"
    else:
        assert out.count(b"\n") == 2002  # it was done already
    with pytest.raises(ProcessLookupError):
        os.killpg(run.pid, 0)


def test_a_killed_worker_is_an_error_not_a_hang(tree: Path) -> None:
    """A result is lost with it: that must not look like an answer."""
    code = (
        "import os, signal, sys\n"
        "from symprobe.contract.pool import parallel\n"
        "from symprobe.errors import SymprobeError\n"
        "def work(items):\n"
        "    if 900 in items: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return items\n"
        "try: list(parallel(work, range(1000), jobs=2))\n"
        "except SymprobeError as error: sys.exit(error.what)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SCHEMAS.parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert "worker process was killed" in done.stderr


def test_reports_keep_the_order_of_the_files(tree: Path) -> None:
    for i in range(300):
        shutil.copy(tree / "one.so", tree / f"{i:03}.so")
    document = symprobe_json("check", tree, "--require", GREPPED, "--jobs", "3")
    paths = [file["path"] for file in document["files"]]
    assert len(paths) == 303
    assert paths == sorted(paths, key=lambda p: ("/below/" in p, p))
