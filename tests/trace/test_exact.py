"""The count is the program's own count, however the calls are made and the program is linked."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.trace.counts import By
from symprobe.trace.links import Engine
from tests.trace.helpers import addresses, target, trace_command

MILLIONS = [
    ("thread", 2_000_000, 1),
    ("thread", 500_000, 4),
    ("fork", 500_000, 4),
    ("exec", 500_000, 4),
]


@pytest.mark.parametrize(("mode", "calls", "workers"), MILLIONS)
def test_two_million_calls(
    mode: str, calls: int, workers: int, counted: Path, tmp_path: Path
) -> None:
    argv = [counted, mode, str(calls), str(workers)]
    traced = trace_command(argv, [target(counted, "work"), target(counted, "never")], tmp_path)
    assert traced.own == 2_000_000
    assert traced.calls == {"work": 2_000_000, "never": 0}
    assert traced.report.missed == 0
    assert traced.report.overflow == 0
    assert traced.report.holds


@pytest.mark.parametrize("engine", list(Engine))
@pytest.mark.parametrize(
    "options", [("-pie",), ("-no-pie", "-fno-pie"), ("-static",), ("-static-pie",), ("-m32",)]
)
def test_linkage(
    options: tuple[str, ...], engine: Engine, compiled: Callable[..., Path], tmp_path: Path
) -> None:
    program = compiled("counted.c", *options)
    argv = [program, "fork", "1009", "3"]
    traced = trace_command(argv, [target(program, "work")], tmp_path, engine=engine)
    assert traced.own == traced.calls["work"] == 3027
    assert traced.report.engine == engine


def test_file_and_symbol_names_with_spaces_and_commas(
    counted: Path, compiled: Callable[..., Path], tmp_path: Path
) -> None:
    odd = tmp_path / "a file, with (odd) 'name' ü\n.so"
    symbol = "odd name, with [brackets]"
    subprocess.run(["objcopy", f"--redefine-sym=work={symbol}", counted, odd], check=True)
    traced = trace_command([odd, "thread", "1009"], [target(odd, symbol)], tmp_path)
    assert traced.calls == {symbol: 1009}


def test_aliases_are_one_target(counted: Path, tmp_path: Path) -> None:
    known = addresses(counted)
    assert known["work"] == known["also_work"]
    both = target(counted, "work", "also_work")
    traced = trace_command([counted, "thread", "1000"], [both], tmp_path)
    assert traced.calls == {"work": 1000}


def test_cheap_attach_point_counts_the_same(compiled: Callable[..., Path], tmp_path: Path) -> None:
    program = compiled("counted.c", "-fcf-protection=full")
    code = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", program], capture_output=True, text=True, check=True
    ).stdout
    entry = code.partition("<also_work>:\n")[2].splitlines()
    assert "endbr64" in entry[0]
    work = target(program, "work", cheap=4)
    for exact_entry, distance in ((False, 4), (True, 0)):
        traced = trace_command(
            [program, "thread", "1009", "2"], [work], tmp_path, exact_entry=exact_entry
        )
        (row,) = traced.report.rows
        assert row.hits.calls == traced.own == 2018
        assert row.probed == work.offset + distance


@pytest.mark.parametrize("by", list(By))
@pytest.mark.parametrize("mode", ["thread", "fork", "exec"])
def test_groups_add_up(by: By, mode: str, counted: Path, tmp_path: Path) -> None:
    traced = trace_command(
        [counted, mode, "10007", "3"], [target(counted, "work")], tmp_path, by=by
    )
    (row,) = traced.report.rows
    assert row.hits.calls == traced.own == 30021
    assert sum(group.calls for group in row.hits.by) == 30021
    expected = {By.COMM: 1, By.PID: 1 if mode == "thread" else 3, By.TID: 3}[by]
    assert len(row.hits.by) == expected
    if by is By.COMM:
        assert row.hits.by[0].key == "counted"


def test_ten_thousand_short_lived_processes(compiled: Callable[..., Path], tmp_path: Path) -> None:
    program = compiled("forks.c")
    traced = trace_command([program, "10000", "16"], [target(program, "work")], tmp_path, by=By.PID)
    assert traced.output == "work 10000 failed 0\n"
    (row,) = traced.report.rows
    assert row.hits.calls == 10000
    assert len(row.hits.by) <= 10000
    assert sum(group.calls for group in row.hits.by) == 10000
    assert traced.report.overflow == 0
