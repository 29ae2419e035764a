"""Compare symprobe with the tools and the loader of this machine.

    python -m verify [DIRECTORY…]       every ELF file below (default: this whole system):
                                        symbols with readelf, names with nm -C, dependencies with
                                        the loader
    python -m verify --corpus DIRECTORY a collection of odd files: every file through the commands,
                                        each in a process of its own; symbols with readelf, names
                                        with nm where it accepts the file

Prints each difference, with its explanation where there is one, and the counts. Exit code 1: a
difference without an explanation, a traceback, another exit code than 0, 1, 2.
"""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from typing import NamedTuple

from symprobe.errors import SymprobeError
from tests.support.compare_ldd import differences as loader_differences
from tests.support.compare_readelf import sides
from tests.support.nm import name_differences
from tests.support.readelf import run
from verify.commands import Ran, run_all
from verify.explained import CLASSES, explained

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt")
_ELF, _ARCHIVES = b"\x7fELF", (b"!<arch>\n", b"!<thin>\n")
_MOST_LINES = 20


class File(NamedTuple):
    """What was found out of one file. explained: differences by class.  compared: rows of
    readelf's.  names: whether nm was asked."""

    path: str
    elf: bool
    compared: int
    names: bool
    explained: Counter[str]
    findings: list[str]
    ran: list[Ran]


def files(roots: list[str]) -> Iterator[str]:
    """Every regular file below the roots, each inode once."""
    seen: set[tuple[int, int]] = set()
    for root in roots:
        for directory, below, names in os.walk(root):
            below.sort()
            for path in (os.path.join(directory, name) for name in sorted(names)):
                try:
                    info = os.lstat(path)
                except OSError:  # gone meanwhile
                    continue
                if stat.S_ISREG(info.st_mode) and (info.st_dev, info.st_ino) not in seen:
                    seen.add((info.st_dev, info.st_ino))
                    yield path


def _head(path: str) -> bytes:
    """Its first bytes; none of a file that can't be read, or has gone."""
    try:
        with open(path, "rb") as file:
            return file.read(8)
    except OSError:
        return b""


def is_elf(path: str) -> bool:
    return _head(path).startswith((_ELF, *_ARCHIVES))


def of_machine(path: str) -> File:
    """Symbols and names of a file that tools have made."""
    return _compared(path, names=not _head(path).startswith(_ARCHIVES), ran=[])


def of_corpus(path: str) -> File:
    """The same of a file from anywhere, after the commands."""
    ran = run_all(path, elf=is_elf(path))
    if not is_elf(path):
        return File(path, False, 0, False, Counter(), _faults(path, ran), ran)
    return _compared(path, names=_nm_accepts(path), ran=ran)


def _compared(path: str, *, names: bool, ran: list[Ran]) -> File:
    both = sides(path)
    counts, rest = explained(path, both) if both.lines else (Counter[str](), [])
    found = [*_faults(path, ran), *(f"{path}: {line}" for line in rest)]
    if names and not counts:  # what differs already would differ again
        with suppress(SymprobeError):  # refused: sides() has judged that
            found += name_differences(path)
    return File(path, True, len(both.theirs), names, counts, found, ran)


def _faults(path: str, ran: list[Ran]) -> list[str]:
    return [f"{path}: symprobe {r.command}: {fault}" for r in ran for fault in r.faults]


def _nm_accepts(path: str) -> bool:
    """Whether nm reads the file without a complaint, and has names to tell; archives are left to
    readelf."""
    if _head(path).startswith(_ARCHIVES):
        return False
    said = [run("nm", option, path, errors=True).splitlines() for option in ("-a", "-D")]
    clean = all(line.endswith(": no symbols") for lines in said for line in lines)
    return clean and not all(said) and " (null)\n" not in run("nm", "-a", path)


def report(found: Iterable[File]) -> int:
    """Print differences as they come, then counts; gives the number of findings."""
    sums, rows, holders, codes = Counter[str](), Counter[str](), Counter[str](), Counter[int]()
    for file in found:
        _print(file)
        sums += Counter(files=1, elf=file.elf, names=file.names, symbols=file.compared)
        sums["findings"] += len(file.findings)
        rows += file.explained
        holders.update(file.explained.keys())
        codes.update(ran.code for ran in file.ran)
    if codes:
        print(f"{codes.total():,} commands on {sums['files']:,} files, exit codes {dict(codes)}")
    print(f"{sums['elf']:,} ELF files and archives, {sums['symbols']:,} symbols compared")
    print(f"{sums['names']:,} of them with nm's names too")
    for name, count in sorted(rows.items()):
        print(f"{count:>7,} in {holders[name]:>3} files: {name}: {CLASSES[name]}")
    print(f"{sums['findings']} findings")
    return sums["findings"]


def _print(file: File) -> None:
    for line in file.findings[:_MOST_LINES]:
        print(f"FINDING {line}")
    if len(file.findings) > _MOST_LINES:
        print(f"  … and {len(file.findings) - _MOST_LINES} more of this file")
    if file.explained:
        print(f"explained {file.path}: {_listed(file.explained)}")
    for ran in file.ran:
        if ran.heavy:
            print(f"heavy {file.path}: symprobe {ran.command}: {ran.heavy}")
    sys.stdout.flush()


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m verify", description=__doc__.split("\n")[0])
    parser.add_argument("roots", nargs="*", metavar="DIRECTORY", default=list(SYSTEM))
    parser.add_argument("--corpus", metavar="DIRECTORY", help="a collection of odd files")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    corpus = arguments.corpus is not None
    paths = list(files([arguments.corpus] if corpus else arguments.roots))
    if not corpus:
        paths = [path for path in paths if is_elf(path)]
    with ProcessPoolExecutor(arguments.jobs) as pool:
        work = pool.map(of_corpus if corpus else of_machine, paths, chunksize=4)
        findings = report(work)
    if not corpus:
        compared, skipped, found = loader_differences(arguments.roots)
        print("\n".join(found))
        print(f"{compared:,} files with their loader, {skipped:,} without, {len(found)} findings")
        findings += len(found)
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
