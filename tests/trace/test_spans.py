"""Spans: lives that processes measure themselves, and the same picture as bpftrace draws."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.conftest import unavailable

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schema" / "trace.json").read_text())
LIVES = {"short": (1.4, 3, 6), "middle": (12, 24, 48, 96), "long": (190, 380, 760, 1500)}
"""ms, far from a power of two of ns on both sides."""

SCRIPT = """
uprobe:{0}:__libc_start_main {{ @start[pid] = nsecs; }}
uprobe:{0}:exit /@start[pid]/ {{
  @lives[comm] = hist(nsecs - @start[pid]); delete(@start[pid]);
}}
END {{ clear(@start); }}
"""


@pytest.fixture(scope="module")
def programs(compiled: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One static program under three names (hard links: one inode)."""
    folder = tmp_path_factory.mktemp("lives")
    shutil.copy(compiled("timed.c", "-static"), folder / "short")
    for name in ("middle", "long"):
        (folder / name).hardlink_to(folder / "short")
    return folder


def driver(programs: Path, number: int) -> tuple[str, Counter[tuple[str, float]]]:
    """A script that starts so many processes, 25 at a time, and what lives they have."""
    kinds = [(name, life) for name, lives in LIVES.items() for life in lives]
    chosen = [kinds[n % len(kinds)] for n in range(number)]
    lines = []
    for at, (name, life) in enumerate(chosen):
        lines.append(f"{programs / name} life {life:g} 0 &")
        if at % 25 == 24:
            lines.append("wait")
    return "\n".join([*lines, "wait"]), Counter(chosen)


def spans(*words: object) -> tuple[dict[str, Any], str]:
    """The document, and what the command has said."""
    command = [sys.executable, "-m", "symprobe", "trace", *map(str, words), "--json"]
    at = command.index("--")
    command = [*command[:at], "--json", *command[at:-1]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    return document, done.stderr


def bucket(ns: float) -> int:
    return int(ns).bit_length() - 1


def close(ours: list[int], truth: list[int]) -> bool:
    return len(ours) == len(truth) and all(
        abs(a - b) <= 1 for a, b in zip(sorted(ours), sorted(truth), strict=True)
    )


def buckets_of(span: dict[str, Any]) -> list[int]:
    return [bucket(each["from_ns"] or 1) for each in span["buckets"] for _ in range(each["count"])]


def test_lives_of_500_processes(programs: Path) -> None:
    script, chosen = driver(programs, 500)
    start = (programs / "short", "__libc_start_main", "--span", "exit", "--by", "comm")
    document, said = spans(*start, "--", "sh", "-c", script)
    found = {span["key"]: span for span in document["spans"]}
    assert set(found) == set(LIVES)
    for name, span in found.items():
        lives = [int(ns) for ns in re.findall(rf"life {name} (\d+)", said)]
        assert len(lives) == sum(many for (kind, _), many in chosen.items() if kind == name)
        assert (span["count"], span["open"]) == (len(lives), 0)
        assert close(buckets_of(span), [bucket(life) for life in lives])
        assert span["min_ns"] >= min(lives)
    assert document["overflow"] == 0


def test_the_same_picture_as_bpftrace(programs: Path, tmp_path: Path) -> None:
    if shutil.which("bpftrace") is None:
        unavailable("bpftrace is not installed")
    script, _ = driver(programs, 100)
    program = programs / "short"
    ready = tmp_path / "ready"
    source = f'BEGIN {{ printf("ready\\n"); }} {SCRIPT.format(program)}'
    with ready.open("w") as output:
        peer = subprocess.Popen(["bpftrace", "-e", source], stdout=output, stderr=subprocess.PIPE)
        while "ready" not in ready.read_text():
            assert peer.poll() is None
            time.sleep(0.05)
        start = (program, "__libc_start_main", "--span", "exit", "--by", "comm")
        document, _ = spans(*start, "--", "sh", "-c", script)
        peer.terminate()
        peer.wait()
    theirs: dict[str, list[int]] = {}
    name = ""
    units = {"": 0, "K": 10, "M": 20, "G": 30}
    for line in ready.read_text().splitlines():
        if head := re.match(r"@lives\[(\w+)\]:", line):
            name = head[1]
        elif row := re.match(r"\[(\d+)([KMG]?), .*\) +(\d+) \|", line):
            place = int(row[1]).bit_length() - 1 + units[row[2]]
            theirs.setdefault(name, []).extend([place] * int(row[3]))
    assert set(theirs) == set(LIVES)
    for span in document["spans"]:
        assert close(buckets_of(span), theirs[span["key"]])


def test_what_is_never_closed(programs: Path) -> None:
    short = programs / "short"
    script = f"{short} life 1 0; {short} hang & sleep 0.3; kill -9 $!; wait; {short} life 1 3; true"
    document, _ = spans(short, "__libc_start_main", "--span", "exit", "--", "sh", "-c", script)
    (span,) = document["spans"]
    assert (span["key"], span["count"], span["open"]) == ("all", 2, 1)


def test_from_one_call_to_the_next_in_a_thread(compiled: Callable[..., Path]) -> None:
    timed = compiled("timed.c")
    document, said = spans(timed, "nap", "--span", "nap", "--same-thread", "--", timed, "naps", 15)
    (span,) = document["spans"]
    assert (span["count"], span["open"]) == (14, 1)
    naps = [int(ns) for ns in re.findall(r"nap (\d+)", said)]
    assert close(buckets_of(span), [bucket(ns) for ns in naps[:14]])


def test_no_such_function(compiled: Callable[..., Path]) -> None:
    timed = compiled("timed.c")
    command = [sys.executable, "-m", "symprobe", "trace", timed, "nap", "--span", "nobody"]
    done = subprocess.run([*command, "--", "true"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "--span nobody" in done.stderr
