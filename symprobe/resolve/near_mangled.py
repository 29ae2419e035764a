"""Mangled names like the one that was not found: a typo, other parameters, another Rust hash.

They are compared as they are: to demangle all names of a large file takes longer than a person
waits for a hint. What a slip leaves alone before and behind it says how near a name is.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from heapq import nlargest
from itertools import takewhile
from operator import eq

from symprobe.binary import Binary

_MOST = 5
_LENGTHS = 3
"""So many characters a typo adds or leaves out."""
_LIKE = 0.8
_COMPARED = 30
"""Names that are compared closely, and how much of each."""
_LONGEST = 200
_MANGLED = re.compile(r"_Z\w|_R[0-9BCIMNXY]").match
_MANGLED_BYTES = re.compile(rb"\0(_[ZR][^\0@]+)")
_SCOPE = re.compile(r"_Z(N[rVKRO]*(?:St)?)?")
_LENGTH = re.compile(r"[1-9]\d{0,3}(?!\d)")


def is_mangled(name: str) -> bool:
    """Whether a name is written as compilers of C++ and Rust write it."""
    return _MANGLED(name) is not None


def mangled_names(binary: Binary) -> set[str]:
    """All mangled names of a binary, from the bytes of its string tables."""
    names: set[bytes] = set()
    for table in (binary.dynsym, binary.symtab, *binary.debug_tables):
        if table is not None:
            names.update(_MANGLED_BYTES.findall(table.strings))
    return {name.decode("utf-8", "surrogateescape") for name in names}


def nearest_mangled(names: Iterable[str], name: str) -> list[str]:
    """Up to five of the names: those nearest to one that was mistyped, then the same function with
    other parameters or another hash."""
    head = _function(name)
    overloads: list[str] = []
    alike: list[str] = []
    for other in names:
        if head is not None and other.startswith(head):
            overloads.append(other)
        elif abs(len(other) - len(name)) <= _LENGTHS:
            alike.append(other)
    best = {
        other: _likeness(other, name)
        for several in (overloads, alike)
        for other in nlargest(_COMPARED, several, key=lambda other: _shared(other, name))
    }
    found = [other for other in best if best[other] >= _LIKE or other in overloads]
    return nlargest(_MOST, sorted(found), key=best.__getitem__)


def _function(name: str) -> str | None:
    """What all overloads of a C++ function, or the same Rust function in another build, begin
    with; None when that is not easily said (templates)."""
    scope = _SCOPE.match(name)
    if scope is None:
        return None
    at = scope.end()
    while (length := _LENGTH.match(name, at)) is not None:
        end = length.end() + int(length[0])
        if not scope[1]:
            return name[:end] if end <= len(name) else None
        if length[0] == "17" and name[length.end() :].startswith("h"):
            return name[: length.end()] + "h"
        at = end
    ends = name[at : at + 1] in ("E", "C", "D") and at > scope.end()
    return name[: at + 1] if ends else None


def _shared(one: str, other: str) -> int:
    """How many characters two names share at their begins and ends."""
    return sum(_ends(one, other))


def _ends(one: str, other: str) -> tuple[int, int]:
    start = _begin(one, other)
    return start, _begin(one[start:][::-1], other[start:][::-1])


def _begin(one: str, other: str) -> int:
    return sum(takewhile(bool, map(eq, one, other)))


def _likeness(one: str, other: str) -> float:
    """1 for names that are the same, 0 for those that share nothing."""
    start, end = _ends(one, other)
    a, b = (each[start : len(each) - end][:_LONGEST] for each in (one, other))
    inner = difflib.SequenceMatcher(None, a, b).ratio() * (len(a) + len(b))
    return (2 * (start + end) + inner) / (len(one) + len(other))
