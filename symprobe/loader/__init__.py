"""What the dynamic loader would do with a file, without running anything.

`dependency_graph(path)` answers with the rules of glibc's or musl's loader, whichever the file
names; `binding(graph, name)` says which of the objects would define a symbol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symprobe.loader.graph import dependency_graph
    from symprobe.loader.lookup import Binding, Scope, binding
    from symprobe.loader.session import Session
    from symprobe.loader.values import (
        Attempt,
        Dependency,
        DependencyGraph,
        Fatal,
        FoundBy,
        Outcome,
        VersionError,
    )

__all__ = [
    "Attempt",
    "Binding",
    "Dependency",
    "DependencyGraph",
    "Fatal",
    "FoundBy",
    "Outcome",
    "Scope",
    "Session",
    "VersionError",
    "binding",
    "dependency_graph",
]
_HOMES = {
    "dependency_graph": "graph",
    "Session": "session",
    "Binding": "lookup",
    "Scope": "lookup",
    "binding": "lookup",
}


def __getattr__(name: str) -> Any:
    """Loaded when asked for: who only looks into ld.so.cache does not pay for the rest."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'values')}"), name)
    globals()[name] = value
    return value
