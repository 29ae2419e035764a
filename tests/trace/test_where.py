"""What `--where` does not understand is said in one line, whatever was typed."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symprobe.errors import PatternError
from symprobe.trace.arguments import Signatures, parse_argument
from symprobe.trace.where import compile_where

UNKNOWN = Signatures((None,))
WORDS = [
    "arg0", "arg1:str", "retval", "comm", "pid", "uid", "(", ")", "!", "not", "and", "or", "&&",
    "||", "==", "!=", "<", ">=", "0", "-1", "0xff", '"text"', "'", "\\", ":", "x" * 70, "\0", "é",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the end stands where a value belongs"),
        ("arg0", "a comparison is missing behind arg0"),
        ("arg0 >", "the end stands where a value belongs"),
        ("arg0 = 3", "can't be understood"),
        ("arg0 > 3 arg1", "arg1 is not expected there"),
        ("(arg0 > 3", "a ) is missing"),
        ("3 > 2", "needs something that changes"),
        ("arg0 > 3 or retval < 0", "join them by 'and'"),
        ("not (arg0 > 3 and retval < 0)", "join them by 'and'"),
        ("comm > 'a'", "can only be == or !="),
        ("comm == 3", "can only be == or !="),
        ("3 == comm", "can only be == or !="),
        ("comm == '0123456789abcdef'", "at most 15 bytes"),
        ("pid == 'bash'", "pid is a number"),
        ("pid < -1", "pid is never negative"),
        ("arg0 > 99999999999999999999999", "more than 64 bits"),
        ("status == 1", "no debug information"),
        ("arg0:float > 1", "can't read"),
        ("arg0:str > 1", "a text is compared with a text"),
        ("arg0 == '" + "x" * 65 + "'", "at most 64 bytes"),
        ("!" * 100 + "arg0 > 1", "too deeply nested"),
        ("arg0 > 1 " * 1000, "longer than 4096"),
        ("1 < arg0 < 3", "< is not expected there"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(PatternError, match=message.replace("(", r"\(").replace(")", r"\)")):
        compile_where(text, UNKNOWN)


def test_the_parts_are_asked_where_they_are_known() -> None:
    where = compile_where("arg0 > 1 and retval < 0 and pid == 3", UNKNOWN)
    assert "argument(ctx, 0)" in where.at_entry
    assert "SHOWN_TGID" in where.at_entry
    assert "result(ctx)" in where.at_return
    assert where.arguments


@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_any_words(words: list[str]) -> None:
    with suppress(PatternError):
        compile_where(" ".join(words), UNKNOWN)


@given(st.text(max_size=40))
def test_any_text(text: str) -> None:
    for parse in (lambda: compile_where(text, UNKNOWN), lambda: parse_argument(text)):
        with suppress(PatternError):
            parse()
