"""symprobe: from a name to an exact, verified answer about the symbols of ELF files.

    from symprobe import Binary, Tracer, dependency_graph, resolve

    Binary("/bin/bash").symbols(grep="read_")       # which symbols are there?
    dependency_graph("/bin/ls").libraries           # what would the loader load?
    answer = resolve(Binary("/bin/bash"), "main*")  # where do probes go?
    with Tracer(answer) as tracer: ...              # how often are they called? (root)
    tracer.snapshot().hits

Errors are subclasses of SymprobeError (see symprobe.errors):

    >>> from symprobe import Binary, SymprobeError
    >>> try:
    ...     Binary("/etc/passwd")
    ... except SymprobeError as error:
    ...     print(error)
    /etc/passwd: not an ELF file: ...

Everything is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symprobe.binary import Binary
    from symprobe.errors import (
        FileError,
        MalformedError,
        NotElfError,
        NotFoundError,
        PatternError,
        SymprobeError,
        TargetError,
        TraceError,
    )
    from symprobe.loader import dependency_graph
    from symprobe.resolve import Options, resolve
    from symprobe.trace.session import Tracer

__all__ = [
    "Binary",
    "FileError",
    "MalformedError",
    "NotElfError",
    "NotFoundError",
    "Options",
    "PatternError",
    "SymprobeError",
    "TargetError",
    "TraceError",
    "Tracer",
    "dependency_graph",
    "resolve",
]
_HOMES = {
    "Binary": "binary",
    "Options": "resolve",
    "Tracer": "trace.session",
    "dependency_graph": "loader",
    "resolve": "resolve",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"symprobe.{_HOMES.get(name, 'errors')}")
    value = getattr(module, name)
    # `symprobe.resolve` is also a package: importing it would put the module under this name.
    globals()[name] = value
    return value
