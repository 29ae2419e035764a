"""`--no-refresh`: an index that can't answer is told, never taken for "nobody does"."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from symprobe.contract.index import Index
from tests.contract.support import ALL, GREPPED, as_ordinary_user, damaged, file_system, found
from tests.support.run import symprobe


@pytest.mark.parametrize("damage", ["garbage", "truncated", "overwritten", "empty", "version"])
def test_a_corrupt_index_that_is_asked_as_it_is_gives_no_answer(tree: Path, damage: str) -> None:
    """Exit code 1 would mean that no file does it. The file stays, for the run that rebuilds it."""
    index = tree.parent / "index"
    assert found(tree, "--index", index) == ALL
    left = damaged(index, damage)
    for _ in range(2):
        ran = symprobe("find", GREPPED, tree, "--index", index, "--no-refresh")
        assert (ran.code, ran.out) == (2, "")
        (line,) = ran.err.splitlines()
        assert line.startswith(f"symprobe: {index}: the index can't be used: ")
        assert line.endswith(": leave out --no-refresh to build it anew")
        assert index.read_bytes() == left
    assert not Path(f"{index}.corrupt").exists()
    assert found(tree, "--index", index) == ALL


def test_an_index_that_was_made_and_never_filled(tree: Path) -> None:
    index = tree.parent / "index"
    Index(str(index)).close()
    ran = symprobe("find", GREPPED, tree, "--index", index, "--no-refresh")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"symprobe: {tree}: not in the index: leave out --no-refresh\n"


def test_a_path_that_an_index_does_not_know_is_told(tree: Path) -> None:
    index, other = tree.parent / "index", tree.parent / "other"
    other.mkdir()
    shutil.copy(tree / "one.so", other / "five.so")
    assert found(tree, "--index", index) == ALL
    ran = symprobe("find", GREPPED, tree, other, "--index", index, "--no-refresh")
    assert (ran.code, len(ran.lines)) == (2, 3)
    assert ran.err == f"symprobe: {other}: not in the index: leave out --no-refresh\n"
    # It knows each directory and file, also those in which nothing is found.
    (tree / "empty").mkdir()
    assert found(tree, "--index", index) == ALL
    for path in (tree / "empty", tree / "one.so"):
        ran = symprobe("find", "no_such_name", path, "--index", index, "--no-refresh")
        assert (ran.code, ran.out, ran.err) == (1, "", "")


def test_a_file_system_that_was_not_entered_is_not_known(tree: Path) -> None:
    index, mounted = tree.parent / "index", tree / "mounted"
    mounted.mkdir()
    with file_system(mounted):
        shutil.copy(tree / "one.so", mounted)
        assert found(tree, "--index", index) == ALL
        assert found(tree, "--index", index, "--no-refresh") == ALL
        ran = symprobe("find", GREPPED, mounted, "--index", index, "--no-refresh")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"symprobe: {mounted}: not in the index: leave out --no-refresh\n"


def test_an_index_as_it_is_tells_what_could_not_be_read(tree: Path) -> None:
    index = tree.parent / "index"
    (tree / "closed").mkdir()
    (tree / "closed").chmod(0)
    for extra in ((), ("--no-refresh",)):
        ran = as_ordinary_user("find", GREPPED, tree, "--index", index, *extra)
        assert (ran.code, len(ran.lines)) == (2, 3)
        assert ran.err == f"symprobe: {tree}/closed: permission denied\n"
