"""Names with their demangled forms, and a string table in which they stand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from symprobe.demangle import demangle_many
from symprobe.prefilter import VOCABULARY, prefilter
from tests.support.mangled import mangled_names, real_file

FILES = ("libstdc++.so.6", "gdb", "node", "librustc_driver", "libLLVM-14.so.1")
COUNT = 4_000


@dataclass(frozen=True)
class Names:
    raw: list[str]
    demangled: list[str]
    table: bytes
    offsets: list[int]

    @classmethod
    def of(cls, raw: list[str]) -> Names:
        encoded = [name.encode("utf-8", "surrogateescape") for name in raw]
        starts = list(accumulate((len(name) + 1 for name in encoded), initial=1))
        return cls(raw, demangle_many(raw), b"\0".join((b"", *encoded, b"")), starts[:-1])

    def slow(self, expression: re.Pattern[str]) -> set[int]:
        search = expression.search
        pairs = enumerate(zip(self.raw, self.demangled, strict=True))
        return {i for i, (name, text) in pairs if search(name) or search(text)}

    def candidates(self, pattern: str, *, ignore_case: bool, fixed: bool = False) -> set[int]:
        chosen = prefilter(pattern, ignore_case=ignore_case, fixed=fixed)
        if chosen is None:
            return set(range(len(self.raw)))
        mask = chosen.candidates(self.table)
        assert len(mask) == len(self.table)
        return {i for i, offset in enumerate(self.offsets) if mask[offset]}


@cache
def real_names(file: str) -> Names:
    """Mangled names of a file, and as many that are not."""
    path = real_file(file)
    plain = [f"{word.lower()}_{i}" for i, word in enumerate(VOCABULARY)]
    return Names.of(mangled_names(path, COUNT) + plain)
