"""Which C++ names `__cxa_demangle` may be given without a watch: the tame ones.

Whatever could be one of its codes counts: parts of identifiers too, which does no harm.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate

LONGEST_NAME = 1024
"""Bytes of a C++ name: libiberty's own limit, kept whatever the library."""
LEGACY_HASH = re.compile(r"17h([0-9a-f]{16})E(?:\.|$)")
"""At the end of a legacy Rust name."""

_SHORT, _MANY = 100, 16
"""A name of so many bytes, or with so few underscores, can't hold too many substitutions."""
_REFERENCE = re.compile(r"[ST][0-9A-Z]*_")
_PARAMETER = re.compile(r"T\d*_")
_PACK_EXPANSION = re.compile(r"Dp|sp")
_UNRESOLVED_NAME = re.compile(r"sr[0-9a-zCUL]")
_EXPRESSION = re.compile(r"[AQX]|D[A-Za-z]|Tk")


def is_tame(name: str) -> bool:
    """Whether a C++ name takes no time to speak of, and grows 3^(15/3) = 243-fold at most.

    Three uses of one substitution in the next one triple the text.  A pack expansion multiplies
    its pattern by the pack that a template parameter stands for.
    """
    if len(name) > LONGEST_NAME:
        return False
    if len(name) > _SHORT and name.count("_") > _MANY and len(_REFERENCE.findall(name)) > 15:
        return False
    if ("Dp" in name or "sp" in name) and _PARAMETER.search(name):
        packs, references = _PACK_EXPANSION.findall(name), _REFERENCE.findall(name)
        if len(name) > 256 or len(packs) > 1 or len(references) > 8:
            return False
    if "sr" in name and _UNRESOLVED_NAME.search(name) and _EXPRESSION.search(name):
        return False
    return "17h" not in name or not LEGACY_HASH.search(name)


def suspects(joined: bytes, names: list[bytes]) -> set[int]:
    """Which of the names `is_tame` has to look at; all others are tame.

    joined: the names with a byte between them, which are searched at once.
    """
    found = {
        i
        for i, name in enumerate(names)
        if len(name) > _SHORT and (name.count(b"_") > _MANY or len(name) > LONGEST_NAME)
    }
    ends = list(accumulate([len(name) + 1 for name in names]))
    for code in (b"Dp", b"sp", b"sr", b"17h"):
        at = joined.find(code)
        while at >= 0:
            place = bisect_right(ends, at)
            found.add(place)
            at = joined.find(code, ends[place])
    return found
