"""`--where`: a condition, from text to C."""

from __future__ import annotations

from collections.abc import Iterator

from symprobe.dwarf import Encoding, FunctionInfo, Parameter
from symprobe.trace.arguments import Signatures
from symprobe.trace.where import compile_where

LONGEST = 512
_KNOWN = FunctionInfo(
    name="f", linkage_name=None, vaddr=None, file="f.c", line=1,
    parameters=(
        Parameter("path", "const char *", 8, Encoding.POINTER, "rdi"),
        Parameter("size", "int", 4, Encoding.SIGNED, "rsi"),
        Parameter("ratio", "double", 8, Encoding.FLOAT, "xmm0"),
        Parameter("point", "struct point", 16, Encoding.STRUCT, None),
    ),
    return_type="int", return_size=4, return_encoding=Encoding.SIGNED, variadic=False,
    prototyped=True, declared_inline=False, inlined=0, inlined_complete=True, copies=(), notes=(),
)  # fmt: skip
_SIGNATURES = (Signatures((None,)), Signatures((_KNOWN,)), Signatures((_KNOWN,), all_32_bit=True))


def seeds() -> Iterator[bytes]:
    yield from (
        b"arg0 > 3", b"arg1:uint >= 0xff && arg2 != -1", b"retval < 0", b"size == 1 or size > 9",
        b'path:str == "/etc/passwd"', b"not (pid == 1 and uid != 0)", b"comm == 'bash'",
        b'path == "a\\n\\"b"', b"!(arg0 > arg1) && tid <= 5", b"ratio > 1", b"point == 0",
        b"arg0:bytes:4 == 'ab'", b"9223372036854775808 < arg0:ulong", b"arg3:double > 1",
    )  # fmt: skip


def check(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    for signatures in _SIGNATURES[data[:1] != b"!" :]:
        where = compile_where(text, signatures)
        assert where.at_entry or where.at_return
        # What the compiler gets is C text of ours, whatever was typed.
        code = where.at_entry + where.at_return + where.functions
        assert code.isascii()
        assert not set(code) & set("\\\"'#")
