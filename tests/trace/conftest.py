"""Programs that count their own calls, and what it takes to trace them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import need_tracing, unavailable

SOURCES = Path(__file__).parents[2] / "fixtures" / "trace"
CHEAP = ("-O2", "-g", "-fcf-protection=none", "-pthread")
"""The functions to count begin with an instruction that the kernel emulates."""


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`compiled("counted.c", "-static")`: the program, compiled once with those options."""
    directory = tmp_path_factory.mktemp("compiled")
    done: dict[tuple[str, ...], Path] = {}

    def build(source: str, *options: str, name: str = "") -> Path:
        key = (source, name, *options)
        if key not in done:
            folder = directory / str(len(done))
            folder.mkdir()
            output = folder / (name or Path(source).stem)
            command = ["gcc", *CHEAP, "-o", str(output), str(SOURCES / source), *options]
            subprocess.run(command, check=True)
            done[key] = output
        return done[key]

    return build


@pytest.fixture(scope="session")
def counted(compiled: Callable[..., Path]) -> Path:
    return compiled("counted.c")


@pytest.fixture(scope="session", autouse=True)
def _can_trace(request: pytest.FixtureRequest) -> None:
    """Every test here puts real probes in."""
    need_tracing()
    for tool in ("gcc", "nm", "readelf"):
        if shutil.which(tool) is None:
            unavailable(f"{tool} is missing")


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """No test leaves a probe or a process of its own behind."""
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 1
