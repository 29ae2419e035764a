"""No word that a demangler makes up escapes the prefilter: real names, odd ones, generated ones."""

from __future__ import annotations

import random
import re

import pytest

from symprobe.demangle import demangle, demangle_many
from symprobe.prefilter import prefilter
from tests.support.searched import FILES, Names, real_names


@pytest.mark.parametrize("file", FILES)
def test_every_word_of_demangled_names_is_found(file: str) -> None:
    """Each word that a demangler made up, and each part of it, is known to be one."""
    names = real_names(file)
    tried = 0
    for i, (raw, text) in enumerate(zip(names.raw, names.demangled, strict=True)):
        for word in made_up(raw, text):
            tried += 1
            assert_found(raw, word)
            assert_found(raw, word[i % 2 : 3 + i % len(word)])
    assert tried > 100


def assert_found(raw: str, part: str) -> None:
    chosen = prefilter(part, ignore_case=False, fixed=True)
    table = b"\0" + raw.encode("utf-8", "surrogateescape") + b"\0"
    assert chosen is None or chosen.candidates(table)[1], (raw, part)


def made_up(raw: str, text: str) -> set[str]:
    return {word for word in re.findall(r"[A-Za-z_]\w*", text) if word not in raw}


# C++ names at random: each piece of the grammar, put together so that some are names.

NAMES = """3foo 5throw 3exi 4nrst N3foo3barE N3foo3barC1E N3fooD0Ev NK3foo3barE NSt3fooE St4move Ss
SsC1 N1AaSE N1AcvT_IiEE nw da li3_us N3fooUlvE_E N3fooUlT_E_E N3fooUt_E 3fooB5cxx11 Z3foovE3bar
Z3foovEs Z3foovE3bar_0 Z3fooiEd_UlvE_ N12_GLOBAL__N_13fooE L3foo"""
TYPES = """a b c d e f g h i j l m n o s t v w x y z Dd De Df Dh Ds Di Du Da Dc Dn DF16_ DF32x 3foo
N3foo3barE Sa Ss Sb Si So Sd St3fox S_ S0_ T_ T0_ Dv4_f Dv4_3foo u5vendo Cf Gf A5_i A3fooLi5E_
M3foo3bar PFivE FvzE DpT_ DTcl3fooEE Dt3fooE DxFvvE DoFvvE DOLb1EEFvvE"""
SPECIAL = "TV TT TI TS TJ GV GR GA GTt GTn Th8_ Tv8_n8_ Tch8_h8_ TH TW TA"
OPERATORS = """aN aS aa ad an at aw az cc cl cm co cv dV dX da dc de di dl ds dt dv eO eo eq fl fr
ge gs gt ix lS le li ls lt mI mL mi ml mm na ne ng nt nw oR oo or pL pl pm pp ps pt qu rM rS rc rm
rs sP sZ sc ss st sz tr tw te ti nx il tl"""
OPERANDS = "T_ fp_ fL0p_ fpT 3foo Li5E Lin7E LDnE L_Z3foovE Lb1E Lf40490fdbE Ly5E Lm5E srSt3foo3bar"
GLUED = re.compile(r"(const|volatile|restrict|_Complex|_Imaginary)[A-Za-z_]")


class Grammar:
    """Random mangled names (Itanium C++ ABI, section 5.1)."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def _one(self, words: str) -> str:
        return self._random.choice(words.split())

    def _type(self, depth: int = 0) -> str:
        if depth > 2 or self._random.random() < 0.6:
            return self._one(TYPES)
        return self._one("P R O K V r C G") + self._type(depth + 1)

    def _expression(self, depth: int = 0) -> str:
        if depth > 2 or self._random.random() < 0.4:
            return self._one(OPERANDS)
        count = self._random.randrange(1, 4)
        operands = "".join(self._expression(depth + 1) for _ in range(count))
        return self._one(OPERATORS) + self._random.choice(("", self._type())) + operands

    def _argument(self) -> str:
        kind = self._random.random()
        return self._type() if kind < 0.6 else f"X{self._expression()}E" if kind < 0.9 else "JicE"

    def name(self) -> str:
        text = self._one(SPECIAL) if self._random.random() < 0.2 else ""
        text += self._one(NAMES)
        if self._random.random() < 0.6:
            text += (
                "I" + "".join(self._argument() for _ in range(self._random.randrange(1, 3))) + "E"
            )
        text += "".join(self._type() for _ in range(self._random.randrange(1, 3)))
        return f"_Z{text}" + self._random.choice(("", "", "", ".constprop.0", ".cold"))


def test_words_of_generated_names_are_found() -> None:
    grammar = Grammar(1)
    raw = [grammar.name() for _ in range(20_000)]
    taken = 0
    for name, text in zip(raw, demangle_many(raw), strict=True):
        taken += text != name
        for word in made_up(name, text):
            if not GLUED.match(word):  # see prefilter.py
                assert_found(name, word)
                for start in range(len(word) - 2):
                    assert_found(name, word[start : start + 3])
    assert taken > 2_000


# Words that a demangler makes of codes, and what else is not in the mangled name as it stands.

MADE = {
    "_ZTV3foo": "vtable for", "_ZTT3foo": "VTT", "_ZTI3foo": "typeinfo", "_ZTS3foo": "name",
    "_ZTC3foo0_3bar": "construction", "_ZThn8_N3foo3barEv": "virtual", "_ZGV3foo": "guard",
    "_ZTch0_h16_N3foo3barEv": "covariant", "_ZGR3foo0": "reference temporary", "_ZGA3foo": "alias",
    "_ZTH3foo": "init function", "_ZTW3foo": "wrapper", "_ZGTt3foov": "transaction",
    "_ZNSaIcED1Ev": "allocator", "_Z1fSs": "string", "_Z1fSbIcE": "basic_string",
    "_ZNSsC1Ev": "char_traits", "_Z1fRSo": "ostream", "_ZNSdD1Ev": "basic_iostream",
    "_ZN12_GLOBAL__N_13fooEv": "anonymous", "_GLOBAL__I_foo": "constructors",
    "_ZZ1fvENKUlvE_clEv": "lambda", "_ZN1fUt_C1Ev": "unnamed", "_ZZ1fiEd_NKUlvE_clEv": "default",
    "_Z1fIiEDaT_": "auto", "_Z1fDn": "nullptr", "_Z1fDv4_f": "vector", "_Z1fDu": "char8_t",
    "_Z1fIiEDTcl1gfp_EET_": "parm", "_Z1fCf": "Complex", "_Z1fPVi": "volatile", "_Z1fDd": "decimal",
    "_Z1fPDoFvvE": "noexcept", "_Znwm": "new", "_ZdlPv": "delete", "_Z1fILb1EEvv": "true",
    "_Z1fIXszLi5EEEvv": "sizeof", "_ZZ3foovEs": "literal", "_Z1fILy5EEvv": "5ull",
    "_Z1fB3abcv": "abi",
    "_Z3foov.constprop.0": "clone", "_Z1fIXsciLi1EEEvv": "static_cast",
    "_RNCNvC1a1b0": "closure", "_RNSNvC1a1b4shim0": "shim", "_RINvC1a1bhE": "u8",
    "_RINvC1a1bjE": "usize", "_RINvC1a1bQeE": "mut str", "_RINvC1a1bKb1_E": "true",
    "_RINvC1a1bKodeadbeefdeadbeef01_E": "xdeadbeef", "_RINvC1a1bFUKCEuE": "unsafe extern",
    "_RINvC1a1bKRe65786974_E": "exit", "_RINvC1a1bKRe0a65786974_E": "nexit",
    "_RINvC1a1bKReefbbbf_E": "feff", "_RNvC1au4_9999": "punycode",
    "_ZN7f$u6f$o3bar17h0123456789abcdefE": "foo",
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_what_demanglers_make_up_is_found(name: str) -> None:
    word = MADE[name]
    assert word in demangle(name)
    for pattern in (word, word.swapcase()):
        names = Names.of([name, "unrelated_qqq"])
        ignore_case = pattern != word
        for fixed in (True, False):
            assert 0 in names.candidates(pattern, ignore_case=ignore_case, fixed=fixed)


KELVIN = "exit\u212a".encode("punycode").decode().replace("-", "_")


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("_Z5\u212aexitv", "kexit"),  # KELVIN SIGN
        ("_Z6mi\u017fterv", "mister"),  # LATIN SMALL LETTER LONG S
        ("ex\u0131t_now", "exit"),  # LATIN SMALL LETTER DOTLESS I
        (f"_RNvC1au{len(KELVIN)}{KELVIN}", "exitk"),
        ("_RINvC1a1bKRee284aa65786974_E", "kexit"),
        ("_ZN13ex$u131$t_now17h0123456789abcdefE", "exit"),
        ("_ZN3FooE", "foo"),
        ("_ZTV1A", "VTABLE"),
    ],
)
def test_ignoring_case_takes_in_what_unicode_equates(name: str, pattern: str) -> None:
    names = Names.of([name])
    expression = re.compile(pattern, re.IGNORECASE)
    assert names.slow(expression) <= names.candidates(pattern, ignore_case=True)
    assert expression.search(name) or expression.search(demangle(name))
