"""Every dynamic program and library of this machine: symprobe's answer against the loader's own.

The loader is run with LD_TRACE_LOADED_OBJECTS=1 and the file as its argument: it lists what it
would load, and starts nothing. The same names, the same paths, the same order are asked for.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from symprobe.errors import SymprobeError
from symprobe.loader import DependencyGraph, Session, dependency_graph

_LINE = re.compile(r"\t(.*?)(?: => (.*?))?(?: \(0x[0-9a-f]+\))?")
VDSO = ("linux-vdso.so.1", "linux-gate.so.1")

Listing = list[tuple[str, str | None]]
"""(name, path; None: not found) in load order, the vDSO left out."""


def elf_files(directories: list[str]) -> Iterator[str]:
    """ELF programs and libraries below the directories, each inode once."""
    seen = set()
    for directory in directories:
        for parent, _, names in os.walk(directory):
            for name in names:
                path = os.path.join(parent, name)
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                info = os.stat(path)
                if (info.st_dev, info.st_ino) in seen or info.st_size < 64:
                    continue
                with open(path, "rb") as file:
                    head = file.read(20)
                if head[:4] == b"\x7fELF" and head[16 if head[5] == 1 else 17] in (2, 3):
                    seen.add((info.st_dev, info.st_ino))
                    yield path


def loader_listing(interpreter: str, path: str, **environment: str) -> tuple[Listing, str]:
    """(what the loader lists, its complaints) for a file, which is not executed."""
    result = subprocess.run(
        [interpreter, path],
        env={"LD_TRACE_LOADED_OBJECTS": "1", "LC_ALL": "C", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        timeout=60,
    )
    return parsed(result.stdout), result.stderr


def parsed(text: str) -> Listing:
    """The lines of ldd or LD_TRACE_LOADED_OBJECTS=1."""
    found: Listing = []
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or line.endswith("statically linked"):
            continue
        name, path = match[1], match[2]
        if name in VDSO:
            continue
        found.append((name, None if path == "not found" else path or name))
    return found


def own_listing(graph: DependencyGraph) -> Listing:
    """symprobe's answer in the same form."""
    return [(d.name, d.path) for d in graph.libraries]


def differences(directories: list[str]) -> tuple[int, int, list[str]]:
    """(files compared, files that no loader here is for, differences)."""
    session = Session()
    jobs = []
    skipped = 0
    for path in elf_files(directories):
        try:
            graph = dependency_graph(path, secure=False, session=session)
        except SymprobeError as error:
            print(f"symprobe: {error}", file=sys.stderr)
            skipped += 1
            continue
        interpreter = graph.interpreter
        if interpreter is None or not _runs_here(interpreter.opened):
            skipped += 1
            continue
        jobs.append((path, interpreter.opened, graph))
    found: list[str] = []
    with ThreadPoolExecutor(2) as pool:
        truths = pool.map(lambda job: loader_listing(job[1], os.path.realpath(job[0])), jobs)
        for (path, _, graph), (truth, complaints) in zip(jobs, truths, strict=True):
            found += _compare(path, graph, truth, complaints)
    return len(jobs), skipped, found


def _compare(path: str, graph: DependencyGraph, truth: Listing, complaints: str) -> list[str]:
    own = own_listing(graph)
    if complaints and graph.complete:
        return [f"{path}: only the loader complains: {complaints.strip()}"]
    if graph.fatal is not None or not truth:
        if bool(complaints) == (graph.fatal is not None) and (graph.fatal or not own):
            return []
        return [f"{path}: loader: {complaints.strip()!r}, symprobe: {graph.fatal}"]
    if truth == own:
        return []
    lines = [f"{path}:"]
    for there, here in zip(truth + [("", None)] * 200, own + [("", None)] * 200, strict=False):
        if there != here:
            lines.append(f"    loader {there}, symprobe {here}")
        if there == here == ("", None):
            break
    return ["\n".join(lines)]


_CAN_RUN: dict[str, bool] = {}


def _runs_here(interpreter: str) -> bool:
    if interpreter not in _CAN_RUN:
        try:
            subprocess.run([interpreter], capture_output=True, check=False, timeout=10)
            _CAN_RUN[interpreter] = "musl" not in interpreter
        except OSError:
            _CAN_RUN[interpreter] = False
    return _CAN_RUN[interpreter]
