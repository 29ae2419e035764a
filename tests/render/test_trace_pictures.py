"""What leaves a trace besides text and JSON: the HTML page in a real browser, and the metrics, read
back by the parser of prometheus_client."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from symprobe.cli.trace_export import export_path, listen_address, write_metrics
from symprobe.cli.trace_listen import Listener
from symprobe.errors import FileError, TraceError
from symprobe.model import FileOffset, FilePath, VAddr
from symprobe.probe import ProbeTarget, Reason, Rejected
from symprobe.render.html import html_page
from symprobe.render.openmetrics import CONTENT_TYPE, openmetrics
from symprobe.trace.counts import By
from symprobe.trace.histogram import Histogram
from symprobe.trace.report import Report, rows
from symprobe.trace.series import MOST_POINTS, SeriesRecorder
from symprobe.trace.snapshot import Group, Hits, Snapshot, Span, Stack, ValueCount
from symprobe.trace.symbolise import Frame
from tests.conftest import unavailable

HOSTILE = "<script>document.title='caught'</script>\x1b[31m\u202e\"'&"
VOID = {"meta", "br"}


def target(name: str, offset: int) -> ProbeTarget:
    path = FilePath.plain(f"/opt/{HOSTILE}/lib.so")
    place = FileOffset(offset), VAddr(offset)
    return ProbeTarget(path, (1, 2), None, *place, (name,), (name,), "func", 8)


TIMES = Histogram.of([(1500, 7), (70_000, 2), (3_000_000_000, 1)])
assert TIMES is not None
FRAMES = tuple(Frame(name, "/bin/x", 1) for name in ("foo", HOSTILE, "main"))
SNAPSHOT = Snapshot(
    (
        Hits(
            target("foo", 0x1000), 1234, (Group(HOSTILE, 1000, TIMES), Group("sh", 234)), 3, TIMES,
            (ValueCount(HOSTILE, 9), ValueCount(None, 1)), (Stack(5, FRAMES), Stack(1, FRAMES[:1])),
        ),
        Hits(target(HOSTILE, 0x2000), 56, (), 0, None),
    ),
    4, 5, 2.0, {}, (Span("sleep", TIMES, 2), Span(HOSTILE, None, 1)), 77, 6,
)  # fmt: skip


def page(mode: str = "latency") -> str:
    recorder = SeriesRecorder()
    for step in range(9):
        hits = tuple(hit._replace(calls=hit.calls * step // 8) for hit in SNAPSHOT.hits)
        recorder.add(replace(SNAPSHOT, hits=hits, duration=step / 4))
    found, left = rows(SNAPSHOT, {}, exact_entry=True)
    rejected = (Rejected(HOSTILE, Reason.KERNEL, HOSTILE),)
    report = Report(
        found, left, rejected, 2.0, 4, 5, "uprobe_multi", None, (), mode, SNAPSHOT.spans, 77, 6
    )
    return html_page(report, recorder.series())


class Balanced(HTMLParser):
    """Every tag is closed; nothing is fetched, nothing runs."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    text = page()
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert parser.seen.isdisjoint({"script", "img", "link", "iframe"})
    assert "url(" not in text
    assert set(re.findall(r"https?://[^\"< ]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_page_in_a_browser(tmp_path: Path) -> None:
    if shutil.which("chromium") is None:
        unavailable("chromium is not installed")
    file = tmp_path / "page.html"
    file.write_text(page(), encoding="utf-8")
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", file.as_uri(),
    ]  # fmt: skip
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120, env=environment
    )
    dom = re.sub(r"\s+", " ", done.stdout)
    assert "<title>symprobe trace: /opt/&lt;script&gt;" in dom
    for shown in (
        "<td>1234</td><td>617</td><td>3</td>",
        "[1.02 µs, 2.05 µs)</text>",
        "sleep: 10 spans, 2 not closed",
        "77 events, 6 dropped",
        "Calls a second",
        "Callers",
        "(unreadable)",
    ):
        assert shown in dom, shown
    assert "caught</title>" not in dom
    assert dom.count("<polyline") == 2


def test_the_series_is_bounded() -> None:
    recorder = SeriesRecorder()
    for step in range(5000):
        recorder.add(replace(SNAPSHOT, duration=step * 0.5))
    series = recorder.series()
    assert MOST_POINTS / 2 <= len(series.times) <= MOST_POINTS
    assert series.times == tuple(sorted(series.times))


@pytest.mark.parametrize("by", [None, By.COMM])
def test_metrics_are_read_back(by: By | None) -> None:
    families = {
        family.name: family
        for family in text_string_to_metric_families(openmetrics(SNAPSHOT, by).decode())
    }
    calls = {
        (s.labels["function"], s.labels.get("comm")): s.value
        for s in families["symprobe_calls"].samples
    }
    if by is None:
        assert [*calls.values()] == [1234, 56]
        assert all("\x1b" not in name for name, _ in calls)
    else:
        assert sorted(calls.values()) == [234, 1000]
    times = families["symprobe_call_duration_seconds"].samples
    assert {s.value for s in times if s.name.endswith("_count")} == {10}
    (total,) = {s.value for s in times if s.name.endswith("_sum")}
    assert total == pytest.approx(3.0001505)
    bounds = [(float(s.labels["le"]), s.value) for s in times if s.name.endswith("_bucket")]
    assert dict(bounds)[float("inf")] == 10
    assert [value for _, value in bounds] == sorted(value for _, value in bounds)
    assert next(value for bound, value in bounds if bound > 2.0e-6) == 7
    for name, value in (("missed_hits", 4), ("overflow", 5), ("events", 77), ("events_dropped", 6)):
        assert families[f"symprobe_{name}"].samples[0].value == value


def test_a_reader_sees_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.prom"
    write_metrics(str(path), SNAPSHOT, None)
    stop = threading.Event()
    bad: list[str] = []

    def read() -> None:
        while not stop.is_set():
            if not (text := path.read_text()).endswith("# EOF\n"):
                bad.append(text)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        write_metrics(str(path), SNAPSHOT, None)
    stop.set()
    reader.join()
    assert bad == []
    assert os.listdir(tmp_path) == ["metrics.prom"]
    assert path.stat().st_mode & 0o777 == 0o644
    for wrong in (tmp_path, tmp_path / "none" / "x"):
        with pytest.raises(FileError, match="can't be written"):
            write_metrics(str(wrong), SNAPSHOT, None)
    assert os.listdir(tmp_path) == ["metrics.prom"]


def test_scraping() -> None:
    listener = Listener(("127.0.0.1", 0), None)
    url = f"http://{listener.address}"
    port = int(listener.address.rpartition(":")[2])
    try:
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"{url}/metrics", timeout=10)
        listener.publish(SNAPSHOT)
        silent = socket.create_connection(("127.0.0.1", port))  # who says nothing holds nobody up
        with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"] == CONTENT_TYPE
            assert answer.read() == openmetrics(SNAPSHOT)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{url}/etc/passwd", timeout=10)
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert b"/metrics" in answer.read()
        silent.close()
        with pytest.raises(TraceError, match="in use"):
            Listener(("127.0.0.1", port), None)
    finally:
        listener.close()


def test_addresses() -> None:
    assert listen_address("9435") == listen_address(":9435") == ("127.0.0.1", 9435)
    assert listen_address("0.0.0.0:1") == ("0.0.0.0", 1)
    assert listen_address("[::1]:9435") == ("::1", 9435)
    for wrong in ("", "host", "host:", "1:2:3", "h:70000", "9435x"):
        with pytest.raises(typer.BadParameter):
            listen_address(wrong)
    assert export_path("openmetrics:/tmp/a:b") == "/tmp/a:b"
    assert export_path("openmetrics:a") == "a"
    for gone in ("openmetrics:/no/such/folder/x", "openmetrics:/tmp"):
        with pytest.raises(FileError, match="can't be written"):
            export_path(gone)
    for wrong in ("/a", "openmetrics:", "csv:/a"):
        with pytest.raises(typer.BadParameter):
            export_path(wrong)
