"""`deps` beside ldd, libtree and both lddtrees (pax-utils, auditwheel)."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.measure import PYTHON, SYMPROBE, Comparison, compare
from symprobe.errors import SymprobeError
from symprobe.linkage import Linkage
from symprobe.loader import Session, dependency_graph
from symprobe.loader.cache import library_paths, read_cache
from symprobe.loader.machine import native_machine
from symprobe.model import FilePath

_FILES = 1000
_WITHOUT_AIM = float("inf")


def comparisons() -> Iterator[Comparison]:
    """Single programs, from few libraries to more than a hundred; a thousand programs at once."""
    with tempfile.TemporaryDirectory() as directory:
        for name in ("/usr/lib/chromium/chromium", "node", "gdb"):
            path = shutil.which(name)
            if path is not None:
                yield _one(os.path.basename(name), os.path.realpath(path))
        many = _needing_a_hundred(Path(directory))
        if many is not None:
            yield _one("a program that needs them", many)
        yield _thousand(Path(directory))


def _one(name: str, path: str) -> Comparison:
    count = len(dependency_graph(path).libraries)
    lddtree = shutil.which("lddtree") or "lddtree"
    commands = {
        "symprobe deps": f"{SYMPROBE} deps {path}",
        "ldd": f"ldd {path}",
        "libtree": f"libtree {path}",
        # Run by this Python, which has pyelftools; the distribution's may not.
        "lddtree (pax-utils)": f"{PYTHON} {lddtree} {path}" if "/" in lddtree else lddtree,
        "lddtree (auditwheel)": f"{_auditwheel()} lddtree {path}",
        "python -c 'import typer'": f"{PYTHON} -c 'import typer'",
    }
    reference = "lddtree (pax-utils)"
    bounds = dict.fromkeys(commands, (reference, _WITHOUT_AIM))
    first = compare(
        f"libraries of {name}: {count}",
        commands,
        rounds=9,
        bounds=bounds | {"symprobe deps": (reference, 0.4)},
    )
    start = compare(
        f"libraries of {name}: beside starting Python",
        {label: commands[label] for label in ("symprobe deps", "python -c 'import typer'")},
        rounds=9,
        bounds={"symprobe deps": ("python -c 'import typer'", 2.0)},
    )
    return Comparison(first.title, (*first.rows, *start.rows[:1]))


def _auditwheel() -> str:
    beside = Path(PYTHON).with_name("auditwheel")
    return str(beside) if beside.exists() else "auditwheel"


def _needing_a_hundred(directory: Path) -> str | None:
    """A program linked with libraries of this machine, so many that a hundred are loaded."""
    cache = read_cache(FilePath.plain("/etc/ld.so.cache"), big_endian=native_machine().big_endian)
    session, chosen, loaded = Session(), [], set[str]()
    for name in cache.names() if cache is not None else ():
        path = next(iter(library_paths(name)), None)
        if path is None or len(loaded) > 140:
            break
        try:
            graph = dependency_graph(path, session=session)
        except SymprobeError:
            continue
        if graph.complete and graph.flavor is not None and graph.interpreter is not None:
            chosen.append(path)
            loaded |= {path, *(d.path or "" for d in graph.libraries)}
    out = directory / "many"
    (directory / "main.c").write_text("int main(void) { return 0; }\n")
    flags = ["-Wl,--no-as-needed", "-Wl,--unresolved-symbols=ignore-all"]
    link = ["gcc", "-o", out, directory / "main.c", *flags, *chosen]
    if subprocess.run(link, capture_output=True, check=False).returncode:
        return None
    return str(out) if len(dependency_graph(str(out)).libraries) > 100 else None


def _thousand(directory: Path) -> Comparison:
    files = list(programs())[:_FILES]
    listed = directory / "programs"
    listed.write_text("".join(f"{path}\n" for path in files))
    count = len(files)
    return compare(
        f"{count} programs at once",
        {
            f"symprobe deps, one call for {count}": f"xargs -n {count} -a {listed} {SYMPROBE} deps",
            f"ldd, {count} calls": f"xargs -n 1 -a {listed} ldd",
        },
        rounds=3,
        bounds={f"symprobe deps, one call for {count}": (f"ldd, {count} calls", 0.1)},
    )


def programs() -> Iterator[str]:
    """Dynamic programs of this machine, each file once."""
    session, seen = Session(), set()
    for directory in ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/usr/local"):
        for parent, _, names in os.walk(directory):
            for name in sorted(names):
                path = os.path.join(parent, name)
                if os.path.islink(path) or not os.access(path, os.X_OK) or " " in path:
                    continue
                try:
                    graph = dependency_graph(path, session=session)
                except SymprobeError:
                    continue
                inode = os.stat(path).st_ino
                if graph.verdict.linkage in (Linkage.DYNAMIC, Linkage.DYNAMIC_PIE) and (
                    graph.complete and inode not in seen
                ):
                    seen.add(inode)
                    yield path
