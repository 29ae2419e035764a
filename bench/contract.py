"""`find` and `check` over all of /usr, beside the shell loops that they stand in for.

The loops are given the list of ELF files; `find` and `check` have to find them by themselves.
BENCH_TREE names another tree.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import SYMPROBE, Comparison, Row, Run, run

TREE = os.environ.get("BENCH_TREE", "/usr")
_SYMBOLS = (
    "qsort_r", "memcpy", "exit", "malloc", "free", "printf", "stdout", "environ", "pthread_create",
    "dlopen", "SSL_read", "deflate", "main", "_init", "__gmon_start__", "__cxa_finalize", "gets",
    "readline", "inflate", "strlcpy",
)  # fmt: skip
_RULES = "--forbid gets --max-version GLIBC_2.36 --no-missing --no-rpath --hardening relro"
_LOOP = "loop of nm -D --defined-only | grep -qw"
_PEAK_MIB = 300
_INTERVAL = 0.02


def comparisons() -> Iterator[Comparison]:
    """Symbols in a whole tree, with and without an index; a gate over a tree."""
    with tempfile.TemporaryDirectory() as directory:
        files = list(elf_files(TREE))
        listing = Path(directory, "files")
        listing.write_text("\n".join(files) + "\n")
        yield _find(files, listing, Path(directory, "index"))
        yield from _check(files)


def elf_files(top: str) -> Iterator[str]:
    device = os.stat(top).st_dev
    for directory, below, names in os.walk(top):
        below[:] = [b for b in below if os.lstat(os.path.join(directory, b)).st_dev == device]
        for name in names:
            path = os.path.join(directory, name)
            if "\n" not in path and os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    if file.read(4) == b"\x7fELF":
                        yield path


def _find(files: list[str], listing: Path, index: Path) -> Comparison:
    """One symbol and twenty. A loop answers for one: for twenty it runs twenty times."""
    loop = listing.with_name("loop")
    body = f"nm -D --defined-only $f 2>/dev/null | grep -qw {_SYMBOLS[0]} && echo $f"
    loop.write_text(f"while read -r f; do {body}; done < {listing}\n")
    one = f"{SYMPROBE} find {_SYMBOLS[0]} {TREE} --defines"
    many = " ".join(f"-e {name}" for name in _SYMBOLS)
    twenty = f"{SYMPROBE} find {many} {TREE} --defines"
    # One damaged archive among them, which an index can't hold, is exit code 2.
    damaged = "|| [ $? = 2 ]"
    made = run(f"{one} --index {index} {damaged}")
    count = len(_SYMBOLS)
    runs = {
        "symprobe find, 1 symbol": _median(one, 3),
        f"symprobe find, {count} symbols": _median(twenty, 3),
        "symprobe find --index, 1 symbol": _median(f"{one} --index {index} {damaged}", 7),
        f"symprobe find --index, {count} symbols": _median(
            f"{twenty} --index {index} {damaged}", 7
        ),
        "symprobe find --index --no-refresh, 1 symbol": _median(
            f"{one} --index {index} --no-refresh {damaged}", 7
        ),
        f"symprobe find --index --no-refresh, {count} symbols": _median(
            f"{twenty} --index {index} --no-refresh {damaged}", 7
        ),
    }
    # Files and pages are in the caches by now: the loop, too, is measured warm.
    reference = run(f"sh {loop}")
    rows = [Row(f"{_LOOP}, 1 symbol", reference.seconds, reference.peak)]
    for label, taken in runs.items():
        questions = count if f"{count} symbols" in label else 1
        aim = 0.1 if "--index" not in label else 0.001 if questions > 1 else float("inf")
        note = f"of {questions} x the loop" if questions > 1 else "of the loop"
        ratio = taken.seconds / (questions * reference.seconds)
        rows.append(Row(label, taken.seconds, taken.peak, ratio, aim, note))
    rows.append(Row("making the index, once", made.seconds, made.peak))
    return Comparison(f"who defines a symbol in {TREE} ({len(files)} ELF files)", tuple(rows))


def _median(command: str, rounds: int) -> Run:
    """Of an odd number of runs, the one in the middle."""
    return sorted((run(command) for _ in range(rounds)), key=lambda each: each.seconds)[rounds // 2]


def _check(files: list[str]) -> Iterator[Comparison]:
    """Five rules in one call: what all its processes hold in memory together, and whether two
    processors are at work."""
    started = time.perf_counter()
    process = subprocess.Popen(
        ["/bin/sh", "-c", f"exec {SYMPROBE} check {TREE} {_RULES}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peaks: list[float] = []
    watching = threading.Thread(target=_watch, args=(process.pid, peaks))
    watching.start()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    taken = time.perf_counter() - started
    watching.join()
    peak = max(peaks)
    title = f"five rules on {TREE} ({len(files)} ELF files), memory of all processes together"
    row = Row("symprobe check", taken, peak, peak / _PEAK_MIB, 1.0, f"of {_PEAK_MIB} MiB")
    yield Comparison(title, (row,))
    used = (usage.ru_utime + usage.ru_stime) / taken
    row = Row("symprobe check", taken, peak, 1.0 / used, 0.67, f"({used:.2f} processors at work)")
    yield Comparison(f"five rules on {TREE}: time a processor's time", (row,))


def _watch(pid: int, peaks: list[float]) -> None:
    """Until the process ends: the memory of it and its children in MiB, shared pages once."""
    total = 1.0
    while total:
        total = sum(map(_memory, _with_children(pid)))
        peaks.append(total)
        time.sleep(_INTERVAL)


def _with_children(pid: int) -> list[int]:
    try:
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(each for child in below for each in _with_children(int(child)))]


def _memory(pid: int) -> float:
    """Proportional set size in MiB; 0 of a process that is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    lines = (line.split() for line in text.splitlines())
    return next((int(line[1]) / 1024 for line in lines if line[0] == "Pss:"), 0.0)
