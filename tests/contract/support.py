"""What the tests of contract/ share: compiling small files, asking binutils, running without the
privileges of root."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import unavailable
from tests.support.run import SCHEMAS, Ran, symprobe

LIBC = "/lib/x86_64-linux-gnu/libc.so.6"
GREPPED = "without_version"
"""What each library of the fixture `tree` defines."""
ALL = ["below/three.so", "below/two.so", "one.so"]
"""The files of that tree."""


def build(path: Path, source: str, *flags: str | Path) -> Path:
    """A shared library (or what the flags say) from C text."""
    text = path.with_suffix(".c")
    text.write_text(source)
    kind = () if "-c" in flags or "-o-exe" in flags else ("-shared", "-fPIC")
    given = [str(flag) for flag in flags if flag != "-o-exe"]
    subprocess.run(["gcc", "-O1", *kind, "-o", path, text, *given], check=True)
    return path


def nm(path: Path | str, *options: str) -> list[tuple[str, str]]:
    """(letter, name with its version) of every line that nm prints."""
    done = subprocess.run(
        ["nm", *options, path], capture_output=True, text=True, check=False, errors="replace"
    )
    rows = (line.split() for line in done.stdout.splitlines() if not line.endswith(":"))
    return [(row[-2], row[-1]) for row in rows if len(row) >= 2]


def elf_files(top: str) -> list[str]:
    """Every regular ELF file below a directory, on its file system."""
    found = []
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path) and os.path.isfile(path):
                with open(path, "rb") as file:
                    if file.read(4) == b"\x7fELF":
                        found.append(path)
    return found


def as_ordinary_user(*arguments: str | Path, cwd: Path | None = None) -> Ran:
    """Run symprobe as root without root's capabilities: a mode of 000 keeps it out."""
    command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", sys.executable, "-m"]
    done = subprocess.run(
        [*command, "symprobe", *map(str, arguments)],
        capture_output=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(SCHEMAS.parents[1])},
        check=False,
    )
    ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in ran.err
    return ran


@contextmanager
def file_system(place: Path) -> Iterator[None]:
    """Another file system mounted on a directory; ends the test where that can't be done."""
    command = ["mount", "-t", "tmpfs", "none", place]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        unavailable(mounted.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", place], check=True)


def bare(names: Iterable[str]) -> set[str]:
    """Names without their versions."""
    return {name.partition("@")[0] for name in names}


def found(*arguments: str | Path, code: int = 0) -> list[str]:
    """The files, below the tree, that find names."""
    ran = symprobe("find", GREPPED, *arguments)
    assert ran.code == code, ran
    return sorted(line.partition(": ")[0].rpartition("/tree/")[2] for line in ran.lines)


def damaged(index: Path, damage: str) -> bytes:
    """Damage the file of an index in this way; what is in it now."""
    data = index.read_bytes()
    index.write_bytes({
        "garbage": b"this was never a database\n" * 100,
        "truncated": data[: len(data) // 2],
        "overwritten": data[:200] + bytes(range(256)) * ((len(data) - 200) // 256 + 1),
        "empty": b"",
        "version": data[:60] + (99).to_bytes(4, "big") + data[64:],  # PRAGMA user_version
    }[damage])  # fmt: skip
    return index.read_bytes()
