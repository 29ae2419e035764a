"""Where parameters are at a function's first instruction: what a running program has there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.dwarf import FunctionInfo
from symprobe.model import VAddr
from tests.dwarf.judges import GDB, functions, opened, run

SIZES = {1: "b", 2: "h", 4: "w", 8: "g"}
CALLED_WITH = {
    "scalars": [1, 2, 3, 4, 5, 6, None, None],  # the last two are on the stack
    "floats": [1.0, 2.0, 3, None, 5.0],
    "flags": [0, 6, 3, 4],
}
"""What fixtures/dwarf/one.c calls its functions with, by parameter; None: not in a register."""


def answers(path: Path) -> dict[str, FunctionInfo]:
    _, info = opened(path)
    found = {name: info.function(name, VAddr(a)) for a, name in functions(path).items()}
    return {name: answer for name, answer in found.items() if answer is not None}


@pytest.mark.parametrize("form", ["gcc", "gcc-O0", "gcc-v4", "clang", "clang-O0"])
def test_registers_hold_the_arguments(fixture: Callable[[str], Path], form: str) -> None:
    path = fixture(f"dwarf/c-{form}")
    described = answers(path)
    orders = ["break *main", "run", "delete"]
    wanted: list[float] = []
    for name, values in CALLED_WITH.items():
        parameters = described[name].parameters
        assert len(parameters) == len(values)
        orders += [f"break *{name}", "continue"]
        for parameter, value in zip(parameters, values, strict=True):
            assert (parameter.register is None) == (value is None), (name, parameter)
            if value is None or parameter.register is None:
                continue
            wanted.append(value)
            if parameter.register.startswith("xmm"):
                lane = "float" if parameter.byte_size == 4 else "double"
                orders.append(f'printf "GOT %g\\n", ${parameter.register}.v{_lanes(lane)}[0]')
            else:
                mask = (1 << 8 * (parameter.byte_size or 8)) - 1
                orders.append(f'printf "GOT %ld\\n", ${parameter.register} & {mask:#x}')
    arguments = [word for order in orders for word in ("-ex", order)]
    output = run(*GDB, *arguments, str(path))
    got = [float(text) for text in re.findall(r"^GOT (\S+)$", output, re.MULTILINE)]
    assert got == wanted, output[-800:]


def _lanes(kind: str) -> str:
    return {"float": "4_float", "double": "2_double"}[kind]


def test_what_is_not_known_is_not_said(fixture: Callable[[str], Path]) -> None:
    registers = {
        name: [p.register for p in answer.parameters]
        for name, answer in answers(fixture("dwarf/c-gcc-O0")).items()
    }
    # struct wide is returned through a hidden pointer in rdi, struct point takes registers that
    # depend on its members.
    assert registers["structures"] == [None, None, None]
    assert registers["variadic"] == ["rdi"]
    assert registers["old_style"] == ["rdi", "rsi"]
    assert registers["pointers"] == ["rdi", "rsi", "rdx", "rcx", "r8", "r9"]
    cxx = {
        name: [p.register for p in answer.parameters]
        for name, answer in answers(fixture("dwarf/cxx-gcc-O0")).items()
    }
    by_value = next(found for name, found in cxx.items() if "by_value" in name)
    assert by_value == [None, None, None]  # a class by value, perhaps by its address
    area = next(found for name, found in cxx.items() if "Square4area" in name)
    assert area == ["rdi", "rsi"]


def test_registers_of_aarch64_and_none_of_other_machines(
    fixture: Callable[[str], Path],
) -> None:
    arm = answers(fixture("dwarf/c-aarch64"))
    assert [p.register for p in arm["scalars"].parameters] == [f"x{i}" for i in range(8)]
    assert [p.register for p in arm["floats"].parameters] == ["v0", "v1", "x0", "v2", "v3"]
    other = answers(fixture("dwarf/c-s390x"))
    assert {p.register for p in other["scalars"].parameters} == {None}
