"""SYMBOL as on the command line: its grammar, and what it means among some symbols."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz import seeds as made
from symprobe.binary import Binary
from symprobe.resolve.match import match
from symprobe.resolve.near import near_names
from symprobe.resolve.spec import SpecKind, parse
from tests.support.written import library

LONGEST = 256
_NAMES = [
    b"exit", b"memcpy", b"_ZN2ns1fEiPKc", b"_ZNSaIcEC1Ev", b"_ZN1AixEm", b"_ZN1APlE1A",
    b"f.part.0", b"f.constprop.0.cold", b"_RNvC6_123foo3bar", b"_ZN3foo3bar17h0123456789abcdefE",
]  # fmt: skip
_BINARY = Binary(made.source(library(_NAMES).to_bytes()), debug_roots=())


def seeds() -> Iterator[bytes]:
    yield from (
        b"exit", b"memcpy@V1", b"memcpy@@V1", b"memcpy@*", b"ns::f", b"ns::f(int, char const*)",
        b"mem*", b"m[a-f]m?py", b"/^mem(cpy|set)$/", b"foo+0x10", b"0x401136", b"printf@plt",
        b"std::allocator<char>::allocator()", b"A::operator[](unsigned long)", b"f", b"foo::bar",
        "caf\u00e9".encode(), b"\xff\xfe",
    )  # fmt: skip


def check(data: bytes) -> None:
    spec = parse(data.decode("utf-8", "surrogateescape"))
    if spec.kind in (SpecKind.REGEX, SpecKind.ADDRESS):  # a regular expression may take any time
        return
    if not match(_BINARY, spec).symbols:
        near_names(_BINARY, spec.name)
