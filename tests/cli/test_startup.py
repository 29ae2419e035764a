"""What `symprobe ls` loads at every start: nothing heavy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = {
    "bcc", "capstone", "ctypes", "cxxfilt", "dataclasses", "elftools", "importlib.metadata",
    "json", "lief", "multiprocessing", "numpy", "pydantic", "rich", "rust_demangler",
    "pycxxfilt", "symprobe.dwarf", "symprobe.hardening", "symprobe.resolve", "symprobe.trace",
}  # fmt: skip


def loaded(*arguments: str) -> set[str]:
    code = (
        "import sys; from symprobe.cli.app import run; code = run(sys.argv[1:]); "
        "sys.stderr.write('\\n'.join(sys.modules)); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    return set(done.stderr.splitlines())


def test_ls_loads_nothing_heavy() -> None:
    modules = loaded("ls", "libc.so.6", "--grep", "^exit$")
    assert "symprobe.cli.ls" in modules
    assert not modules & HEAVY


def test_the_demangler_is_loaded_only_for_mangled_names() -> None:
    assert "ctypes" not in loaded("ls", "libc.so.6", "--table", "dynsym", "--grep", "^exit$")
    assert "ctypes" in loaded("ls", "libstdc++.so.6", "--grep", "_ZNSt6locale")
