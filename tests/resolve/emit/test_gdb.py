"""gdb's breakpoints are hit as often as the programs count."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from symprobe.resolve.emit import Tool, emit
from tests.resolve.emit.helpers import needs
from tests.support.counting import Case, Programs

QUIET = ("gdb", "-batch", "-nx", "-iex", "set debuginfod enabled off")
RUN = ("-ex", "run", "-ex", "ignore 1 1000", "-ex", "continue", "-ex", "info breakpoints")


def gdb_hits(case: Case, executable: Path, tmp_path: Path, *orders: str) -> list[int]:
    script = tmp_path / "probe.gdb"
    script.write_text("\n".join((*emit(case.target, Tool.GDB).lines, "")))
    command = [*QUIET, *(order.replace("SCRIPT", str(script)) for order in orders), str(executable)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    hits = [int(hits) for hits in re.findall(rb"already hit (\d+) times", done.stdout)]
    assert hits, (done.stdout + done.stderr).decode()
    return hits


@pytest.mark.parametrize(
    ("program", "place"),
    [
        ("pie", "work+1"), ("nopie", "other-twin"), ("static", "work"), ("static-pie", "fast"),
        ("moved", "other-twin"), ("library", "api_old"), ("pie-stripped", "twin"), ("odd", "work"),
    ],
)  # fmt: skip
def test_gdb(program: str, place: str, programs: Programs, tmp_path: Path) -> None:
    needs("gdb")
    case = programs.case(program, place)
    executable = programs.executables[program]
    assert gdb_hits(case, executable, tmp_path, "-x", "SCRIPT", *RUN) == [case.calls]


def test_gdb_runs_the_program_again(programs: Programs, tmp_path: Path) -> None:
    """The library is not there yet when the second run begins."""
    needs("gdb")
    case = programs.case("library", "work")
    again = ("-ex", "run", "-ex", "ignore 2 1000", "-ex", "continue", "-ex", "info breakpoints")
    hits = gdb_hits(case, programs.executables["library"], tmp_path, "-x", "SCRIPT", *RUN, *again)
    assert hits == [case.calls, case.calls]


def test_gdb_with_a_process_that_has_begun(programs: Programs, tmp_path: Path) -> None:
    needs("gdb")
    case = programs.case("pie", "work")
    begun = ("-ex", "starti", "-x", "SCRIPT", "-ex", "ignore 1 1000", "-ex", "continue")
    orders = (*begun, "-ex", "info breakpoints")
    assert gdb_hits(case, programs.executables["pie"], tmp_path, *orders) == [case.calls]
