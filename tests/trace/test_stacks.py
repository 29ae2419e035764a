"""Stacks: who has called is known by the program's own source, and by name also when it is gone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest


def trace(*words: object) -> str:
    command = [sys.executable, "-m", "symprobe", "trace", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "options", [("-fno-omit-frame-pointer",), ("-fno-omit-frame-pointer", "-static"), ()]
)
def test_callers_and_how_often(options: tuple[str, ...], compiled: Callable[..., Path]) -> None:
    program = compiled("timed.c", *options)
    lines = trace(program, "inner", "--stack", "--folded", "--", program, "stacks", 100)
    counts: dict[str, int] = {}
    for line in lines.splitlines():
        path, _, number = line.rpartition(" ")
        caller = path.split(";")[-2:]
        counts[";".join(caller)] = counts.get(";".join(caller), 0) + int(number)
        if "-fno-omit-frame-pointer" in options:
            assert "main" in path.split(";")
    assert counts == {"left;inner": 100, "right;inner": 200}


def test_names_of_a_stripped_program_come_from_its_debug_file(
    compiled: Callable[..., Path], tmp_path: Path
) -> None:
    program, debug = tmp_path / "stripped", tmp_path / "stripped.debug"
    source = compiled("timed.c", "-fno-omit-frame-pointer")
    subprocess.run(["objcopy", "--only-keep-debug", source, debug], check=True)
    subprocess.run(
        ["objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", source, program], check=True
    )
    lines = trace(program, "inner", "--stack", "--folded", "--", program, "stacks", 3)
    assert {line.split(";")[-2] for line in lines.splitlines()} == {"left", "right"}


def test_json(compiled: Callable[..., Path]) -> None:
    program = compiled("timed.c", "-fno-omit-frame-pointer")
    document = json.loads(trace(program, "inner", "--stack", "--json", "--", program, "stacks", 5))
    schema = Path(__file__).parents[2] / "docs" / "schema" / "trace.json"
    jsonschema.validate(document, json.loads(schema.read_text()))
    (row,) = document["targets"]
    assert sum(stack["count"] for stack in row["stacks"]) == row["calls"] == 15
    first = row["stacks"][0]
    assert first["count"] == 10
    assert [frame["name"] for frame in first["frames"]][:3] == ["inner", "right", "main"]
    assert {frame["path"] for frame in first["frames"][:3]} == {str(program)}


@pytest.mark.parametrize(
    "form", [("--stack", "--folded"), ("--stack", "--json"), ("--events", "--json")]
)
def test_what_other_programs_read_is_never_painted(
    compiled: Callable[..., Path], form: tuple[str, ...]
) -> None:
    program = compiled("timed.c", "-fno-omit-frame-pointer")
    lines = trace(program, "inner", *form, "--color", "always", "--", program, "stacks", 3)
    assert lines
    assert "\x1b" not in lines
