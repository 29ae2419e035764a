"""Each fuzzing harness takes its seeds; a short run of each with atheris; the limits are limits."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from fuzz.__main__ import fuzz
from fuzz.engine import HangingError, Limits
from fuzz.harnesses import NAMES
from symprobe.errors import SymprobeError
from tests.conftest import unavailable

RUNS = 1500
ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", NAMES)
def test_seeds_and_what_is_left_of_them(name: str) -> None:
    """Whole and cut short anywhere, they give an answer or a SymprobeError; some are accepted."""
    harness = import_module(f"fuzz.harnesses.{name}")
    seeds = list(harness.seeds())
    assert seeds
    assert all(len(data) <= harness.LONGEST for data in seeds)
    accepted = 0
    for data in seeds:
        for end in range(0, len(data) + 1, max(1, len(data) // 16)):
            try:
                harness.check(data[:end])
                accepted += 1
            except SymprobeError:
                continue
    assert accepted or name == "argument"  # whose last parser always wants a traced function


@pytest.mark.parametrize("name", NAMES)
def test_a_short_run(name: str, tmp_path: Path) -> None:
    """Coverage-guided, from the seeds alone, the same inputs every time."""
    if find_spec("atheris") is None:
        unavailable("atheris (of pip) is needed")
    result = fuzz(name, [f"-runs={RUNS}", "-seed=1"], tmp_path)
    assert result.findings == [], result.log[-4000:]
    assert result.executions >= RUNS


def test_an_input_that_takes_too_long_is_a_finding() -> None:
    script = "from fuzz.engine import Limits\nwith Limits():\n while True: pass"
    ran = _python(script)
    assert "HangingError: no end after 1.0 s" in ran.stderr


def test_an_input_that_takes_too_much_memory_is_a_finding() -> None:
    for size, fits in ((100, True), (300, False)):
        ran = _python(f"from fuzz.engine import Limits\nwith Limits():\n bytearray({size} << 20)")
        assert (ran.returncode == 0) is fits
        assert ("MemoryError" in ran.stderr) is not fits


def test_nothing_below_takes_a_hang_for_broken_data() -> None:
    assert not issubclass(HangingError, Exception)
    assert Limits.__exit__(object.__new__(Limits), None, None, None) is None


def _python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
    )
