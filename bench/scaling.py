"""Curves: time against the number of symbols, files, targets and hits."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench import deps, measure
from bench.contract import elf_files
from bench.curves import Curves, by_size
from bench.measure import SYMPROBE
from bench.trace_tools import SOURCES, compiled

SYMBOLS = (1_000, 10_000, 100_000, 1_000_000)
FILES = (10, 30, 100, 300, 1_000, 3_000)
LLVM = 33_850
"""As many functions as libLLVM-14 exports."""
TARGETS = {"a": 1, "b": 10, "c": 100, "d": 1_000, "e": 10_000}
"""By first letter, that many functions; with the rest they are LLVM many."""
HITS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
_TREE = "/usr/lib"
_SLOW = {"symbols": 1_000_000, "files": 1_000, "calls": 10_000_000}
"""From so many on a round takes many seconds: one is enough."""
_BPFTRACE = 100
"""bpftrace makes a perf event for each function, 0.1 s to remove: more take minutes."""
_SINGLE_STEPPED = 1_000_000
"""Calls from which on 10 µs for each are too long."""


def comparisons() -> Iterator[Curves]:
    """Each curve as a table, and drawn into docs/."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for curves in (_symbols, _find, _deps, _resolve, _attach, _hits):
            found = curves(directory)
            if not measure.QUICK:
                found.draw()
            yield found


def _curves(
    name: str,
    title: str,
    unit: str,
    sizes: Sequence[int],
    commands: Callable[[int], dict[str, str]],
    slow: float = float("inf"),
) -> Curves:
    """Medians of the commands of each size."""
    if measure.QUICK:
        sizes = sizes[:2]
    figures: list[dict[str, float | str]] = []
    for size in sizes:
        found = measure.measure(commands(size), 1 if size >= slow else 3, warm=size < slow)
        figures.append({label: each.seconds or each.failed for label, each in found.items()})
    return Curves(name, title, unit, tuple(sizes), by_size(figures))


# -- symbols


def _symbols(directory: Path) -> Curves:
    def commands(count: int) -> dict[str, str]:
        path = library(directory, [f"_ZN3app{len(n)}{n}Ev" for n in numbered("method", count)])
        return {
            "symprobe ls --grep": f"{SYMPROBE} ls {path} --grep method77",
            "symprobe ls": f"{SYMPROBE} ls {path}",
            "nm -C": f"nm -C {path}",
            "objdump -tTC": f"objdump -tTC {path}",
            "objdump -tTC | grep": f"objdump -tTC {path} | grep method77",
        }

    title = "all symbols of one file, C++ names, and a search in them"
    return _curves("symbols", title, "symbols", SYMBOLS, commands, _SLOW["symbols"])


def numbered(stem: str, count: int) -> list[str]:
    """Different names of the same length."""
    return [f"{stem}{i:07}" for i in range(count)]


def library(directory: Path, names: Sequence[str]) -> Path:
    """A shared library of functions of these names, made by as and ld."""
    source, path = directory / f"{len(names)}.s", directory / f"lib{len(names)}.so"
    if not path.exists():
        with open(source, "w", encoding="ascii") as file:
            for name in names:
                file.write(f".globl {name}\n.type {name},@function\n{name}:nop\n.size {name},1\n")
        subprocess.run(["gcc", "-shared", "-nostdlib", "-o", path, source], check=True)
        source.unlink()
    return path


# -- files


def _find(directory: Path) -> Curves:
    files = list(elf_files(_TREE))

    def commands(count: int) -> dict[str, str]:
        listed = _listed(directory, "libraries", files[:count])
        body = "nm -D --defined-only $f 2>/dev/null | grep -qw qsort_r"
        return {
            "symprobe find": f"xargs -n {count} -a {listed} {SYMPROBE} find -e qsort_r --defines",
            "loop of nm -D | grep": f"cat {listed} | while read -r f; do {body}; done; true",
        }

    title = "who defines a name, in so many ELF files"
    sizes = [count for count in FILES if count <= len(files)]
    return _curves("find", title, "files", sizes, commands, _SLOW["files"])


def _deps(directory: Path) -> Curves:
    files = []
    for path in deps.programs():
        files.append(path)
        if len(files) == FILES[-1]:
            break

    def commands(count: int) -> dict[str, str]:
        listed = _listed(directory, "programs", files[:count])
        return {
            "symprobe deps": f"xargs -n {count} -a {listed} {SYMPROBE} deps",
            "loop of ldd": f"xargs -n 1 -a {listed} ldd",
        }

    title = "the libraries of so many programs"
    sizes = [count for count in FILES if count <= len(files)]
    return _curves("deps", title, "programs", sizes, commands, _SLOW["files"])


def _listed(directory: Path, name: str, files: Sequence[str]) -> Path:
    path = directory / f"{name}-{len(files)}"
    path.write_text("".join(f"{file}\n" for file in files))
    return path


# -- targets


def _of_targets(directory: Path) -> tuple[Path, dict[int, str]]:
    """A library, and by number of functions the pattern that means them."""
    names = [name for letter, count in TARGETS.items() for name in numbered(f"{letter}_", count)]
    names += numbered("z_", LLVM - len(names))
    patterns = {count: f"{letter}_*" for letter, count in TARGETS.items()}
    return library(directory, names), patterns | {LLVM: "*_*"}


def _resolve(directory: Path) -> Curves:
    path, patterns = _of_targets(directory)

    def commands(count: int) -> dict[str, str]:
        pattern = patterns[count]
        return {
            "symprobe resolve": f"{SYMPROBE} resolve {path} '{pattern}'",
            "bpftrace -l": f"bpftrace -l 'uprobe:{path}:{pattern}'",
        }

    title = f"where probes go, of {LLVM:,} functions"
    return _curves("resolve", title, "targets", list(patterns), commands)


def _attach(directory: Path) -> Curves:
    path, patterns = _of_targets(directory)

    def commands(count: int) -> dict[str, str]:
        pattern = patterns[count]
        found = {"symprobe trace": f"{SYMPROBE} trace {path} '{pattern}' -- true"}
        if count <= _BPFTRACE:
            script = f"uprobe:{path}:{pattern} {{ @[probe] = count(); }}"
            # bpftrace says 1 when it fails.
            found["bpftrace count()"] = f"bpftrace -c /bin/true -e '{script}' || exit 2"
        return found

    title = "a run with so many probes, from start to end"
    return _curves("targets", title, "targets", list(patterns), commands)


# -- hits


def _hits(_: Path) -> Curves:
    with compiled(str(SOURCES / "hits.c")) as program:

        def commands(count: int) -> dict[str, str]:
            run = {f: f"{program} {f} {count}" for f in ("push", "endbr")}
            found = {"no probe": f"echo | {run['push']}"}
            for entry, command in run.items():
                if entry == "endbr" and count > _SINGLE_STEPPED:
                    continue
                name = f"begins_with_{entry}"
                ours = f"{SYMPROBE} trace {program} {name} -- {command}"
                script = f"uprobe:{program}:{name} {{ @ = count(); }}"
                theirs = f"bpftrace -c '{command}' -e '{script}' || exit 2"
                found[f"symprobe trace, {entry}"] = f"echo | {ours}"
                found[f"bpftrace, {entry}"] = f"echo | {{ {theirs}; }}"
            return found

        title = "a run with so many calls counted, from start to end"
        return _curves("hits", title, "calls", HITS, commands, _SLOW["calls"])
