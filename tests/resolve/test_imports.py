"""Patterns on names that a file only imports, against what nm and readelf say of the provider."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.run import symprobe, symprobe_json
from tests.trace.helpers import addresses, file_offset

LIBRARY = """
#define NEXT __asm__("nop")
extern "C" {
int shape_one(void) { NEXT; return 1; }
int shape_two(void) { NEXT; NEXT; return 2; }
int shape_other(void) { return 3; }
int shape_data = 4;
}
int shape_one(int x) { return x; }
"""
USER = """
extern int shape_one(void), shape_two(void), shape_data;
int %s_own(void) { return shape_one() + shape_two() + shape_data; }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """libshape.so, and what imports from it: with a function like those, without, without any, and
    linked without the library."""
    folder = tmp_path_factory.mktemp("imports")
    (folder / "shape.cpp").write_text(LIBRARY)
    (folder / "like.c").write_text(USER % "shape")
    (folder / "unlike.c").write_text(USER % "my")
    (folder / "table.c").write_text(
        "int shape_one(void), shape_two(void); void *table[] = {shape_one, shape_two};"
    )
    build = ["gcc", "-O1", "-fPIC", "-shared", "-nostdlib", "-o"]
    linked = ["-Wl,--no-as-needed,-rpath,$ORIGIN", "-L.", "-lshape"]
    for command in (
        [*build, "libshape.so", "shape.cpp"],
        [*build, "like.so", "like.c", *linked],
        [*build, "unlike.so", "unlike.c", *linked],
        [*build, "table.so", "table.c", *linked],
        [*build, "alone.so", "table.c"],
    ):
        subprocess.run(command, cwd=folder, check=True)
    return folder


def found(*arguments: str | Path, **options: object) -> dict[str, tuple[str, int]]:
    """The file and offset of each target by its first name."""
    document = symprobe_json("resolve", *arguments, **options)
    assert document["targets"]
    return {t["names"][0]: (t["path"], t["offset"]) for t in document["targets"]}


def provided(folder: Path, *names: str) -> dict[str, tuple[str, int]]:
    library = folder / "libshape.so"
    known = addresses(library)
    return {name: (str(library), file_offset(library, known[name])) for name in names}


@pytest.mark.parametrize("pattern", ["shape*", "?hape_*", "/^shape_/", "shape_[a-z]wo", "/one$/"])
def test_a_pattern_leads_to_the_library_that_provides(folder: Path, pattern: str) -> None:
    names = {"shape_[a-z]wo": ["shape_two"], "/one$/": ["shape_one"]}.get(
        pattern, ["shape_one", "shape_two"]
    )
    user = folder / "unlike.so"
    assert found(user, pattern) == provided(folder, *names) == found(user, *names)
    note = f"imported by {user}, which the loader binds to {folder}/libshape.so"
    for target in symprobe_json("resolve", user, pattern)["targets"]:
        assert target["notes"][0] == note


def test_what_is_defined_is_all_that_a_pattern_means(folder: Path) -> None:
    assert {(path, name) for name, (path, _) in found(folder / "like.so", "shape*").items()} == {
        (str(folder / "like.so"), "shape_own")
    }


def test_not_followed_it_is_undefined(folder: Path) -> None:
    plain = symprobe("resolve", folder / "unlike.so", "shape_one", "shape_two", "--no-follow")
    ran = symprobe("resolve", folder / "unlike.so", "shape*", "--no-follow")
    assert (ran.code, ran.err) == (1, "")
    assert sorted(ran.lines) == sorted(plain.lines)
    assert [line.rpartition("  ")[2] for line in ran.lines] == ["[undefined]"] * 2


def test_a_name_linked_without_its_library(folder: Path) -> None:
    """It has no kind in the table of the file that imports it."""
    user, library = folder / "alone.so", folder / "libshape.so"
    preloaded = {"LD_PRELOAD": str(library)}
    assert found(user, "shape*", env=preloaded) == provided(folder, "shape_one", "shape_two")
    ran = symprobe("resolve", user, "shape*")
    assert ran.code == 1
    assert len(ran.lines) == 2
    assert all("no library that it needs defines it  [undefined]" in line for line in ran.lines)


def test_all_functions_are_those_of_the_file_itself(folder: Path) -> None:
    """`*` alone is no question about other files; who wants that is told how."""
    ran = symprobe("resolve", folder / "table.so", "*")
    assert (ran.code, ran.err) == (1, "")
    assert ran.out == (
        f"no probe: *: {folder}/table.so defines no function by name; "
        "'?*' means those that it imports  [not-found]\n"
    )
    assert found(folder / "table.so", "?*") == provided(folder, "shape_one", "shape_two")


def test_versions_and_distances_of_imports() -> None:
    """Of a program of this machine, bound to libc."""
    (plain,) = symprobe_json("resolve", "/bin/ls", "malloc")["targets"]
    (versioned,) = symprobe_json("resolve", "/bin/ls", f"mallo*@{plain['version']}")["targets"]
    assert versioned == plain
    ran = symprobe("resolve", "/bin/ls", "mallo*@GLIBC_9")
    assert (ran.code, ran.out) == (
        1, "no probe: mallo*@GLIBC_9: no function of /bin/ls matches  [not-found]\n"
    )  # fmt: skip
    (behind,) = symprobe_json("resolve", "/bin/ls", "mallo*+4")["targets"]
    assert behind["offset"] == plain["offset"] + 4
