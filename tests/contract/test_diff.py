"""`diff`, judged by abidiff (libabigail) on real releases, and on builds made to differ."""

from __future__ import annotations

import glob
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import unavailable
from tests.contract.support import build
from tests.support.run import symprobe, symprobe_json

Fixture = Callable[[str], Path]


def abidiff(old: str | Path, new: str | Path) -> tuple[set[str], set[str]]:
    """(removed, added): symbols with their versions, as abidiff lists them."""
    if shutil.which("abidiff") is None:
        unavailable("abidiff (abigail-tools) is not installed")
    done = subprocess.run(["abidiff", old, new], capture_output=True, text=True, check=False)
    assert not done.returncode & 3, done.stderr  # the bits of errors and wrong usage
    found: dict[str, set[str]] = {"D": set(), "A": set()}
    for letter, line in re.findall(r"^\s+\[([DA])\] (.+)$", done.stdout, re.MULTILINE):
        name, _, aliases = line.partition(", aliases ")
        found[letter] |= {name, *filter(None, aliases.split(", "))}
    return found["D"], found["A"]


def ours(old: str | Path, new: str | Path) -> tuple[set[str], set[str]]:
    """The same as symprobe says it; what moved to another version has gone, for abidiff, and not
    come."""
    document = symprobe_json("diff", old, new)
    removed = {_spelled(s) for s in document["removed"]}
    added = {_spelled(s) for s in document["added"]}
    for change in document["changed"]:
        if change["what"] == "version":
            old_version = None if change["old"] == "none" else change["old"]
            removed.add(_spelled(change | {"version": old_version}))
    return removed, added


def _spelled(symbol: dict[str, Any]) -> str:
    if symbol["version"] is None:
        return str(symbol["name"])
    return f"{symbol['name']}{'@@' if symbol['default_version'] else '@'}{symbol['version']}"


def library(pattern: str) -> str:
    """A library of this machine. Skipped (in CI: failed) when it is not installed."""
    found = sorted(glob.glob(f"/usr/lib/*/{pattern}"))
    if not found:
        unavailable(f"{pattern} is not installed")
    return found[0]


def test_two_releases_of_boost() -> None:
    """Debian 12 has two releases of Boost, which can be installed beside each other."""
    old = library("libboost_filesystem.so.1.74.0")
    new = library("libboost_filesystem.so.1.81.0")
    removed, added = abidiff(old, new)
    assert len(removed) > 20
    assert len(added) > 20
    assert ours(old, new) == (removed, added)
    assert ours(new, old) == (added, removed)
    assert symprobe("diff", old, new).code == 1


def test_two_versions_of_a_debian_package(tmp_path: Path) -> None:
    """All versions of libexpat1 that this machine's package lists know; they add symbols."""
    if shutil.which("apt-get") is None:
        pytest.skip("not a Debian")
    said = subprocess.run(
        ["apt-cache", "madison", "libexpat1"], capture_output=True, text=True, check=False
    ).stdout
    versions = sorted({line.split("|")[1].strip() for line in said.splitlines()})
    if len(versions) < 2:
        pytest.skip("the package lists know one version of libexpat1 only")
    files = []
    for version in versions[:2]:
        place = tmp_path / version
        place.mkdir()
        subprocess.run(
            ["apt-get", "download", "-q", f"libexpat1={version}"],
            cwd=place, check=False, capture_output=True,
        )  # fmt: skip
        for package in place.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, place], check=True)
        files += sorted(place.rglob("libexpat.so.1"))
    if len(files) < 2:
        unavailable("libexpat1 can't be downloaded")
    assert ours(*files) == abidiff(*files)
    assert ours(*reversed(files)) == abidiff(*reversed(files))


def test_versions(fixture: Fixture, tmp_path: Path) -> None:
    """Symbols with versions that go, come and move to another version."""
    script = "V1 { global: a; b; local: *; };\nV2 { global: c; } V1;\n"
    (tmp_path / "old.map").write_text(script)
    (tmp_path / "new.map").write_text(script.replace("a; b;", "a;").replace("c;", "b; d;"))
    source = "int a(void){return 1;} int b(void){return 2;} int c(void){return 3;} "
    flag = "-Wl,--version-script="
    old = build(tmp_path / "old.so", source, f"{flag}{tmp_path / 'old.map'}")
    new = build(
        tmp_path / "new.so", source + "int d(void){return 4;}", f"{flag}{tmp_path / 'new.map'}"
    )
    assert ours(old, new) == abidiff(old, new)
    document = symprobe_json("diff", old, new)
    (change,) = document["changed"]
    assert (change["name"], change["what"]) == ("b", "version")
    assert (change["old"], change["new"], change["compatible"]) == ("V1", "V2", False)
    assert [s["name"] for s in document["removed"]] == ["c"]
    assert [s["name"] for s in document["added"]] == ["d"]


CHANGES = [
    ("int table[4];", "int table[8];", "size", False),
    ("int thing(void){return 1;}", "int thing = 1;", "kind", False),
    ("int f(void){return 1;}", "__attribute__((weak)) int f(void){return 1;}", "binding", True),
    ("int f(void){return 1;}",
     "static int g(void){return 1;} static void *r(void){return g;}"
     'int f(void) __attribute__((ifunc("r")));', "kind", True),
    ("__thread int t;", "__thread char t;", "size", False),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "what", "compatible"), CHANGES)
def test_changes(tmp_path: Path, before: str, after: str, what: str, compatible: bool) -> None:
    old, new = build(tmp_path / "old.so", before), build(tmp_path / "new.so", after)
    document = symprobe_json("diff", old, new)
    assert [(c["what"], c["compatible"]) for c in document["changed"] if c["what"] == what] == [
        (what, compatible)
    ]
    assert document["removed"] == []
    assert symprobe("diff", old, new).code == (0 if document["compatible"] else 1)


def test_soname_libraries_and_versions(tmp_path: Path) -> None:
    old = build(tmp_path / "old.so", "int f;", "-Wl,-soname,libx.so.1")
    source = "#include <math.h>\nint f; double g(double x) { return exp(x); }"
    new = build(tmp_path / "new.so", source, "-Wl,-soname,libx.so.2", "-lm")
    document = symprobe_json("diff", old, new)
    assert document["soname"] == {"old": "libx.so.1", "new": "libx.so.2"}
    assert "libm.so.6" in document["needed"]["added"]
    assert {"old": None, "new": "GLIBC_2.29"} in document["required"]
    assert not document["compatible"]


def test_the_same_file_twice(fixture: Fixture) -> None:
    for name in ("libversioned.so", "archive.a", "hello-static", "s390x/libsymbols.so"):
        ran = symprobe("diff", fixture(name), fixture(name))
        assert (ran.code, ran.out) == (0, "same: no difference for who uses it\n")


def test_another_machine(fixture: Fixture) -> None:
    document = symprobe_json(
        "diff", fixture("aarch64/libversioned.so"), fixture("s390x/libversioned.so")
    )
    assert document["machine"] == {"old": "aarch64 64 bit", "new": "s390x 64 bit"}
    assert not document["compatible"]


def test_markdown_and_odd_names(fixture: Fixture, tmp_path: Path) -> None:
    plain = build(tmp_path / "plain.so", "int f(void){return 1;}")
    ran = symprobe("diff", plain, fixture("liboddnames.so"), "--format", "markdown")
    assert ran.code == 1
    rows = [line for line in ran.lines if line.startswith("| ")]
    assert (
        len(rows) == 2 + len(symprobe_json("diff", plain, fixture("liboddnames.so"))["added"]) + 1
    )
    assert all(line.isprintable() for line in ran.lines)
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)


def test_what_can_not_be_compared(fixture: Fixture) -> None:
    for old in (fixture("hello-static-stripped"), fixture("script"), "/no/such/file"):
        ran = symprobe("diff", old, fixture("hello-static"))
        assert ran.code == 2
        assert ran.err.startswith("symprobe: ")
