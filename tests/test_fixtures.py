"""The fixtures are what their recipes say; building them is lazy, parallel and exact."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.build import FIXTURES, FixtureBrokenError, Recipe, _build
from fixtures.recipes import LINKAGES
from tests.conftest import unavailable
from tests.support.readelf import run

Fixture = Callable[[str], Path]


def output(path: Path, *arguments: str) -> str:
    try:
        result = subprocess.run(
            [path, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
        )
    except OSError as error:  # a kernel without 32-bit programs, no musl loader
        unavailable(f"{path.name} does not run here: {error}")
        raise
    return result.stdout


@pytest.mark.parametrize("linkage", LINKAGES)
def test_uprobeme_counts_its_own_calls(fixture: Fixture, linkage: str) -> None:
    path = fixture(f"uprobeme-{linkage}")
    assert output(path, "--count", "1000") == "foo=1000 bar=670\n"
    assert output(path, "--count", "17,23") == "foo=17 bar=23\n"
    foos, bars = map(int, re.findall(r"\d+", output(path, "0.1")))
    assert (foos, bars) == (10, 7), "100 and 67 a second"


def test_foo_and_bar_are_two_functions(fixture: Fixture) -> None:
    symbols = run("nm", str(fixture("uprobeme-pie")))
    assert len(set(re.findall(r"([0-9a-f]+) T (?:foo|bar)$", symbols, re.MULTILINE))) == 2


@pytest.mark.parametrize(
    ("linkage", "type_", "interpreter", "dynamic"),
    [
        ("static", "EXEC", False, False),
        ("static-pie", "DYN", False, True),
        ("pie", "DYN", True, True),
        ("nopie", "EXEC", True, True),
        ("musl-static", "EXEC", False, False),
        ("musl", "DYN", True, True),
        ("m32", "DYN", True, True),
        ("m32-static", "EXEC", False, False),
    ],
)
@pytest.mark.parametrize("suffix", ["", "-stripped"])
def test_hello_is_linked_as_its_name_says(
    fixture: Fixture, linkage: str, type_: str, interpreter: bool, dynamic: bool, suffix: str
) -> None:
    said = run("readelf", "-hlSW", str(fixture(f"hello-{linkage}{suffix}")))
    assert re.search(rf"Type: +{type_} ", said)
    assert ("  INTERP " in said, "  DYNAMIC " in said) == (interpreter, dynamic)
    assert (" .symtab " in said) == (suffix == "")


@pytest.mark.parametrize(
    ("name", "tags"),
    [
        ("libhash-sysv.so", {"HASH"}),
        ("libhash-gnu.so", {"GNU_HASH"}),
        ("libhash-both.so", {"HASH", "GNU_HASH"}),
    ],
)
def test_hash_styles(fixture: Fixture, name: str, tags: set[str]) -> None:
    said = run("readelf", "-dW", str(fixture(name)))
    assert set(re.findall(r"\(((?:GNU_)?HASH)\)", said)) == tags


def test_packed_relocations(fixture: Fixture) -> None:
    assert "(RELR)" in run("readelf", "-dW", str(fixture("librelr.so")))


def test_a_build_is_not_repeated_and_may_run_in_many_processes() -> None:
    command = [sys.executable, str(FIXTURES / "build.py"), "rebuilt.o"]
    subprocess.run(command, check=True, capture_output=True)
    path = FIXTURES / "build" / "rebuilt.o"
    first = path.stat()
    subprocess.run(command, check=True, capture_output=True)
    assert path.stat().st_mtime_ns == first.st_mtime_ns
    path.unlink()
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert path.stat().st_size == first.st_size


def test_a_recipe_that_fails_says_what_it_ran() -> None:
    broken = Recipe("broken-recipe", steps=(("gcc", "--no-such-option"),))
    with pytest.raises(FixtureBrokenError, match="gcc --no-such-option"):
        _build(broken)
