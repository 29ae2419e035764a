"""Names, one a line, as a string table may hold them."""

from __future__ import annotations

from collections.abc import Iterator

from symprobe.demangle import GROWTH, GROWTH_FLOOR, demangle_many
from symprobe.resolve.names import clone_parent, normal, spellings, structor

LONGEST = 1100


def seeds() -> Iterator[bytes]:
    yield from (
        b"_ZN2ns1fEiPKc\nmain", b"_ZNSt6vectorIiSaIiEE9push_backERKi", b"_ZGVZ1fvE1x", b"_ZTV3Foo",
        b"_ZN3foo3bar17h0123456789abcdefE.llvm.12", b"_RNvCs1234_7mycrate3foo", b"_GLOBAL__I_main",
        b"_ZNK1AcvT_IiEEv@@V1", b".$_Z1fv", b"_Z1fIJidEEvDpT_", b"_Z1gIiEDTcl1fsrT_1xEES0_",
        b"_RINvNtC3std3mem8align_ofdE", b"_Z1fILi5EEvv.part.0.cold", b"_ZN1AC1ERKS_\n_ZN1AD0Ev",
        b"_RNvMC0TNvB2_3fooE", b"_Z4testIXadL_Z3foovEEEvv", b"_ZZN1A1fEvENKUliE_clEi",
    )  # fmt: skip


def check(data: bytes) -> None:
    names = data.decode("utf-8", "surrogateescape").split("\n")
    texts = demangle_many(names)
    assert len(texts) == len(names)
    assert sum(map(len, texts)) <= len(data) + max(GROWTH_FLOOR, GROWTH * len(data)) + (1 << 20)
    for name, text in zip(names[:4], texts, strict=False):
        if len(text) < 4096:
            spellings(name, text)
            structor(name, text)
            clone_parent(name)
            normal(text)
