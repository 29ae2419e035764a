"""`resolve` beside a plain start of Python, and beside a listing by objdump."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from bench.measure import PYTHON, SYMPROBE, Comparison, compare


def comparisons() -> Iterator[Comparison]:
    """One name, and all functions of a large binary."""
    yield compare(
        "resolve one name in libc",
        {
            "symprobe resolve libc.so.6 exit": f"{SYMPROBE} resolve libc.so.6 exit",
            "... --no-source": f"{SYMPROBE} resolve libc.so.6 exit --no-source",
            "python -c 'import typer'": f"{PYTHON} -c 'import typer'",
        },
        rounds=15,
        bounds={
            "symprobe resolve libc.so.6 exit": ("python -c 'import typer'", 2.0),
            "... --no-source": ("python -c 'import typer'", 2.0),
        },
    )
    node = shutil.which("node")
    if node is not None:
        path = os.path.realpath(node)
        yield compare(
            "all functions of node",
            {
                "symprobe resolve node '*'": f"{SYMPROBE} resolve {path} '*'",
                "objdump -tTC": f"objdump -tTC {path}",
            },
            rounds=7,
            bounds={"symprobe resolve node '*'": ("objdump -tTC", 3.0)},
        )
