"""Names to demangle: what nm says of them, and real ones of this machine's files."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from itertools import accumulate
from pathlib import Path
from typing import Any

from symprobe.demangle import is_mangled
from tests.conftest import absent, unavailable
from tests.elfwriter import SHT_STRTAB, SHT_SYMTAB, ElfFile, Section, Symbol, symbol_table

SAMPLE = 20_000


def run(*argv: str | Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, capture_output=True, check=False, **options)


def nm(names: list[str], path: Path) -> list[str]:
    """The names as `nm -C` prints them: from an object file that refers to each of them."""
    raw = [name.encode("utf-8", "surrogateescape") for name in names]
    starts = accumulate((len(name) + 1 for name in raw), initial=1)
    table, _ = symbol_table([Symbol(start, type=0) for start, _ in zip(starts, raw, strict=False)])
    strings = b"\0".join((b"", *raw, b""))
    sections = (
        Section(b".symtab", SHT_SYMTAB, table, link=2, info=1, entsize=24),
        Section(b".strtab", SHT_STRTAB, strings, align=1),
    )
    path.write_bytes(ElfFile(type=1, sections=sections).to_bytes())
    done = run("nm", "-p", "-C", "--with-symbol-versions", path)
    lines = done.stdout.decode("utf-8", "surrogateescape").split("\n")[:-1]
    assert len(lines) == len(names), done.stderr
    return [line[len(" " * 16 + " U ") :] for line in lines]


def real_file(name: str) -> Path:
    """A file of this machine: a library of the loader's cache, a program, or part of Rust."""
    if name == "librustc_driver":
        if not shutil.which("rustc"):
            unavailable("rustc is not installed")
        root = run("rustc", "--print", "sysroot").stdout.decode().strip()
        found = sorted(Path(root).glob("lib/librustc_driver-*.so"))
        return found[0] if found else _missing(name)
    if ".so" in name:
        listed = run("/sbin/ldconfig", "-p").stdout.decode()
        line = re.search(rf"{re.escape(name)} \(.*x86-64.*=> (\S+)", listed)
        return Path(line[1]) if line else _missing(name)
    program = shutil.which(name)
    return Path(program).resolve() if program else _missing(name)


def _missing(name: str) -> Path:
    absent(name)


def mangled_names(path: Path, count: int = SAMPLE) -> list[str]:
    """Up to count names of a file that a demangler could take, the same ones at each run."""
    names: set[str] = set()
    for option in ("-a", "-D"):
        listed = run("nm", "-P", option, path).stdout.decode("latin-1")
        names.update(line.split(" ")[0] for line in listed.split("\n"))
    found = sorted(name.partition("@")[0] for name in names if is_mangled(name))
    return found if len(found) <= count else random.Random(0).sample(found, count)
