"""Latencies, judged by a program that measures its own calls; by all means of the kernel."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import pytest

from symprobe.errors import TraceError
from symprobe.render.trace_json import report_value
from symprobe.trace import features
from symprobe.trace.counts import By
from symprobe.trace.features import Features
from symprobe.trace.histogram import Histogram
from symprobe.trace.latency import Latency
from symprobe.trace.links import Engine
from symprobe.trace.question import Prepared
from symprobe.trace.where import Where
from tests.trace.helpers import Run, target, trace_command

MEANS = ("session", "two links", "perf events")


@pytest.fixture(scope="module")
def timed(compiled: Callable[..., Path]) -> Path:
    return compiled("timed.c")


@contextmanager
def only(means: str) -> Iterator[Engine | None]:
    """Keep to one of the means that the kernel has; yields the engine to ask for."""
    with pytest.MonkeyPatch.context() as patch:
        if means == "two links":
            patch.setattr(features, "probe", lambda: Features(uprobe_multi=True, session=False))
        yield Engine.PERF_EVENT if means == "perf events" else None


def measure(
    program: Path, names: tuple[str, ...], *words: object, to: Path, means: str = "session",
    by: By | None = None,
) -> Run:  # fmt: skip
    places = tuple(target(program, name) for name in names)
    prepared = Prepared(places, Latency(by), Where())
    argv = [program, *map(str, words)]
    with only(means) as engine:
        return trace_command(argv, places, to, prepared=prepared, by=by, engine=engine)


def bucket(ns: int) -> int:
    return ns.bit_length() - 1


@pytest.mark.parametrize("means", MEANS)
def test_each_call_is_in_its_bucket_or_the_next(means: str, timed: Path, tmp_path: Path) -> None:
    traced = measure(timed, ("nap",), "naps", 210, to=tmp_path, means=means)
    own = sorted(int(ns) for ns in re.findall(r"nap (\d+)", traced.output))
    (row,) = traced.report.rows
    times = row.hits.latency
    assert times is not None
    assert (row.hits.calls, times.count, row.hits.unreturned) == (210, 210, 0)
    ours = [bucket(each.start or 1) for each in times.buckets() for _ in range(each.held)]
    assert len(ours) == len(own)
    assert all(abs(a - bucket(b)) <= 1 for a, b in zip(ours, own, strict=True))
    for share in (0.5, 0.9, 0.99):
        truth = own[round(share * len(own)) - 1]
        assert truth / 2 <= times.percentile(share) <= truth * 2
    document = report_value(traced.report)
    schema = Path(__file__).parents[2] / "docs" / "schema" / "trace.json"
    jsonschema.validate({"schema": "symprobe/trace/1", **document}, json.loads(schema.read_text()))
    assert own[0] / 2 <= times.least <= own[0]
    assert own[-1] / 2 <= times.most <= own[-1]
    assert times.least <= times.mean <= times.most


@pytest.mark.parametrize("means", MEANS)
def test_recursion_in_threads(means: str, timed: Path, tmp_path: Path) -> None:
    traced = measure(timed, ("deep",), "deep", 50, 8, to=tmp_path, means=means)
    (row,) = traced.report.rows
    assert row.hits.latency is not None
    assert (row.hits.calls, row.hits.latency.count, row.hits.unreturned) == (400, 400, 0)
    assert traced.report.overflow == traced.report.missed == 0


@pytest.mark.parametrize("means", MEANS)
def test_calls_left_by_longjmp_are_told(means: str, timed: Path, tmp_path: Path) -> None:
    traced = measure(timed, ("leap", "under"), "jumps", 100, to=tmp_path, means=means)
    for row in traced.report.rows:
        assert row.hits.latency is not None
        assert (row.hits.calls, row.hits.latency.count, row.hits.unreturned) == (200, 100, 100)


@pytest.mark.parametrize("means", MEANS)
def test_tail_calls(means: str, timed: Path, tmp_path: Path) -> None:
    traced = measure(timed, ("tail", "nap"), "tails", 100, to=tmp_path, means=means)
    for row in traced.report.rows:
        assert row.hits.latency is not None
        assert (row.hits.calls, row.hits.latency.count, row.hits.unreturned) == (100, 100, 0)
        assert row.hits.latency.least >= 100_000


def test_a_function_that_does_not_return(timed: Path, tmp_path: Path) -> None:
    places = (target(timed, "never"),)
    traced = trace_command(
        [timed, "hang"], places, tmp_path, prepared=Prepared(places, Latency(), Where()), seconds=1
    )
    (row,) = traced.report.rows
    assert (row.hits.calls, row.hits.unreturned, row.hits.latency) == (1, 1, None)


def test_by_comm(timed: Path, tmp_path: Path) -> None:
    traced = measure(timed, ("nap",), "naps", 14, to=tmp_path, by=By.COMM)
    (row,) = traced.report.rows
    (group,) = row.hits.by
    assert group.key == "timed"
    assert group.latency == row.hits.latency
    assert group.calls == 14


@pytest.mark.parametrize("option", ["-m32", "-static", "-static-pie"])
def test_other_programs(option: str, compiled: Callable[..., Path], tmp_path: Path) -> None:
    program = compiled("timed.c", option)
    for means in MEANS:
        traced = measure(program, ("deep",), "deep", 10, 2, to=tmp_path, means=means)
        (row,) = traced.report.rows
        assert row.hits.latency is not None
        assert (row.hits.latency.count, row.hits.unreturned) == (20, 0)


def test_go_is_refused(timed: Path, tmp_path: Path) -> None:
    place = target(timed, "nap")._replace(return_probe=False)
    with pytest.raises(TraceError, match="return probe breaks Go"):
        trace_command(
            [timed, "naps", "3"],
            (place,),
            tmp_path,
            prepared=Prepared((place,), Latency(), Where()),
        )
    places = (place, target(timed, "deep"))
    traced = trace_command(
        [timed, "deep", "5", "1"], places, tmp_path, prepared=Prepared(places, Latency(), Where())
    )
    assert [row.hits.target.names for row in traced.report.rows] == [("deep",)]
    assert [each.reason for each in traced.report.rejected] == ["go-return"]


def test_extremes_are_held_to_the_buckets() -> None:
    counts = [0] * 64
    counts[3] = 1
    counts[10] = 2
    lost = (2 * 1024 + 8, 700, ~(1 << 63) & (1 << 64) - 1, *counts)
    times = Histogram.merged([lost])
    assert times is not None
    assert (times.least, times.most) == (8, 2047)
    assert Histogram.merged([(0,) * 67]) is None


def test_percentiles_of_what_is_known() -> None:
    values = [(n, 1) for n in range(1, 1001)]
    histogram = Histogram.of(values)
    assert histogram is not None
    assert (histogram.count, histogram.mean, histogram.least, histogram.most) == (
        1000,
        500.5,
        1,
        1000,
    )
    for share in (0.01, 0.25, 0.5, 0.9, 0.99, 1.0):
        assert abs(histogram.percentile(share) - share * 1000) <= 512
    assert [tuple(each) for each in histogram.buckets()][:3] == [(0, 2, 1), (2, 4, 2), (4, 8, 4)]
