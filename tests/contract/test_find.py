"""`find`, judged by nm over every file: what it finds, and nothing else."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import need_module
from tests.contract.support import build, elf_files, nm
from tests.support.run import symprobe, symprobe_json

Fixture = Callable[[str], Path]
Uses = set[tuple[str, str, str]]
"""(defines or imports, file, name with version)"""
TREE = "/usr/lib/x86_64-linux-gnu"


def ours(document: dict[str, Any], *, members: bool = False) -> Uses:
    """What find says of dynamic symbols (of archives' members: with them)."""
    return {
        (verb, file["path"] + (f"({o['member']})" if "member" in o else ""), _spelled(o))
        for file in document["files"]
        for verb in ("defines", "imports")
        for o in file[verb]
        if (o["table"] == "dynsym") != members
    }


def _spelled(occurrence: dict[str, Any]) -> str:
    name, version = occurrence["name"], occurrence["version"]
    return (
        name
        if version is None
        else f"{name}{'@@' if occurrence['default_version'] else '@'}{version}"
    )


def by_nm(files: list[str], names: set[str]) -> Uses:
    """The same by `nm -D` over every file."""
    found: Uses = set()
    for start in range(0, len(files), 200):
        done = subprocess.run(
            ["nm", "-D", "-A", "-p", *files[start : start + 200]], capture_output=True, check=False
        )
        for line in done.stdout.decode("utf-8", "surrogateescape").split("\n"):
            row = re.fullmatch(r"(.*):(?:[0-9a-f]+| +) (\S) (\S+)", line)
            if row is not None and row[3].partition("@")[0] in names:
                verb = "imports" if row[2] in "Uwv" and not _has_value(line) else "defines"
                found.add((verb, row[1], row[3]))
    return found


def _has_value(line: str) -> bool:
    return re.search(r":[0-9a-f]+ \S \S+$", line) is not None


def test_a_tree_against_nm() -> None:
    files = sorted(elf_files(TREE))
    sample = random.Random(3).sample(files, 40)
    letters = defaultdict(set)
    for path in sample:
        for letter, name in nm(path, "-D"):
            letters[letter].add(name.partition("@")[0])
    chosen = {min(names) for names in letters.values()} | {"memcpy", "exit", "stdout", "errno"}
    options = [part for name in chosen for part in ("-e", name)]
    document = symprobe_json("find", *options, TREE)
    expected = by_nm(files, chosen)
    assert len(expected) > 300
    # A C++ name answers to its name without parameters too; nm is asked for raw names.
    said = {use for use in ours(document) if use[2].partition("@")[0] in chosen}
    assert said == expected


def test_archives_and_objects_against_nm(fixture: Fixture, tmp_path: Path) -> None:
    for name in ("archive.a", "archive-noindex.a", "symbols.o", "archive-duplicates.a"):
        shutil.copy(fixture(name), tmp_path)
    document = symprobe_json("find", "*", tmp_path)
    for name in ("archive.a", "archive-noindex.a", "symbols.o"):
        theirs = set()
        done = subprocess.run(
            ["nm", "-A", "--extern-only", tmp_path / name],
            capture_output=True,
            text=True,
            check=True,
        )
        for line in done.stdout.splitlines():
            where, letter, symbol = re.fullmatch(r"(.*):[0-9a-f ]+ (\S) (\S+)", line).groups()  # type: ignore[union-attr]
            verb = "imports" if letter in "Uwv" and not _has_value(line) else "defines"
            path, _, member = where.partition(":")
            theirs.add((verb, path + (f"({member})" if member else ""), symbol))
        mine = {u for u in ours(document, members=True) if u[1].startswith(str(tmp_path / name))}
        assert mine <= theirs
        hidden = {use[2] for use in theirs - mine}
        assert all("hidden" in symbol or "internal" in symbol for symbol in hidden), hidden


def test_a_thin_archive(fixture: Fixture) -> None:
    path = fixture("archive-thin.a")
    thin, thick = symprobe_json("find", "*", path), symprobe_json("find", "*", fixture("archive.a"))
    assert [f["defines"] for f in thin["files"]] == [f["defines"] for f in thick["files"]]


def test_demangled_names_patterns_and_versions(fixture: Fixture, tmp_path: Path) -> None:
    for name in ("libversioned.so", "libcxx-unique.so", "librust-v0.so"):
        shutil.copy(fixture(name), tmp_path)
    rows = nm(tmp_path / "libcxx-unique.so", "-D", "--defined-only", "-C")
    assert rows
    for symbol in ("renamed@LIBV_1.0", "renamed@*", "renam*", "/^renamed$/"):
        found = ours(symprobe_json("find", symbol, tmp_path))
        versions = {use[2] for use in found}
        expected = {"renamed@LIBV_1.0"} if symbol.endswith("1.0") else {
            "renamed@LIBV_1.0", "renamed@LIBV_1.1", "renamed@@LIBV_2.0"
        }  # fmt: skip
        assert versions == expected
    done = subprocess.run(
        ["nm", "-D", "-C", "--defined-only", "libcxx-unique.so"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    full = next(
        line[19:] for line in done.stdout.splitlines() if line.endswith(")") and "::" in line
    )
    for spelling in (full, full.partition("(")[0]):
        assert symprobe("find", spelling, tmp_path, "-q").code == 0
    assert symprobe("find", full.replace("(", "(long double, "), tmp_path, "-q").code == 1


def test_one_side_only_and_exit_codes(fixture: Fixture) -> None:
    path = fixture("libversioned.so")
    assert symprobe("find", "renamed", path, "--defines").code == 0
    assert symprobe("find", "renamed", path, "--imports").code == 1
    assert symprobe("find", "no_such_symbol", path).code == 1
    assert symprobe("find", "renamed").code == 2
    assert symprobe("find", "renamed", "/no/such/dir").code == 2
    assert symprobe("find", "0x10", path).code == 2
    assert symprobe("find", "x", path, "--no-refresh").code == 2


def test_local_symbols_only_when_asked_for(tmp_path: Path) -> None:
    path = build(
        tmp_path / "l.so",
        "static __attribute__((noinline,used)) int quiet_one(void){return 1;} "
        "int loud_one(void){return quiet_one();}",
    )
    assert symprobe("find", "quiet_one", path).code == 1
    document = symprobe_json("find", "quiet_one", path, "--all")
    assert [o["bind"] for o in document["files"][0]["defines"]] == ["local"]


def test_the_parquet_table_in_duckdb(fixture: Fixture, tmp_path: Path) -> None:
    duckdb = need_module("duckdb")
    need_module("pyarrow")
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("libversioned.so", "liboddnames.so", "archive.a", "hello-pie"):
        shutil.copy(fixture(name), tree)
    table = tmp_path / "symbols.parquet"
    ran = symprobe("find", "*", tree, "--export", table)
    assert (ran.code, ran.out) == (0, "")
    document = symprobe_json("find", "*", tree)
    rows = duckdb.sql(
        f"SELECT path, member, name, version, defined, kind, size FROM '{table}'"
    ).fetchall()
    expected = {
        (f["path"], o.get("member"), o["name"], o["version"], verb == "defines", o["kind"])
        for f in document["files"]
        for verb in ("defines", "imports")
        for o in f[verb]
        if "name_hex" not in o and "member_hex" not in o
    }
    assert expected
    assert expected <= {row[:6] for row in rows}
    assert len(rows) == sum(len(f["defines"]) + len(f["imports"]) for f in document["files"])
    ids = dict(duckdb.sql(f"SELECT DISTINCT path, build_id FROM '{table}'").fetchall())
    said = subprocess.run(
        ["readelf", "-n", tree / "hello-pie"], capture_output=True, text=True, check=True
    ).stdout
    assert f"Build ID: {ids[str(tree / 'hello-pie')]}" in said
    assert symprobe("find", "*", tree, "--export", "/no/such/dir/x.parquet").code == 2


def test_results_come_while_the_search_goes_on(fixture: Fixture, tmp_path: Path) -> None:
    """The reader of a pipe gets the first lines, and may leave then: that is quiet."""
    for i in range(1000):
        shutil.copy(fixture("libversioned.so"), tmp_path / f"{i:04}.so")
    process = subprocess.Popen(
        [sys.executable, "-m", "symprobe", "find", "without_version", tmp_path, "--jobs", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert process.stdout is not None
    assert b"without_version" in process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=120) == 0
    assert process.stderr is not None
    assert process.stderr.read() == b""


def test_json_is_one_document_in_order(fixture: Fixture, tmp_path: Path) -> None:
    for i in range(200):
        shutil.copy(fixture("libversioned.so"), tmp_path / f"{i:03}.so")
    ran = symprobe("find", "without_version", tmp_path, "--json", "--jobs", "4")
    paths = [f["path"] for f in json.loads(ran.out)["files"]]
    assert paths == [str(tmp_path / f"{i:03}.so") for i in range(200)]
