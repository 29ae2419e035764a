"""Every rule of the loaders: what is expected, what the loader does, what symprobe says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from symprobe.loader import dependency_graph
from tests.conftest import unavailable
from tests.loader import rules, truths
from tests.support.compare_ldd import own_listing


@pytest.mark.parametrize("name", rules.names())
def test_rule(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing := rules.missing_tools(name):
        unavailable(f"{name} needs {', '.join(missing)}")
    rule = rules.build(name, tmp_path)
    if rule.truth in ("user", "chroot") and os.getuid() != 0:
        unavailable(f"{name} needs root to ask the loader")
    if (level := rule.one("needs_level")) and level not in rules.active_levels():
        unavailable(f"{name} needs a processor with {level}")
    monkeypatch.chdir(tmp_path)
    target = rule.one("run", "./exe")
    graph = dependency_graph(
        target,
        library_path=rule.keys.get("library_path", [None])[0],
        preload=rule.keys.get("preload", [None])[0],
        root=rule.root,
    )
    own = truths.own_part(rule, own_listing(graph))
    truth, complaints = truths.of(rule)

    if rule.listing is not None and "error" not in rule.keys:
        assert own == rule.listing
    if truth is not None and (truth or "error" not in rule.keys):
        real = truths.own_part(rule, truth)
        if "musl" in name:  # says what is missing on stderr, so not in which place
            own.sort(key=lambda item: item[1] is None)
        assert own == real
    said = rule.shown(complaints) or ""
    answer = "\n".join(
        str(part)
        for part in (graph.fatal, *graph.warnings, *graph.version_errors, *graph.missing)
        if part is not None
    ).replace(f"{tmp_path}/", "./")
    for error in rule.keys.get("error", []):
        path, _, reason = error.partition(": ")
        assert path in answer
        assert graph.fatal is None or reason in answer
        if rule.truth not in ("none", "enoent"):
            assert (rule.shown(path) or path) in said
            assert reason in said
        assert not graph.complete
    for warning in rule.keys.get("warning", []):
        assert (rule.shown(warning) or "") in answer
    for version in rule.keys.get("version", []):
        assert version.replace("`", "'") in answer
        assert version in said
    if not rule.keys.keys() & {"error", "version"} and None not in dict(own).values():
        assert graph.complete
