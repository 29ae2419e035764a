"""Names as people read them, against `nm -C`, whose demangler is GNU binutils' own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.build import recipes
from tests.elf.test_against_readelf import NOT_ELF, sample_of_this_machine
from tests.support.nm import demangled_names, name_differences

Fixture = Callable[[str], Path]

# A name with a newline makes two lines of nm's; test_symbols.py judges those by their bytes.
NAMED = sorted(
    name
    for name in recipes()
    if name not in NOT_ELF and not name.endswith(".a") and "oddnames" not in name
)


@pytest.mark.parametrize("name", NAMED)
def test_fixture(fixture: Fixture, name: str) -> None:
    assert name_differences(str(fixture(name))) == []


def test_the_fixtures_have_names_worth_reading(fixture: Fixture) -> None:
    names = demangled_names(str(fixture("cxx-O0")), "symtab")
    assert "(anonymous namespace)::in_anonymous(int)" in names
    assert any("{lambda(long, long)#1}" in name for name in names)
    assert any("outer::v2::Square::Square(outer::v2::Square const&)" in name for name in names)
    rust = demangled_names(str(fixture("rust-v0")), "symtab")
    assert any("hello::shapes::Square as hello::shapes::Area" in name for name in rust)


def test_sample_of_this_machine() -> None:
    paths = [path for path in sample_of_this_machine() if not path.endswith(".a")]
    assert [line for path in paths for line in name_differences(path)] == []
