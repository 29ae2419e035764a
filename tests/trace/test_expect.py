"""--expect: which function a name means, where to split, what holds."""

from __future__ import annotations

import pytest

from symprobe.errors import PatternError
from symprobe.model import FileOffset, FilePath, VAddr
from symprobe.probe import ProbeTarget, Reason, Rejected
from symprobe.trace.expect import judge, parse
from symprobe.trace.snapshot import Hits, Snapshot


def made(offset: int, *names: str, demangled: tuple[str, ...] = ()) -> ProbeTarget:
    return ProbeTarget(
        FilePath.plain("/bin/x"), (1, 1), None, FileOffset(offset), VAddr(offset),
        names, demangled or names, "func", 0,
    )  # fmt: skip


FOO = made(1, "foo@@V_2", "alias")
BAR = made(2, "bar")
GREATER = made(3, "_ZN1AgtEi", demangled=("A::operator>(int)",))
AT_LEAST = made(4, "_ZN1AgeEi", demangled=("A::operator>=(int)",))
TEMPLATE = made(5, "_Z1fI1BEvv", demangled=("void f<B>()",))
BAR_TOO = made(6, "bar")
ALL = (FOO, BAR, GREATER, AT_LEAST, TEMPLATE, BAR_TOO)
CALLS = {FOO: 67, BAR: 3, GREATER: 7, AT_LEAST: 9, TEMPLATE: 1, BAR_TOO: 2}


def snapshot(missed: int = 0) -> Snapshot:
    return Snapshot(tuple(Hits(t, CALLS[t]) for t in ALL), missed, 0, 1.0)


@pytest.mark.parametrize(
    ("text", "left", "right", "held"),
    [
        ("foo>=1", 67, 1, True),
        ("foo==67", 67, 67, True),
        ("foo == 6_7", 67, 67, True),
        ("foo!=67", 67, 67, False),
        ("foo<67", 67, 67, False),
        ("foo<=67", 67, 67, True),
        ("foo>67", 67, 67, False),
        ("foo>66", 67, 66, True),
        ("foo@@V_2==67", 67, 67, True),
        ("alias==67", 67, 67, True),
        ("bar==5", 5, 5, True),  # two functions of one name
        ("foo>bar", 67, 5, True),
        ("bar>foo", 5, 67, False),
        ("A::operator>>6", 7, 6, True),
        ("A::operator>>=7", 7, 7, True),
        ("A::operator>=>=9", 9, 9, True),
        ("A::operator>=>A::operator>", 9, 7, True),
        ("A::operator>(int)<A::operator>=(int)", 7, 9, True),
        ("void f<B>()==1", 1, 1, True),
        ("*oper*>=16", 16, 16, True),
        ("ba?<=alias", 5, 67, True),
    ],
)
def test_it_holds_or_not(text: str, left: int, right: int, held: bool) -> None:
    (outcome,) = judge([parse(text, ALL)], snapshot())
    assert (outcome.text, outcome.left, outcome.right, outcome.held) == (text, left, right, held)


@pytest.mark.parametrize(
    "text", ["", "foo", "foo=1", ">=1", "foo>=", "nosuch>=1", "foo>nosuch", "foo>-1", "foo>1.5"]
)
def test_it_makes_no_sense(text: str) -> None:
    with pytest.raises(PatternError, match="expectation"):
        parse(text, ALL)


def test_nothing_holds_for_what_was_not_counted_in_full() -> None:
    expectation = parse("foo>=1", ALL)
    (outcome,) = judge([expectation], snapshot(missed=3))
    assert not outcome.held
    assert "missed 3" in outcome.detail
    (outcome,) = judge([parse("foo==67", ALL)], snapshot(), refused=[FOO])
    assert not outcome.held
    assert "takes no probe" in outcome.detail
    (outcome,) = judge([expectation], snapshot(), refused=[BAR])
    assert outcome.held


@pytest.mark.parametrize("text", ["gone==0", "gone>=1", "gone@V<foo"])
def test_nothing_holds_for_what_is_not_there(text: str) -> None:
    rejected = [Rejected("gone@V", Reason.NOT_FOUND, "not in /bin/x")]
    (outcome,) = judge([parse(text, ALL, rejected)], snapshot(), (), rejected)
    assert not outcome.held
    assert outcome.detail.endswith(": not in /bin/x")
