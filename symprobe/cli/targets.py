"""TARGET arguments: from the command line's text to files, with the environment's PATH."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from symprobe.target import Target, find_target

if TYPE_CHECKING:
    from symprobe.resolve.provider import Provider


def target(text: str) -> Target:
    """The file that a TARGET stands for. Errors: TargetError."""
    return find_target(text, os.environ.get("PATH", os.defpath), _libraries)


def provider(found: Target) -> Provider:
    """Who provides what a target only imports, by this environment's LD_LIBRARY_PATH and
    LD_PRELOAD (a live process has had its own: they don't count for pid:N)."""
    from symprobe.resolve.provider import provider_of

    if found.pid is not None:
        return provider_of(found.file, pid=found.pid)
    return provider_of(
        found.file,
        library_path=os.environ.get("LD_LIBRARY_PATH"),
        preload=os.environ.get("LD_PRELOAD"),
    )


def _libraries(name: str) -> Iterable[str]:
    from symprobe.loader.cache import library_paths

    return library_paths(name)
