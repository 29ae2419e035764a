"""Which symbols a `--grep` pattern wants, looking at as few of them as can be.

The string table is searched once, in C speed, for what every match must hold (prefilter.py);
only the names that may match are decoded, demangled and tried against the pattern itself.
"""

from __future__ import annotations

import re
from itertools import compress

from symprobe.elf.symbols import SymbolTable
from symprobe.errors import PatternError
from symprobe.prefilter import prefilter

_FEW = 20_000
"""Bytes of candidates that are looked up in a set."""


class Grep:
    """A pattern over names: raw or demangled; with an @ in it, also `name@@VERSION`.

    pattern: a Python regular expression, searched anywhere in the name (fixed: plain text).
    Errors: PatternError for an expression that does not compile.
    """

    def __init__(self, pattern: str, *, ignore_case: bool = False, fixed: bool = False) -> None:
        source = re.escape(pattern) if fixed else pattern
        try:
            self._search = re.compile(source, re.IGNORECASE if ignore_case else 0).search
        except (re.error, OverflowError, RecursionError) as error:
            raise PatternError(
                f"the regular expression {pattern!r} is wrong: {error}",
                next_step="quote it, or use -F for plain text",
            ) from None
        self.with_versions = "@" in pattern
        self._prefilter = (
            None if self.with_versions else prefilter(pattern, ignore_case=ignore_case, fixed=fixed)
        )

    def numbers(self, table: SymbolTable) -> list[int] | None:
        """The rows of a table that may match; None: any of them may."""
        if self._prefilter is None:
            return None
        mask = self._prefilter.candidates(table.strings)
        if not mask:
            return []
        offsets = table.name_offsets
        places = _marked(mask)
        if places is not None:  # then this is faster: a small set stays in the processor's cache
            return list(compress(range(len(offsets)), map(places.__contains__, offsets)))
        try:
            return list(compress(range(len(offsets)), map(mask.__getitem__, offsets)))
        except IndexError:  # rows with a name outside the table are not trusted
            size = len(mask)
            return [i for i, offset in enumerate(offsets) if offset < size and mask[offset]]

    def keep(self, name: str, demangled: str) -> bool:
        """Whether a name or its demangled form matches."""
        return bool(self._search(name) or (demangled != name and self._search(demangled)))

    def keep_text(self, text: str) -> bool:
        """Whether one text matches."""
        return self._search(text) is not None


def _marked(mask: bytearray) -> set[int] | None:
    """The places of the bytes that are 1; None when they are many."""
    places: set[int] = set()
    at = mask.find(1)
    while at >= 0:
        end = mask.find(0, at)
        end = end if end >= 0 else len(mask)
        if len(places) + end - at > _FEW:
            return None
        places.update(range(at, end))
        at = mask.find(1, end)
    return places
