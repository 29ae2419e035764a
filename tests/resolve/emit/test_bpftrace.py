"""bpftrace counts exactly the calls that the programs count, or nothing is emitted for it."""

from __future__ import annotations

import re
from pathlib import Path

from symprobe.resolve.emit import Emission, Tool, emit
from tests.resolve.emit.helpers import before, emitted, expected, needs
from tests.support.counting import Case, Programs, isolated


def bpftrace(
    emissions: list[tuple[Case, Emission]], programs: Programs, tmp_path: Path, *options: str
) -> dict[str, int]:
    """The counts of one bpftrace over all programs, by case."""
    script = tmp_path / "probes.bt"
    probes = [
        f"{emission.lines[0]} {{ @[{i}] = count(); }}\n"
        for i, (_, emission) in enumerate(emissions)
    ]
    script.write_text("".join(probes))
    order = f'{before(emissions)}\nbpftrace {" ".join(options)} "$1" -c "/bin/sh $2"'
    done = isolated(order, script, programs.run_all)
    assert done.returncode == 0, done.stderr.decode()
    counts = re.findall(rb"@\[(\d+)\]: (\d+)", done.stdout)
    return {emissions[int(i)][0].name: int(count) for i, count in counts}


def test_bpftrace(programs: Programs, cases: list[Case], tmp_path: Path) -> None:
    needs("bpftrace")
    emissions = emitted(cases, Tool.BPFTRACE)
    none = {case.name for case, emission in emissions if not emission.lines}
    assert none == {
        "pie twin", "pie other-twin", "library-stripped api_old", "library-stripped api_new",
        "covered other-twin",
    }  # fmt: skip
    assert all(emission.note for _, emission in emissions if not emission.lines)
    refused = [(c, e) for c, e in emissions if "disassembler" in e.note]
    assert [case.name for case, _ in refused] == ["pie work+1"]
    emissions = [(c, e) for c, e in emissions if e.lines and "disassembler" not in e.note]
    unsafe = [(c, e) for c, e in emissions if "--unsafe" in e.note]
    safe = [(c, e) for c, e in emissions if "--unsafe" not in e.note]
    assert {case.name for case, _ in unsafe} == {
        "nopie twin", "nopie other-twin", "nopie work+1", "static other-twin", "moved twin",
        "moved other-twin", "moved work+1", "pie-stripped work", "pie-stripped other-twin",
        "pie-stripped work+1", "nopie-stripped work", "nopie-stripped other-twin",
    }  # fmt: skip
    assert bpftrace(safe, programs, tmp_path) == expected(safe)
    assert bpftrace(unsafe, programs, tmp_path, "--unsafe") == expected(unsafe)


def test_bpftrace_is_right_or_refuses_inside_a_function(programs: Programs, tmp_path: Path) -> None:
    needs("bpftrace")
    case = programs.case("pie", "work+1")
    probe = f"{emit(case.target, Tool.BPFTRACE).lines[0]} {{ @[0] = count(); }}"
    done = isolated('bpftrace -e "$1" -c "/bin/sh $2"', probe, programs.run_all)
    if done.returncode == 0:
        assert f"@[0]: {case.calls}\n".encode() in done.stdout
    else:
        assert b"compiled without (k|u)probe offset support" in done.stderr


def test_bpftrace_counts_another_function_where_nothing_is_emitted(
    programs: Programs, tmp_path: Path
) -> None:
    """Otherwise something should be emitted."""
    needs("bpftrace")
    twins = [programs.case("pie", name) for name in ("twin", "other-twin")]
    apis = [programs.case("library-stripped", name) for name in ("api_old", "api_new")]
    naive = [
        (case, Emission((f"uprobe:{case.target.file.opened}:{case.target.vaddr:#x}",)))
        for case in (*twins, *apis)
    ]
    counts = bpftrace(naive, programs, tmp_path)
    assert len({counts[case.name] for case in twins}) == 1
    assert len({counts[case.name] for case in apis}) == 1
