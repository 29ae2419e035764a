"""The one place that imports BCC, and the one that compiles with it.

BCC comes from the distribution, never from PyPI, where the name belongs to
another project. It is pure Python over libbcc.so.0, so the interpreter of any
virtual environment can load it: its package alone is loaded from the
distribution's directory, whose other packages stay out of sight.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from symprobe.errors import TraceError

HEADERS = Path(__file__).parent / "include"
"""What stands in for the kernel's headers: BCC_KERNEL_SOURCE."""

DISTRIBUTION_DIRECTORIES = (
    "/usr/lib/python3/dist-packages",
    "/usr/lib/python3*/site-packages",
    "/usr/lib64/python3*/site-packages",
    "/usr/local/lib/python3*/dist-packages",
)
PACKAGES = {
    "debian": "apt install python3-bpfcc",
    "ubuntu": "apt install python3-bpfcc",
    "fedora": "dnf install python3-bcc",
    "rhel": "dnf install python3-bcc",
    "suse": "zypper install python3-bcc",
    "arch": "pacman -S python-bcc",
    "alpine": "apk add py3-bcc",
}
"""The command that installs BCC, by ID and ID_LIKE of os-release(5)."""


def install_command(os_release: str = "/etc/os-release") -> str:
    """The command that installs BCC on this distribution."""
    try:
        lines = Path(os_release).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    names = " ".join(fields.get(key, "").strip("\"'") for key in ("ID", "ID_LIKE"))
    for name in names.split():
        if name in PACKAGES:
            return PACKAGES[name]
    return "install the distribution's BCC for Python (python3-bpfcc or python3-bcc)"


def load() -> Any:
    """The module bcc. TraceError names the package to install when there is none."""
    loaded = sys.modules.get("bcc")
    if loaded is not None and hasattr(loaded, "BPF"):
        return loaded
    spec = _find()
    if spec is None or spec.loader is None:
        raise TraceError("BCC is not installed", next_step=install_command())
    module = importlib.util.module_from_spec(spec)
    previous = sys.modules.get("bcc")
    sys.modules["bcc"] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        _forget(previous)
        raise TraceError(
            f"BCC can't be loaded: {error}", file=str(spec.origin), next_step=install_command()
        ) from error
    return module


def _forget(previous: Any) -> None:
    for name in [name for name in sys.modules if name == "bcc" or name.startswith("bcc.")]:
        del sys.modules[name]
    if previous is not None:
        sys.modules["bcc"] = previous


def _find() -> ModuleSpec | None:
    """BCC on sys.path, else in a distribution's directory; never the PyPI project of that name."""
    directories = [d for pattern in DISTRIBUTION_DIRECTORIES for d in sorted(glob.glob(pattern))]
    for path in [None, *([d] for d in directories)]:
        spec = PathFinder.find_spec("bcc", path)
        for directory in (spec and spec.submodule_search_locations) or ():
            if os.path.exists(os.path.join(directory, "libbcc.py")):
                return spec
    return None


def compile_program(source: str, defines: Sequence[str] = ()) -> Any:
    """A bcc.BPF compiled from C text. TraceError holds the compiler's first error.

    libbcc takes the place of the headers from the environment and writes its
    messages to file descriptor 2: both are borrowed while it compiles.
    """
    bcc = load()
    with _environment("BCC_KERNEL_SOURCE", str(HEADERS)), captured_stderr() as said:
        try:
            return bcc.BPF(text=source.encode(), cflags=[f"-D{define}" for define in defines])
        except Exception as error:
            raise TraceError(f"BCC can't compile the program: {_first_error(said())}") from error


def load_function(program: Any, name: str, kind: int, attach_type: int = -1) -> Any:
    """Have the kernel verify and load one function of a compiled program."""
    with captured_stderr() as said:
        try:
            if attach_type < 0:
                return program.load_func(name.encode(), kind)
            return program.load_func(name.encode(), kind, attach_type=attach_type)
        except Exception as error:
            detail = _first_error(said()) or str(error)
            raise TraceError(f"the kernel refuses the BPF program {name}: {detail}") from error


def _first_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[-1] if lines else "")


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    previous = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if previous is None:
            del os.environ[name]
        else:
            os.environ[name] = previous


@contextmanager
def captured_stderr() -> Iterator[Any]:
    """File descriptor 2 goes to memory; yields a function that gives what was written."""
    sink = os.memfd_create("symprobe-bcc")
    kept = os.dup(2)
    os.dup2(sink, 2)

    def said() -> str:
        size = os.fstat(sink).st_size
        return os.pread(sink, size, 0).decode("utf-8", "replace")

    try:
        yield said
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)
