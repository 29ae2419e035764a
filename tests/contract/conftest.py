"""A tree for find and check to look at."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Fixture = Callable[[str], Path]


@pytest.fixture
def tree(fixture: Fixture, tmp_path: Path) -> Path:
    """Three libraries in two directories."""
    top = tmp_path / "tree"
    (top / "below").mkdir(parents=True)
    for name in ("one.so", "below/two.so", "below/three.so"):
        shutil.copy(fixture("libversioned.so"), top / name)
    return top
