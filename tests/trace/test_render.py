"""What a reader sees: plain tables, the live table, the document."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path

import jsonschema
import pytest

from symprobe.model import FileOffset, FilePath, VAddr
from symprobe.probe import ProbeTarget, Reason, Rejected
from symprobe.render.json import document
from symprobe.render.trace_json import report_value
from symprobe.render.trace_live import LiveTable, sparkline
from symprobe.render.trace_text import function_name, interval_lines, report_lines
from symprobe.trace.command import Ended
from symprobe.trace.expect import Outcome
from symprobe.trace.report import CommandResult, Report, rows
from symprobe.trace.snapshot import Group, Hits, Snapshot

SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "trace.json"
EVIL = "\x1b[31mred\udcff\u202e"


def made(offset: int, *names: str, path: str = "/bin/x", **more: object) -> ProbeTarget:
    demangled = more.pop("demangled", names)
    return ProbeTarget(
        FilePath.plain(path), (1, len(path)), "b0", FileOffset(offset), VAddr(offset),
        names, demangled, "func", 0, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def hits(*calls: int) -> tuple[Hits, ...]:
    return tuple(Hits(made(n, f"f{n}"), number) for n, number in enumerate(calls))


def reported(snapshot: Snapshot, reasons: dict[int, str] | None = None, **more: object) -> Report:
    top = more.pop("top", None)
    found, left_out = rows(snapshot, reasons or {}, exact_entry=False, top=top)  # type: ignore[arg-type]
    values: dict[str, object] = {
        "rejected": (),
        "missed": 0,
        "overflow": 0,
        "engine": "uprobe_multi",
    }
    return Report(found, left_out, duration=snapshot.duration, **{**values, **more})  # type: ignore[arg-type]


def test_most_calls_first_names_last() -> None:
    snapshot = Snapshot(hits(3, 67, 0), 0, 0, 2.0)
    assert list(report_lines(reported(snapshot, {2: "never called"}))) == [
        "/bin/x:",
        "       calls     calls/s  function",
        "          67        33.5  f1",
        "           3         1.5  f0",
        "           0         0.0  f2  [never called]",
        "70 calls of 3 functions in 2.00 s (uprobe_multi)",
    ]


def test_groups_and_top() -> None:
    by = (Group("ls", 60), Group("cat", 7))
    snapshot = Snapshot((Hits(made(1, "f"), 67, by), *hits(3, 2)), 0, 0, 1.0)
    lines = list(report_lines(reported(snapshot, top=1)))
    assert lines[2:] == [
        "          67        67.0  f",
        "          60                ls",
        "           7                cat",
        "and 2 functions with fewer calls (--top)",
        "3 functions in 1.00 s (uprobe_multi)",
    ]


def test_many_zeros_are_told_by_their_reason() -> None:
    snapshot = Snapshot(hits(5, *[0] * 30), 0, 0, 1.0)
    reasons = {index: "never called" if index % 2 else "not mapped" for index in range(1, 31)}
    lines = list(report_lines(reported(snapshot, reasons)))
    assert lines[2:5] == [
        "           5         5.0  f0",
        "           0         0.0  15 functions  [never called]",
        "           0         0.0  15 functions  [not mapped]",
    ]


def test_what_went_wrong_is_told() -> None:
    report = reported(
        Snapshot(hits(1), 3, 4, 1.0),
        rejected=(Rejected("g", Reason.KERNEL, "refused: f0"),),
        missed=3,
        overflow=4,
        command=CommandResult(("a b", "c"), Ended(137, "SIGKILL")),
        expectations=(
            Outcome("f0>=1", True, 1, 1),
            Outcome("f0==2", False, 1, 2, "the kernel missed 3 hits"),
        ),
    )
    assert list(report_lines(report))[3:] == [
        "not traced (1):",
        "  g: refused: f0",
        "1 call of 1 function in 1.00 s (uprobe_multi)",
        "missed: 3 hits that the kernel did not hand over, the counts are low",
        "overflow: 4 calls or processes beyond the tables' size",
        "command: a b c: killed by SIGKILL",
        "expected f0>=1: held (1 and 1)",
        "expected f0==2: FAILED (1 and 2, the kernel missed 3 hits)",
    ]
    assert not report.holds


@pytest.mark.parametrize(
    ("names", "demangled", "expected"),
    [
        (("exit@@GLIBC_2.2.5",), ("exit",), "exit@@GLIBC_2.2.5"),
        (("_Z1fv", "g"), ("f()", "g"), "f() (= g)"),
        (("a", "b", "c", "d", "e", "f"), None, "a (= b, c, d and 2 more)"),
        ((EVIL,), None, r"\x1b[31mred\xff\u202e"),
    ],
)
def test_names(names: tuple[str, ...], demangled: tuple[str, ...] | None, expected: str) -> None:
    assert function_name(made(1, *names, demangled=demangled or names)) == expected


def test_intervals_tell_what_came_since_the_last_one() -> None:
    targets = [made(n, f"f{n}") for n in range(3)]
    first = Snapshot(tuple(map(Hits, targets, (5, 0, 2))), 0, 0, 1.0)
    second = Snapshot(tuple(map(Hits, targets, (5, 8, 3))), 0, 0, 3.0)
    assert list(interval_lines(None, first, None)) == [
        "1.0 s: 7 calls", "           5         5.0  f0", "           2         2.0  f2",
    ]  # fmt: skip
    assert list(interval_lines(first, second, 1)) == [
        "3.0 s: 9 calls", "           8         4.0  f1",
    ]  # fmt: skip


def test_the_document_follows_its_schema_whatever_the_names() -> None:
    evil = made(9, EVIL, "plain", path=f"/bin/{EVIL}", notes=(EVIL,), cheap_offset=FileOffset(13))
    snapshot = Snapshot((Hits(evil, 4, (Group(EVIL, 3), Group(7, 1))), *hits(2)), None, 0, 0.5)
    report = reported(
        snapshot,
        rejected=(Rejected(EVIL, Reason.NOT_FOUND, EVIL),),
        missed=None,
        command=CommandResult((EVIL, "x"), None, True),
        expectations=(Outcome(EVIL, False, 1, 2, EVIL),),
    )
    text = document("trace", report_value(report))
    value = json.loads(text)
    jsonschema.validate(value, json.loads(SCHEMA.read_text()))
    text.encode()
    (first, second) = value["targets"]
    assert (first["calls"], first["rate"], first["offset"], first["probed"]) == (4, 8.0, 9, 13)
    assert bytes.fromhex(first["path_hex"]) == b"/bin/\x1b[31mred\xff\xe2\x80\xae"
    assert second["names"] == ["f0"]
    assert value["command"]["exit"] is None
    for line in report_lines(report):
        assert line.isprintable()


def test_the_live_table_fits_and_shows_the_most_called() -> None:
    from rich.console import Console

    targets = [made(n, f"function_{n}_" + "x" * 200) for n in range(100)]
    table = LiveTable("/bin/x")
    for second in (1, 2):
        calls = [n * n * second for n in range(100)]
        snapshot = Snapshot(tuple(map(Hits, targets, calls)), 0, 0, float(second))
        console = Console(width=100, height=20, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        console.print(table.update(snapshot, 100, 20))
        text = console.export_text()
    lines = text.rstrip("\n").splitlines()
    assert len(lines) < 20
    assert max(map(len, lines)) <= 100
    top = next(line for line in lines if "function_" in line).split()
    assert top[:2] == ["19602", "9801"]
    assert "function_99_xxx" in top[-1]
    assert "…" in top[-1]
    assert f"{sum(calls)} calls in 2 s, 85 functions more" in lines[-1]


def test_sparkline() -> None:
    assert sparkline(deque(), 5) == "     "
    assert sparkline(deque([0.0, 0.0]), 4) == "    "
    assert sparkline(deque([0.0, 50.0, 100.0]), 5) == "   ▄█"
    assert sparkline(deque([1.0] * 10), 4) == "████"
