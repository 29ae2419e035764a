"""`--arg`, `--retval` and their types, and `--expect`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from symprobe.errors import PatternError
from symprobe.trace.arguments import Signatures, parse_argument
from symprobe.trace.expect import parse as parse_expectation
from symprobe.trace.valuetype import value_type

LONGEST = 128
_UNKNOWN = Signatures((None,))


def seeds() -> Iterator[bytes]:
    yield from (
        b"0", b"arg1:int", b"path:str", b"2:bytes:16", b"3:hex", b"4:double", b"arg0:bytes:257",
        b"uchar", b"bytes:8", b"str", b"foo>=1", b"1==2", b"3 <= 1_000", b"a<b>!=0",
    )  # fmt: skip


def check(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    with suppress(PatternError):
        spec = parse_argument(text)
        assert _UNKNOWN.argument(spec).expression.isascii()
    with suppress(PatternError):
        kind = value_type(text) if text else None
        assert _UNKNOWN.result(kind).expression.isascii()
        if kind is not None:
            kind.decode(len(text) << 56 | 0x7F80_0001)
            kind.decode_text(data)
    parse_expectation(text, ())
