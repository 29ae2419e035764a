"""`find` and `check` beside the shell loops that they stand in for.

The loops are given the list of ELF files; `find` and `check` have to find them by themselves.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import SYMPROBE, Comparison, Row, compare
from symprobe.contract.index import Index
from symprobe.contract.names import wanted

TREE = os.environ.get("BENCH_TREE", "/usr/lib/x86_64-linux-gnu")
_SYMBOL = "qsort_r"
_QUERIES = 50


def comparisons() -> Iterator[Comparison]:
    """One symbol in a whole tree, with and without an index; a gate over a tree."""
    with tempfile.TemporaryDirectory() as directory:
        files = list(_elf_files(TREE))
        listing = Path(directory, "files")
        listing.write_text("\n".join(files) + "\n")
        index = str(Path(directory, "index"))
        os.system(f"{SYMPROBE} find {_SYMBOL} {TREE} --index {index} -q")
        yield _find(files, listing, index)
        yield _check(files, listing)


def _elf_files(top: str) -> Iterator[str]:
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    if file.read(4) == b"\x7fELF":
                        yield path


def _find(files: list[str], listing: Path, index: str) -> Comparison:
    loop = "loop of nm -D --defined-only | grep -qw"
    body = f"nm -D --defined-only $f 2>/dev/null | grep -qw {_SYMBOL} && echo $f"
    measured = compare(
        f"who defines `{_SYMBOL}` in {TREE} ({len(files)} ELF files)",
        {
            "symprobe find": f"{SYMPROBE} find {_SYMBOL} {TREE} --defines",
            "symprobe find --index": f"{SYMPROBE} find {_SYMBOL} {TREE} --defines --index {index}",
            "symprobe find --index --no-refresh": f"{SYMPROBE} find {_SYMBOL} {TREE} --defines "
            f"--index {index} --no-refresh",
            loop: _script(listing, body),
        },
        rounds=3,
        bounds={
            "symprobe find": (loop, 0.1),
            "symprobe find --index": (loop, float("inf")),
            "symprobe find --index --no-refresh": (loop, float("inf")),
        },
    )
    seconds = _query(index)
    reference = next(row.seconds for row in measured.rows if row.label == loop)
    label = "the index alone, without starting Python"
    row = Row(label, seconds, 0.0, seconds / reference, 0.001, f"of {loop}")
    return Comparison(measured.title, (*measured.rows, row))


def _script(listing: Path, body: str) -> str:
    """The command that runs a loop over the files listed."""
    path = listing.with_name(f"loop-{len(body)}")
    path.write_text(f"while read -r f; do {body}; done < {listing}\n")
    return f"sh {path}"


def _query(index: str) -> float:
    """Seconds that an open index takes to answer."""
    opened = Index(index)
    taken = []
    for _ in range(_QUERIES):
        started = time.perf_counter()
        list(opened.find([wanted(_SYMBOL)], [TREE]))
        taken.append(time.perf_counter() - started)
    opened.close()
    return statistics.median(taken)


def _check(files: list[str], listing: Path) -> Comparison:
    rules = (
        "--forbid gets --max-version GLIBC_2.36 --no-missing --no-rpath --linkage shared-library"
    )
    loop = "loop of nm, readelf -V, ldd, readelf -d, readelf -h"
    body = (
        "nm -D $f | grep -qw gets; readelf -VW $f | grep -q GLIBC_2.37; "
        "ldd $f | grep -q 'not found'; readelf -dW $f | grep -qE 'RPATH|RUNPATH'; "
        "readelf -hW $f | grep -q DYN"
    )
    return compare(
        f"five rules on {TREE} ({len(files)} ELF files)",
        {
            "symprobe check": f"{SYMPROBE} check {TREE} {rules}",
            loop: _script(listing, body),
        },
        rounds=1,
        bounds={"symprobe check": (loop, float("inf"))},
    )
