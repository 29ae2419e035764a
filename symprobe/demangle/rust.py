"""Rust names, v0 and legacy, by the rustc-demangle crate."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyderust import demangle

from symprobe.demangle.tame import LEGACY_HASH

if TYPE_CHECKING:
    from symprobe.demangle import Allowance

_LEGACY_NAME = re.compile(r"_ZN[\w$.:]+", re.ASCII).fullmatch
_LIMIT = 1_000_000  # characters that rustc-demangle writes before it gives up


def text_of(name: str, allowance: Allowance) -> str | None:
    """The text of a Rust name, if libiberty would take it for one too: legacy names by their
    hash."""
    if name.startswith("_R"):
        mangled = name.partition(".")[0]
    else:
        start = name.rfind("17h")
        found = LEGACY_HASH.match(name, start) if start > len("_ZN") else None
        if found is None or len(set(found[1])) < 5 or not _LEGACY_NAME(name):
            return None
        mangled = name[: start + 20]
    if allowance.left <= 0:
        return None
    try:
        return allowance.take(demangle(mangled))
    except ValueError as error:  # DemangleError, or a surrogate escape
        if "limit reached" in str(error):
            allowance.left -= _LIMIT
        return None
