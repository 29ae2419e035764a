"""Inlined copies: their number, addresses and callers, against pyelftools reading every entry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.dwarf.recipes import FORMS
from symprobe.model import VAddr
from tests.dwarf.judges import all_copies, functions, opened

SHAPES = [f"dwarf/{program}-{form}" for form in FORMS for program in ("c", "cxx")]


@pytest.mark.parametrize("name", [*SHAPES, "dwarf/c-dwz", "dwarf/cxx-dwz", "dwarf/c-m32"])
def test_every_function_s_copies(fixture: Callable[[str], Path], name: str) -> None:
    path = fixture(name)
    _, info = opened(path)
    judged = all_copies(path)
    assert judged
    for function, addresses in judged.items():
        found = info.inlined_only(function)
        assert found is not None, function
        assert found.inlined == len(addresses), function
        assert found.inlined_complete
        assert {copy.vaddr for copy in found.copies} <= addresses
        assert len(found.copies) == min(found.inlined, 8)
    assert not info.notes


@pytest.mark.parametrize("side", ["one", "two"])
def test_copies_of_functions_that_a_supplementary_file_describes(
    fixture: Callable[[str], Path], side: str
) -> None:
    path = fixture("dwarf/dwz-multi/common").with_name(f"common-{side}")
    image, info = opened(path)
    whole = {"one": "dwarf/cxx-gcc", "two": "dwarf/cxx-gcc-hidden-frames"}[side]
    for function, addresses in all_copies(fixture(whole)).items():
        found = info.inlined_only(function)
        assert found is not None, function
        assert (found.inlined, found.inlined_complete) == (len(addresses), True), function
    assert not image.warnings


def test_a_static_function_of_a_header_is_counted_in_both_units(
    fixture: Callable[[str], Path],
) -> None:
    path = fixture("dwarf/c-gcc")
    _, info = opened(path)
    addresses = {name: address for address, name in functions(path).items()}
    weighed = info.function("weighed", VAddr(addresses["weighed"]))
    assert weighed is not None
    assert {copy.caller for copy in weighed.copies} == {"first_unit", "second_unit"}
    assert weighed.inlined_complete
    assert weighed.declared_inline
    # Its own unit alone has one of them, and says that there may be more.
    own = info.function("weighed", VAddr(addresses["weighed"]), budget=0)
    assert own is not None
    assert own.inlined == info.inlined_count("weighed", VAddr(addresses["weighed"])) == 1
    assert not own.inlined_complete


def test_a_name_without_a_symbol_is_explained(fixture: Callable[[str], Path]) -> None:
    path = fixture("dwarf/c-gcc")
    _, info = opened(path)
    assert "only_inlined" not in functions(path).values()
    found = info.inlined_only("only_inlined")
    assert found is not None
    assert found.only_inlined
    assert (found.inlined, found.inlined_complete) == (1, True)
    assert found.copies[0].caller == "second_unit"
    assert [(p.name, p.type, p.register) for p in found.parameters] == [("value", "int", None)]
    assert found.file.endswith("two.c")
    clamped = info.inlined_only("clamped")
    assert clamped is not None
    assert clamped.only_inlined
    assert {copy.caller for copy in clamped.copies} >= {"first_unit", "second_unit", "visit_one"}
    assert info.inlined_only("no_such_function") is None
    assert info.inlined_only("point") is None  # a type


@pytest.mark.parametrize("form", ["gcc", "gcc-v4", "gcc-types", "clang", "clang-v4", "gcc-lto"])
def test_a_name_with_its_scopes(fixture: Callable[[str], Path], form: str) -> None:
    path = fixture(f"dwarf/cxx-{form}")
    _, info = opened(path)
    scoped = info.inlined_only("shapes::Point::sum")
    assert scoped is not None
    assert scoped.name == "shapes::Point::sum"
    linkage = info.inlined_only("_ZNK6shapes5Point3sumEv")
    assert linkage is not None
    assert (scoped.inlined, scoped.copies) == (linkage.inlined, linkage.copies)
    assert scoped.inlined > 0
    ring = info.inlined_only(f"shapes::Ring<int,{'4UL' if 'clang' in form else '4'}>::push")
    assert ring is not None
    assert not ring.only_inlined
    assert info.inlined_only("shapes::Shape::sum") is None
    assert info.inlined_only("Point::sum") is None


def test_two_static_functions_of_one_name_are_not_one(fixture: Callable[[str], Path]) -> None:
    """LTO sees through both units; a.c's and b.c's functions stay apart by their lines."""
    path = fixture("dwarf/same-names")
    _, info = opened(path)
    answers = [
        info.function("helper", VAddr(address))
        for address, name in functions(path).items()
        if name.partition(".")[0] == "helper"
    ]
    assert len(answers) == 2
    files = {Path(answer.file).name: answer.inlined for answer in answers if answer is not None}
    assert files == {"same_one.c": 2, "same_two.c": 1}


def test_a_function_that_the_linker_kept_once_is_counted_once(
    fixture: Callable[[str], Path],
) -> None:
    """Ring<int, 4>::push is compiled in both units; the copy of Point::sum in it is one."""
    path = fixture("dwarf/cxx-gcc-O0")
    _, info = opened(path)
    found = info.inlined_only("_ZNK6shapes5Point3sumEv")
    assert found is not None
    symbols = functions(path)
    callers = [symbols.get(address, "") for address in symbols if "4push" in symbols[address]]
    inside = [copy for copy in found.copies if copy.caller in callers]
    assert sorted(copy.caller for copy in inside) == sorted(callers)


def test_more_units_than_the_budget_allows_are_a_lower_bound(
    fixture: Callable[[str], Path],
) -> None:
    path = fixture("dwarf/c-gcc")
    _, info = opened(path)
    addresses = {name: address for address, name in functions(path).items()}
    few = info.function("weighed", VAddr(addresses["weighed"]), budget=1)
    assert few is not None
    assert (few.inlined, few.inlined_complete) == (1, False)
    nothing = info.inlined_only("clamped", budget=1)
    assert nothing is None or not nothing.inlined_complete
