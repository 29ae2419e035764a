"""make bench: a peer that is missing, fails or hangs is a row; a group that breaks is a line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from bench import __main__ as bench
from bench import curves, measure
from bench.curves import Curves, by_size
from tests.conftest import unavailable

COMMANDS = {
    "works": "true",
    "says no": "false",
    "breaks": "exit 7",
    "dies": "kill -SEGV $$",
    "hangs": "sleep 1000",
    "is not there": "no-such-tool --at-all",
    "is not there later": "true; no-such-tool",
}


def test_what_fails_is_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PATIENCE", 1.0)
    found = measure.measure({k: f"sh -c '{c}'" for k, c in COMMANDS.items()}, 2, patience=1.0)
    assert {k: each.failed for k, each in found.items()} == {
        "works": "",
        "says no": "",
        "breaks": "failed: exit code 7",
        "dies": "failed: exit code 139",
        "hangs": "given up after 1 s",
        "is not there": "not installed",
        "is not there later": "not installed",
    }
    assert [len(each.runs) for each in found.values()][:2] == [2, 2]
    lines = list(measure.compare("x", {"a|b": "no-such-tool", "c": "true"}, rounds=1).markdown())
    assert "| `a\\|b` | not installed | | | |" in lines


def test_memory_is_that_of_the_command() -> None:
    """Not that of this Python, which the kernel would count from on."""
    if not Path("/usr/bin/time").exists():
        unavailable("GNU time is not installed")
    assert 0 < measure.run("true").peak < 8
    assert measure.run(f"{sys.executable} -c 'x = b\"x\" * (64 << 20)'").peak > 64


def test_a_group_renews_its_section_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(bench.compileall, "compile_dir", lambda *_, **__: True)

    def group(name: str, text: str) -> None:
        def comparisons() -> Iterator[measure.Comparison]:
            yield measure.Comparison(text, (measure.Row("command", 0.5, 7.0),))
            if text == "breaks":
                raise RuntimeError("no | more")

        module = ModuleType(f"bench.{name}")
        module.comparisons = comparisons  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, f"bench.{name}", module)

    for name in bench.GROUPS:
        group(name, f"first {name}")
    bench.main([])
    first = (tmp_path / "RESULTS.md").read_text()
    assert [f"### first {name}" in first for name in bench.GROUPS] == [True] * len(bench.GROUPS)
    group("deps", "second")
    bench.main(["deps"])
    second = (tmp_path / "RESULTS.md").read_text()
    assert second == first.replace("first deps", "second")
    group("deps", "breaks")
    bench.main(["--quick", "deps"])
    assert (tmp_path / "RESULTS.md").read_text() == second
    bench.main(["deps", "ls"])
    third = (tmp_path / "RESULTS.md").read_text()
    assert "### breaks" in third
    assert "could not be run: RuntimeError: no \\| more" in third
    assert third.count("<!-- group: ") == len(bench.GROUPS)
    with pytest.raises(SystemExit):
        bench.main(["nothing"])


def test_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "DOCS", tmp_path)
    figures = by_size([{"symprobe": 0.1, "peer | x": 0.5}, {"symprobe": 0.2, "peer | x": "failed"}])
    drawn = Curves("x", "title", "files", (10, 1000), figures)
    drawn.draw()
    picture = (tmp_path / "scaling-x.svg").read_bytes()
    assert ElementTree.fromstring(picture).tag == "{http://www.w3.org/2000/svg}svg"
    assert b"peer | x" in picture
    drawn.draw()
    assert (tmp_path / "scaling-x.svg").read_bytes() == picture
    assert "| 1,000 | 200 ms | failed |" in list(drawn.markdown())
