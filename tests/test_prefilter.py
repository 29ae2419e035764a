"""The prefilter never loses a name: fast and slow search agree on real files and odd names."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from symprobe.demangle import demangle_many
from symprobe.prefilter import VOCABULARY, prefilter
from tests.support.mangled import real_file, run
from tests.support.searched import FILES, Names, real_names

# Patterns as people write them, out of fragments of real names and of the demanglers' words.


@st.composite
def fragments(draw: st.DrawFn, names: Names) -> str:
    i = draw(st.integers(0, len(names.raw) - 1))
    text = draw(st.sampled_from((names.raw[i], names.demangled[i])))
    start = draw(st.integers(0, max(0, len(text) - 3)))
    piece = text[start : start + draw(st.integers(1, 24))]
    word = draw(st.sampled_from(sorted(VOCABULARY)))
    return draw(st.sampled_from((piece, piece, piece, word, piece.swapcase())))


@st.composite
def patterns(draw: st.DrawFn, names: Names, depth: int = 0) -> str:
    def inner() -> str:
        return draw(patterns(names, depth + 1)) if depth < 2 else re.escape(draw(fragments(names)))

    kind = draw(st.integers(0, 15))
    if kind <= 4 or depth > 1:
        return re.escape(draw(fragments(names)))
    if kind <= 6:
        return (
            inner() + draw(st.sampled_from(("", ".*", ".", "[^<]*", "\\W", "::", "\\s?"))) + inner()
        )
    if kind <= 8:
        return f"({inner()}|{inner()})"
    if kind == 9:
        return (
            f"(?:{inner()}){draw(st.sampled_from(('+', '*', '?', '{2}', '{1,3}', '{0,2}', '+?')))}"
        )
    if kind == 10:
        return draw(st.sampled_from(("^", r"\b", "", "(?m:^)"))) + inner()
    if kind == 11:
        return inner() + draw(st.sampled_from(("$", r"\b", r"\Z", "(?=.)", "(?!x)", "(?=\\()")))
    if kind == 12:
        text = draw(fragments(names))
        return "".join(f"[{c}{c.swapcase()}]" if c.isalpha() else re.escape(c) for c in text)
    if kind == 13:
        return f"(?i:{inner()}){inner()}"
    if kind == 14:
        return f"(?<!x){inner()}"
    return f"(?P<name>{inner()})(?:(?P=name)|{inner()})"


@pytest.mark.parametrize("file", FILES)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_fast_and_slow_agree_on_real_names(file: str, data: st.DataObject) -> None:
    names = real_names(file)
    pattern = data.draw(patterns(names))
    ignore_case = data.draw(st.booleans())
    try:
        expression = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    except re.error:
        assume(False)
    lost = names.slow(expression) - names.candidates(pattern, ignore_case=ignore_case)
    assert not [(names.raw[i], names.demangled[i]) for i in lost]


WHOLE = (
    ("exit", False), ("string", False), ("v8::internal::Heap", False), ("init", False),
    ("^_ZN.*Start", False), ("vtable for .*stream", False), ("READ|write", True), ("lambda", False),
    ("operator new", False), (r"\bstd::vector<.*>::push_back", False), ("kind", True),
)  # fmt: skip


@pytest.mark.parametrize("file", ["libstdc++.so.6", "node", "librustc_driver"])
def test_fast_and_slow_agree_on_a_whole_dynamic_symbol_table(file: str) -> None:
    """The string table as the linker wrote it, where names share tails."""
    table, offsets = dynamic_names(real_file(file))
    ends = {offset: table.index(b"\0", offset) for offset in offsets}
    raw = [table[offset : ends[offset]].decode("utf-8", "surrogateescape") for offset in offsets]
    names = Names(raw, demangle_many(raw), table, offsets)
    for pattern, ignore_case in WHOLE:
        expression = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
        assert names.slow(expression) <= names.candidates(pattern, ignore_case=ignore_case), pattern


def dynamic_names(path: Path) -> tuple[bytes, list[int]]:
    """(.dynstr, each st_name of .dynsym) of a 64-bit little-endian file, by readelf's sections."""
    listed = run("readelf", "-SW", path).stdout.decode()
    data = path.read_bytes()

    def section(name: str) -> bytes:
        row = re.search(rf" {re.escape(name)} +\w+ +[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+)", listed)
        assert row
        start, size = (int(number, 16) for number in row.groups())
        return data[start : start + size]

    return section(".dynstr"), list(memoryview(section(".dynsym")).cast("I")[::6])


@pytest.mark.parametrize(
    ("pattern", "runs"),
    [
        ("exit", {b"exit"}),
        ("foo|bar", {b"foo", b"bar"}),
        ("(foo|bar)+", {b"foo", b"bar"}),
        ("x(?:one|two)?y_z", {b"y_z"}),
        ("[Ee]xit", {b"xit"}),
        ("(?x) ex it # comment", {b"exit"}),
        ("(?i)EXIT", {b"exit"}),
        ("(?i:EXIT)", {b"exit"}),
        (r"\bexit\b", {b"exit"}),
        ("exit{2}", {b"exi"}),
        ("(?=abc)xyz", {b"xyz"}),
        ("(?P<a>abc)(?(a)def|ghi)", {b"abc"}),
    ],
)
def test_the_runs_of_a_pattern(pattern: str, runs: set[bytes]) -> None:
    chosen = prefilter(pattern, ignore_case=False, fixed=False)
    assert chosen is not None
    assert {run for choice in chosen.choices[:1] for run in choice.runs} == runs


@pytest.mark.parametrize(
    "pattern",
    [
        "", "^", "$", ".", ".*", "a", "ab", "^a$", "(exit)?", "(exit)*", "exit|", "exit|.",
        "(?!exit)", "(?<!exit)", "e.x.i.t", "[exit]+", r"\w+", "123", "operator", "std", "unsigned",
        "int", "(?i)const", "exit|int", "::", "(", "*", "a{2,1}", "(" * 5000 + ")" * 5000,
        "a|exit", "\u00e4\u00f6\u00fc",
    ],
)  # fmt: skip
def test_patterns_without_a_sound_run_have_no_prefilter(pattern: str) -> None:
    assert prefilter(pattern, ignore_case=False, fixed=False) is None


def test_plain_text_is_not_an_expression() -> None:
    names = Names.of(["_Z3fooi", "a.b+c_ddd", "abbc_ddd"])
    assert names.candidates("a.b+c_ddd", ignore_case=False, fixed=True) >= {1}
    assert names.candidates("foo(int)", ignore_case=False, fixed=True) == {0}
    assert prefilter("(((exit", ignore_case=False, fixed=True) is not None


@pytest.mark.parametrize(
    "table", [b"", b"\0", b"exit", b"\0exit", b"exit\0", b"\0\0exit\0\0", b"\0prefix_exit\0x"]
)
def test_tables_without_an_end_or_a_beginning(table: bytes) -> None:
    chosen = prefilter("exit", ignore_case=False, fixed=False)
    assert chosen is not None
    mask = chosen.candidates(table)
    assert len(mask) == len(table)
    assert bytes(mask) == re.sub(rb"[a-z_]*exit", lambda m: b"\1" * len(m[0]), table).replace(
        b"x", b"\0"
    )


def test_few_names_are_candidates() -> None:
    """It must also be of use: a name that can't match is, as a rule, not looked at."""
    names = real_names("libstdc++.so.6")
    for pattern in ("exit", "codecvt", "collate|messages", "basic_stringbuf", "operator.*fpos"):
        found = names.candidates(pattern, ignore_case=False)
        matching = names.slow(re.compile(pattern))
        assert matching <= found
        assert len(found) <= 20 + 2 * len(matching)


def test_random_runs_of_bytes_are_found() -> None:
    rng = random.Random(0)
    names = Names.of(["".join(rng.choices("abcxyz_", k=rng.randrange(9))) for _ in range(500)])
    for _ in range(300):
        pattern = "".join(rng.choices("abcxyz_", k=4))
        expression = re.compile(pattern)
        assert names.slow(expression) == names.candidates(pattern, ignore_case=False)
