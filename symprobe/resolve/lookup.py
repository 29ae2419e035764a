"""What other tools' own symbol lookup makes of a name or an address of one file."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from symprobe.binary import Binary
from symprobe.model import Symbol


class SymbolLookup:
    """The named places of one file, as libbcc and libdwfl see them: by name without version, and
    by address within the size that the symbol table gives.

    Both take the first symbol of a name, in an order of their own, so only a name that stands
    for one place leads there for certain.
    """

    def __init__(self, binary: Binary) -> None:
        symbols = [s for s in binary.symbols(demangle=False) if s.value and s.name]
        self._places: dict[str, set[int]] = {}
        for symbol in symbols:
            self._places.setdefault(symbol.name, set()).add(symbol.value)
        self._sized = sorted((s for s in symbols if s.size), key=lambda s: s.value)
        self._starts = [s.value for s in self._sized]
        self._reach = list(accumulate((s.value + s.size for s in self._sized), max))

    def covering(self, address: int) -> list[Symbol]:
        """The symbols, of whatever kind, with this address inside their size."""
        found = []
        at = bisect_right(self._starts, address)
        while at and self._reach[at - 1] > address:
            at -= 1
            symbol = self._sized[at]
            if address < symbol.value + symbol.size:
                found.append(symbol)
        return found

    def is_unique(self, symbol: Symbol) -> bool:
        """Whether its name, versions aside, stands for one place only."""
        return len(self._places[symbol.name]) == 1
