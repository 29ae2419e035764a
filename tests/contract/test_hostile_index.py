"""An index that somebody else has written: put aside, never believed blindly, never evaluated."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from tests.support.run import symprobe

NAME, FILE = "malloc", os.path.realpath("/bin/sh")
"""A file that was not written just now: such a one is read anew each time."""
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
STRANGE = {
    "a path that is a number": "UPDATE files SET path = 5",
    "a build ID that is bytes": "UPDATE files SET build_id = x'00'",
    "a member that is a number": "UPDATE symbols SET member = 7",
    "a version that is a fraction": "UPDATE symbols SET version = 3.5",
    "a size that is no number": "UPDATE symbols SET size = 'x'",
    "an address below zero": "UPDATE symbols SET address = '-1'",
    "a kind that is bytes": "UPDATE symbols SET kind = x'ff'",
    "a kind for the terminal": "UPDATE symbols SET kind = char(27) || '[2J'",
    "a kind that is nothing": "UPDATE symbols SET kind = NULL",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON files BEGIN DELETE FROM files; END",
    "an endless view": f"DROP TABLE names; CREATE VIEW names AS {ENDLESS}",
    "another table": "CREATE TABLE more (x)",
    "another version": "PRAGMA user_version = 99",
}


@pytest.mark.parametrize("statements", STRANGE.values(), ids=STRANGE)
def test_what_symprobe_does_not_write(statements: str, tmp_path: Path) -> None:
    index = tmp_path / "index"
    first = symprobe("find", NAME, FILE, "--index", index)
    assert first.code == 0
    with sqlite3.connect(index) as connection:
        connection.executescript(statements)
    connection.close()
    ran = symprobe("find", NAME, FILE, "--index", index)
    assert (ran.code, ran.out) == (0, first.out)
    assert f"kept as {index}.corrupt, rebuilt" in ran.err
    again = symprobe("find", NAME, FILE, "--index", index, "--no-refresh")
    assert (again.code, again.out, again.err) == (0, first.out, "")


def test_another_programs_database_is_not_changed(tmp_path: Path) -> None:
    """Not even its journal's mode, which would stay."""
    other = tmp_path / "other"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE places (x)")
    connection.close()
    before = other.read_bytes()
    assert symprobe("find", NAME, FILE, "--index", other).code == 2
    assert other.read_bytes() == before
