"""The index of find: whatever happens to it or to the tree, the answer is that of a search."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.contract.index import Index
from symprobe.contract.refresh import refresh
from tests.contract.support import (
    ALL,
    GREPPED,
    as_ordinary_user,
    build,
    damaged,
    file_system,
    found,
)
from tests.support.run import SCHEMAS, symprobe

Fixture = Callable[[str], Path]


def test_an_index_follows_every_change(fixture: Fixture, tree: Path) -> None:
    index = tree.parent / "index"
    assert found(tree, "--index", index) == ALL
    shutil.copy(fixture("libversioned.so"), tree / "below" / "new.so")
    os.unlink(tree / "below" / "two.so")
    os.rename(tree / "below" / "three.so", tree / "moved.so")
    expected = ["below/new.so", "moved.so", "one.so"]
    assert found(tree, "--index", index) == expected == found(tree)
    # In place, with the same length and time: the change of status tells.
    other = build(tree.parent / "other.so", "int unrelated(void) { return 1; }")
    status = os.stat(tree / "one.so")
    data = other.read_bytes()[: status.st_size].ljust(status.st_size, b"\0")
    with open(tree / "one.so", "r+b") as file:
        file.write(data)
    os.utime(tree / "one.so", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert found(tree, "--index", index) == found(tree) == expected[:2]
    # A text file becomes a library, in place.
    (tree / "text").write_text("x")
    assert found(tree, "--index", index) == expected[:2]
    (tree / "text").write_bytes((tree / "moved.so").read_bytes())
    assert found(tree, "--index", index) == [*expected[:2], "text"]


def settled(tree: Path, index: Path) -> None:
    """An index of a tree that rests: changes of two seconds ago are told by times."""
    time.sleep(2.1)
    for _ in range(2):  # the first one may meet what was written a moment before it
        assert found(tree, "--index", index) == ALL


def looked_at(tree: Path, index: Path) -> int:
    """How many files a refresh of the index compares or reads."""
    steps: list[int] = []
    opened = Index(str(index))
    refresh(opened, [str(tree)], progress=steps.append)
    opened.close()
    return sum(steps)


def test_an_index_at_rest_is_not_walked_and_misses_nothing(fixture: Fixture, tree: Path) -> None:
    index = tree.parent / "index"
    for i in range(50):
        (tree / f"{i}.txt").write_text("some text")
    (tree / "text").write_text("x")
    settled(tree, index)
    assert looked_at(tree, index) == 0
    library = fixture("libversioned.so")
    # Overwritten in place, which no directory tells: a library, a text without an ending.
    other = build(tree.parent / "other.so", "int unrelated(void) { return 1; }").read_bytes()
    data = (tree / "one.so").read_bytes()
    (tree / "one.so").write_bytes(other)
    (tree / "text").write_bytes(data)
    assert looked_at(tree, index) == 2
    assert found(tree, "--index", index) == [*ALL[:2], "text"]
    (tree / "one.so").write_bytes(data)
    os.unlink(tree / "text")
    assert found(tree, "--index", index) == ALL
    # What a directory tells: come, gone, replaced, deep below.
    settled(tree, index)
    (tree / "a" / "b").mkdir(parents=True)
    shutil.copy(library, tree / "a" / "b" / "c.so")
    assert found(tree, "--index", index) == ["a/b/c.so", *ALL]
    settled_index = tree.parent / "index-2"
    shutil.rmtree(tree / "a")
    settled(tree, settled_index)
    os.rename(tree / "below", tree / "beside")
    assert found(tree, "--index", settled_index) == ["beside/three.so", "beside/two.so", "one.so"]


def test_the_one_change_that_needs_refresh(tree: Path) -> None:
    """A file that is text by its name and content, overwritten in place: as documented."""
    index = tree.parent / "index"
    (tree / "notes.txt").write_text("some text")
    settled(tree, index)
    (tree / "notes.txt").write_bytes((tree / "one.so").read_bytes())
    assert found(tree, "--index", index) == ALL
    assert found(tree, "--index", index, "--refresh") == [*ALL[:2], "notes.txt", ALL[2]]
    assert found(tree, "--index", index) == [*ALL[:2], "notes.txt", ALL[2]]
    assert symprobe("find", GREPPED, tree, "--refresh").code == 2


def test_an_index_at_rest_and_mounts(tree: Path) -> None:
    index, mounted = tree.parent / "index", tree / "below"
    settled(tree, index)
    with file_system(mounted):
        assert found(tree, "--index", index) == ["one.so"]
        time.sleep(2.1)
        assert found(tree, "--index", index) == ["one.so"]
        assert looked_at(tree, index) == 0
    assert found(tree, "--index", index) == ALL


def test_an_index_at_rest_tells_what_can_not_be_read(tree: Path) -> None:
    index = tree.parent / "index"
    (tree / "closed").mkdir()
    shutil.copy(tree / "one.so", tree / "closed" / "four.so")
    (tree / "closed").chmod(0)
    time.sleep(2.1)
    for _ in range(3):
        ran = as_ordinary_user("find", GREPPED, tree, "--index", index)
        assert (ran.code, len(ran.lines)) == (2, 3)
        assert ran.err == f"symprobe: {tree}/closed: permission denied\n"
    # Who may read it does.
    assert found(tree, "--index", index) == sorted([*ALL, "closed/four.so"])


def test_a_thin_archive_in_an_index(fixture: Fixture, tree: Path) -> None:
    """Its members are other files: it stays as it is when they change."""
    build(tree / "m.o", "int first_name(void) { return 1; }", "-c")
    subprocess.run(["ar", "rcT", "thin.a", "m.o"], cwd=tree, check=True)
    time.sleep(2.1)
    index = tree.parent / "index"
    for _ in range(2):
        assert symprobe("find", "first_name", tree, "--index", index).out.count("thin.a(m.o)") == 1
    build(tree / "m.o", "int second_name(void) { return 1; }", "-c")
    ran = symprobe("find", "second_name", tree, "--index", index)
    assert ran.out.count("thin.a(m.o)") == 1


def test_an_index_knows_several_trees_apart(tree: Path) -> None:
    index = tree.parent / "index"
    assert found(tree / "below", "--index", index) == ALL[:2]
    assert found(tree, "--index", index) == ALL
    assert found(tree / "below", "--index", index, "--no-refresh") == ALL[:2]
    ran = symprobe("find", GREPPED, "below", "--index", index, "--no-refresh", cwd=tree)
    assert len(ran.lines) == 2


def test_no_refresh_reads_nothing_else(tree: Path) -> None:
    index = tree.parent / "index"
    assert symprobe("find", GREPPED, tree, "--index", index, "--no-refresh").code == 2
    assert found(tree, "--index", index) == ALL
    shutil.rmtree(tree)
    assert found(tree, "--index", index, "--no-refresh") == ALL
    assert found(tree.parent, "--index", index, code=1) == []


def test_a_corrupt_index_met_by_several_runs_at_once(tree: Path) -> None:
    """One of them puts it aside, once: what was there is kept, none loses its answer."""
    index = tree.parent / "index"
    garbage = b"this was never a database\n" * 100
    index.write_bytes(garbage)
    command = [sys.executable, "-m", "symprobe", "find", GREPPED, tree, "--index", index]
    environment = {**os.environ, "PYTHONPATH": str(SCHEMAS.parents[1])}
    runs = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
        )
        for _ in range(5)
    ]
    said = ""
    for run in runs:
        out, err = run.communicate(timeout=120)
        assert (run.returncode, len(out.splitlines())) == (0, 3), err
        said += err
    assert said == f"symprobe: {index}: corrupt: kept as {index}.corrupt, rebuilt\n"
    assert Path(f"{index}.corrupt").read_bytes() == garbage


@pytest.mark.parametrize("damage", ["garbage", "truncated", "overwritten", "empty"])
def test_a_corrupt_index_is_rebuilt_and_that_is_said(tree: Path, damage: str) -> None:
    index = tree.parent / "index"
    assert found(tree, "--index", index) == ALL
    damaged(index, damage)
    ran = symprobe("find", GREPPED, tree, "--index", index)
    assert ran.code == 0
    assert len(ran.lines) == 3
    if damage != "empty":
        assert ran.err == f"symprobe: {index}: corrupt: kept as {index}.corrupt, rebuilt\n"
        assert Path(f"{index}.corrupt").stat().st_size > 0
    assert found(tree, "--index", index, "--no-refresh") == ALL


def test_the_database_of_another_program_is_left_alone(tree: Path) -> None:
    index = tree.parent / "precious"
    with sqlite3.connect(index) as connection:
        connection.execute("CREATE TABLE notes (text)")
        connection.execute("INSERT INTO notes VALUES ('dear')")
    connection.close()
    ran = symprobe("find", GREPPED, tree, "--index", index)
    assert ran.code == 2
    assert "another program" in ran.err
    with sqlite3.connect(index) as connection:
        assert connection.execute("SELECT text FROM notes").fetchall() == [("dear",)]
    connection.close()


def test_an_index_that_can_not_be_written(tree: Path) -> None:
    ran = symprobe("find", GREPPED, tree, "--index", "/no/such/dir/index")
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1


def test_several_runs_on_one_index_at_once(tree: Path) -> None:
    for i in range(200):
        shutil.copy(tree / "one.so", tree / f"{i:03}.so")
    index = tree.parent / "index"
    command = [sys.executable, "-m", "symprobe", "find", GREPPED, tree, "--index", index]
    environment = {**os.environ, "PYTHONPATH": str(SCHEMAS.parents[1])}
    runs = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True
        )
        for _ in range(4)
    ]
    for run in runs:
        out, err = run.communicate(timeout=300)
        assert (run.returncode, err) == (0, "")
        assert len(out.splitlines()) == 203
    assert len(found(tree, "--index", index, "--no-refresh")) == 203


def test_a_run_that_is_killed_leaves_the_index_usable(tree: Path) -> None:
    for i in range(300):
        shutil.copy(tree / "one.so", tree / f"{i:03}.so")
    index = tree.parent / "index"
    command = [sys.executable, "-m", "symprobe", "find", GREPPED, tree, "--index", index]
    environment = {**os.environ, "PYTHONPATH": str(SCHEMAS.parents[1])}
    run = subprocess.Popen([*command, "--jobs", "2"], env=environment, stdout=subprocess.DEVNULL)
    while not index.exists() and run.poll() is None:
        time.sleep(0.001)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert len(found(tree, "--index", index)) == 303
