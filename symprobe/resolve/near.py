"""Names like the one that was not found: a typo, other case, a missing namespace."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from symprobe.binary import Binary
from symprobe.resolve.names import without_parameters
from symprobe.resolve.near_mangled import is_mangled, mangled_names, nearest_mangled

_MOST = 5
_MOST_COMPARED = 20_000


def near_names(binary: Binary, name: str) -> list[str]:
    """Up to five names of the binary that the user may have meant, the likeliest first."""
    if is_mangled(name):
        return nearest_mangled(mangled_names(binary), name)
    names: dict[str, None] = {}
    for symbol in binary.symbols():
        if symbol.name and symbol.kind not in ("file", "section"):
            base = None
            if symbol.demangled != symbol.name:
                base = without_parameters(symbol.demangled)
            names[base or symbol.demangled] = None
    return nearest(names, name)


def nearest(names: Iterable[str], name: str) -> list[str]:
    """Those of the names that are nearest to one."""
    lower = name.lower()
    tail = "::" + lower
    same_case: list[str] = []
    in_namespace: list[str] = []
    longer: list[str] = []
    similar: list[str] = []
    for other in names:
        low = other.lower()
        if low == lower:
            same_case.append(other)
        elif low.endswith(tail):
            in_namespace.append(other)
        elif len(lower) >= 3 and lower in low:
            longer.append(other)
        elif abs(len(low) - len(lower)) <= 2 and _shares_letters(low, lower):
            similar.append(other)
    typos = difflib.get_close_matches(name, similar[:_MOST_COMPARED], n=_MOST, cutoff=0.75)
    longer.sort(key=lambda other: (len(other), other))
    found = dict.fromkeys(same_case + in_namespace + typos + longer)
    return list(found)[:_MOST]


def _shares_letters(one: str, other: str) -> bool:
    """A cheap bound before difflib: all but three letters of one are in the other."""
    return len(set(one) - set(other)) <= 2
