"""`ls` beside objdump, nm, eu-nm and bpftrace."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator

from bench.measure import PYTHON, SYMPROBE, Comparison, compare


def comparisons() -> Iterator[Comparison]:
    """Greps and full listings on this machine's largest binaries; those that are there."""
    node = shutil.which("node")
    rustc = next(iter(_rustc_drivers()), None)
    for label, path in (("node", node), ("librustc_driver", rustc)):
        if path is not None:
            yield _grep(label, os.path.realpath(path))
    yield _small()
    if node is not None:
        yield _listing("node", os.path.realpath(node))


def _rustc_drivers() -> Iterator[str]:
    for home in (os.path.expanduser("~/.rustup"), "/usr/lib"):
        yield from glob.glob(f"{home}/**/librustc_driver-*.so", recursive=True)


def _grep(label: str, path: str) -> Comparison:
    return compare(
        f"grep for `exit` in {label} ({os.path.getsize(path) >> 20} MiB)",
        {
            "symprobe ls --grep": f"{SYMPROBE} ls {path} --grep exit",
            "objdump -tTC | grep": f"objdump -tTC {path} | grep exit",
            "nm -C | grep": f"nm -C {path} | grep exit",
            "nm -DC | grep": f"nm -DC {path} | grep exit",
            "eu-nm -C | grep": f"eu-nm -C {path} | grep exit",
            "bpftrace -l": f"bpftrace -l 'uprobe:{path}:*exit*'",
        },
        bounds={
            "symprobe ls --grep": ("objdump -tTC | grep", 0.5),
            "nm -C | grep": ("objdump -tTC | grep", float("inf")),
            "nm -DC | grep": ("objdump -tTC | grep", float("inf")),
            "eu-nm -C | grep": ("objdump -tTC | grep", float("inf")),
            "bpftrace -l": ("objdump -tTC | grep", float("inf")),
        },
    )


def _small() -> Comparison:
    return compare(
        "grep for `exit` in libc: little more than starting",
        {
            "symprobe ls libc.so.6 --grep": f"{SYMPROBE} ls libc.so.6 --grep exit",
            "python -c 'import typer'": f"{PYTHON} -c 'import typer'",
        },
        rounds=21,
        bounds={"symprobe ls libc.so.6 --grep": ("python -c 'import typer'", 1.5)},
    )


def _listing(label: str, path: str) -> Comparison:
    return compare(
        f"full demangled listing of {label}",
        {
            "symprobe ls": f"{SYMPROBE} ls {path}",
            "objdump -tTC": f"objdump -tTC {path}",
            "nm -C": f"nm -C {path}",
        },
        bounds={
            "symprobe ls": ("objdump -tTC", 2.0),
            "nm -C": ("objdump -tTC", float("inf")),
        },
    )
