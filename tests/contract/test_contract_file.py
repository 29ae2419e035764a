"""Contracts in TOML: what they mean, what is refused, and one made from a release."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.contract.contractfile import tomllib
from tests.contract.support import build
from tests.support.run import symprobe, symprobe_json

Fixture = Callable[[str], Path]
FIRST = "int one(void) { return 1; } int two(void) { return 2; } int table[4];"
SECOND = "int one(void) { return 1; } int three(void) { return 3; } int table[4];"
SONAME = "-Wl,-soname,libx.so.1"


def test_a_contract_of_a_release_holds_for_it_and_breaks_for_another(tmp_path: Path) -> None:
    library = build(tmp_path / "libx.so", FIRST, SONAME)
    written = symprobe("check", "libx.so", "--write-contract", cwd=tmp_path)
    assert written.code == 0
    (tmp_path / "symprobe.toml").write_text(written.out)
    (table,) = tomllib.loads(written.out)["file"]
    assert table["path"] == "libx.so"
    assert table["soname"] == "libx.so.1"
    assert {"one", "two", "table"} <= set(table["require"])
    ran = symprobe("check", library, "--contract", tmp_path / "symprobe.toml")
    assert ran.code == 0, ran.out
    build(library, SECOND, "-Wl,-soname,libx.so.2")
    ran = symprobe("check", library, "--contract", tmp_path / "symprobe.toml")
    assert ran.code == 1
    assert ran.lines[:-1] == [
        f"{library}: require two: not there",
        f"{library}: soname libx.so.1: soname libx.so.2",
    ]


@pytest.mark.parametrize(
    "name", ["libversioned.so", "liboddnames.so", "libsymbols.so", "archive.a", "hello-pie",
             "librust-v0.so", "libcxx-unique.so", "s390x/libversioned.so"],
)  # fmt: skip
def test_every_file_holds_its_own_contract(fixture: Fixture, tmp_path: Path, name: str) -> None:
    contract = tmp_path / "c.toml"
    written = symprobe("check", fixture(name), "--write-contract")
    contract.write_text(written.out)
    assert tomllib.loads(written.out)["file"][0].get("require", True)
    ran = symprobe("check", fixture(name), "--contract", contract)
    assert ran.code == 0, ran.out


def test_patterns_comments_and_several_files(fixture: Fixture, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    shutil.copy(fixture("libversioned.so"), tmp_path / "lib")
    shutil.copy(fixture("hello-pie"), tmp_path / "hello")
    (tmp_path / "notes.txt").write_text("no ELF file")
    (tmp_path / "symprobe.toml").write_text(
        "# What the release promises.\n"
        '[[file]]\npath = "lib/lib*.so"   # every library\n'
        'require = ["renamed", "since_*"]\nno-missing = true\n'
        '[[file]]\npath = "hello"\nlinkage = ["dynamic-pie", "static-pie"]\nno-rpath = true\n'
        '[[file]]\npath = "*"\nforbid = "gets"\n'
    )
    document = symprobe_json("check", "--contract", "symprobe.toml", cwd=tmp_path)
    kept = {f["path"]: [r["rule"] for r in f["rules"]] for f in document["files"]}
    # The rules of all clauses that apply, in the order of the clauses.
    assert kept == {
        "./hello": ["linkage dynamic-pie,static-pie", "no-rpath", "forbid gets"],
        "./lib/libversioned.so": [
            "require renamed", "require since_*", "no-missing", "forbid gets",
        ],
    }  # fmt: skip
    assert document["held"]


def test_a_clause_about_no_file_is_broken(fixture: Fixture, tmp_path: Path) -> None:
    shutil.copy(fixture("hello-pie"), tmp_path / "hello")
    contract = tmp_path / "symprobe.toml"
    text = (
        '[[file]]\npath = "hello"\nno-rpath = true\n[[file]]\npath = "libgone.so"\nforbid = "x"\n'
    )
    contract.write_text(text)
    ran = symprobe("check", tmp_path, "--contract", contract)
    assert ran.code == 1
    assert "libgone.so: exists: no ELF file matches this path" in ran.lines
    # Files that were named are all that was asked for.
    assert symprobe("check", tmp_path / "hello", "--contract", contract).code == 0
    contract.write_text(text + "optional = true\n")
    assert symprobe("check", tmp_path, "--contract", contract).code == 0


def test_a_file_that_no_clause_is_about_is_not_held(fixture: Fixture, tmp_path: Path) -> None:
    contract = tmp_path / "symprobe.toml"
    contract.write_text('[[file]]\npath = "other"\nno-rpath = true\n')
    ran = symprobe("check", fixture("hello-pie"), "--contract", contract)
    assert ran.code == 2
    assert "no [[file]] of the contract applies to it" in ran.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no [[file]] table"),
        ("not toml", "not TOML"),
        ("[[file]]\nrequire = 'x'\n", "has no path"),
        ("[[file]]\npath = 'x'\n", "promises nothing"),
        ("[[file]]\npath = 'x'\nrequires = ['y']\n", "did you mean require?"),
        ("[[files]]\npath = 'x'\n", "did you mean file?"),
        ("[[file]]\npath = 'x'\nno-rpath = 'yes'\n", "true or false"),
        ("[[file]]\npath = 'x'\nrequire = [1]\n", "list of strings"),
        ("[[file]]\npath = 'x'\nhardening = 'armour'\n", "unknown hardening"),
        ("[[file]]\npath = 'x'\nrequire = '0x10'\n", "is a place in one file"),
        ("[[file]]\npath = 'x'\nrequire = '/(/'\n", "regular expression"),
    ],
)
def test_what_a_contract_cannot_mean(tmp_path: Path, text: str, said: str) -> None:
    contract = tmp_path / "c.toml"
    contract.write_text(text)
    ran = symprobe("check", "/bin/true", "--contract", contract)
    assert ran.code == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_path_that_toml_can_not_write(fixture: Fixture, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"odd\xff\n\x1b[1].so")
    shutil.copy(fixture("libversioned.so"), path)
    ran = symprobe("check", tmp_path, "--write-contract", cwd=tmp_path)
    assert ran.code == 0
    (tmp_path / "c.toml").write_text(ran.out)
    assert symprobe("check", tmp_path, "--contract", tmp_path / "c.toml").code == 0


@pytest.mark.parametrize("name", ["libc.so.6", "libpthread.so.0", "libstdc++.so.6", "libm.so.6"])
def test_what_is_written_of_this_machines_libraries_holds(tmp_path: Path, name: str) -> None:
    """glibc's own ask for GLIBC_PRIVATE and for version nodes without a number."""
    shutil.copy(f"/lib/x86_64-linux-gnu/{name}", tmp_path)
    contract = tmp_path / "c.toml"
    contract.write_text(symprobe("check", tmp_path, "--write-contract").out)
    ran = symprobe("check", tmp_path, "--contract", contract)
    assert (ran.code, len(ran.lines)) == (0, 1), ran
