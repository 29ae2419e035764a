"""Which names can match a pattern at all? One look at the string table's bytes, at C speed.

A regular expression that needs a run of word characters (`exit`, `Map::fin`, `foo|bar`) can only
match a name that holds the run.  A demangler takes such a run from the mangled name as it stands
there, or makes it up: `operator`, `vtable for`, `unsigned`.  So a name whose bytes hold neither
the run nor a code for a word of VOCABULARY that holds the run matches neither raw nor demangled,
and need not be decoded, demangled and matched.  A pattern that needs no such run has no Prefilter.

What else the demanglers make, and how it is met:
- digits (lambda numbers, integers): a run begins with a letter or `_`, and is compared with the
  vocabulary without the digits at its end, because `_Float` + `32x` is all that they append;
- Rust v0 constants: 0xdead, and strings, which are hexadecimal in the mangled name;
- Rust v0 punycode, which inserts characters beyond ASCII: under `-i`, four of them equal i, k, s;
- Rust legacy escapes: `$u61$` is an `a`.

One thing is not met: libiberty forgets a space between a qualifier and the name of a function that
returns a qualified pointer to a function, `int (* constfoo<int>())()`; a run across `constfoo` is
not looked for.  The names meant are those of the string table, without a version behind `@`.
"""

from __future__ import annotations

import re
import sys
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if sys.version_info >= (3, 11):
    from re import _parser as sre
else:  # pragma: no cover
    import sre_parse as sre

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SHORTEST = 3
_MOST_ALTERNATIVES = 32
_MOST_CHOICES = 4
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, getattr(sre, "POSSESSIVE_REPEAT", None))
_ATOMIC = getattr(sre, "ATOMIC_GROUP", None)
_SAMPLE = 1 << 20

_WORDS = {
    # Words of libiberty/cp-demangle.c and llvm/Demangle/ItaniumDemangle.h, behind the codes of the
    # Itanium C++ ABI of which one must be there.  No code: too common to be of use.
    "": "operator std const restrict unsigned signed short long int char bool double float void"
    " __int128 __float128 wchar_t for",
    "Sa Ss Sb": "allocator basic_string string",
    "Ss Si So Sd": "char_traits",
    "Si So Sd": "basic_istream basic_ostream basic_iostream",
    "TV TC": "vtable construction",
    "TT": "VTT TT",
    "TI TS TF": "typeinfo name",
    "Th Tv Tc": "non virtual covariant return thunk",
    "TH TW": "TLS init function wrapper thread local routine initialization",
    "TA": "template parameter object",
    "Ts Tu Te": "struct union enum",
    "Ty Tn Tt Tp": "typename template TT",
    "TJ Gr": "java Class resource",
    "GV GR GA": "guard variable reference temporary hidden alias",
    "GT .": "non transaction clone",
    "GI W": "initializer module",
    "_GLOBAL_": "anonymous namespace global constructors destructors keyed",
    "_block_invoke Ub": "invocation function block literal",
    "Ul": "lambda auto template typename",
    "Ut": "unnamed type",
    "Ed": "default arg",
    "Es": "string literal",
    "Lb": "true false",
    "Ly": "ull",
    "B": "abi",
    "C G": "_Complex complex _Imaginary imaginary",
    "V F": "volatile friend",
    "Q rq rQ": "requires",
    "Da Dc Dk DK": "auto decltype",
    "DT Dt Dn": "decltype nullptr_t",
    "Dx Do DO Dw tw tr nx": "transaction_safe noexcept throw rethrow",
    "Dv": "__vector pixel",
    "Du Ds Di": "char8_t char16_t char32_t",
    "Df Dd De Dh DB DU": "decimal half _BitInt",
    "DF DA DR DS": "_Float bfloat16_t _Sat _Accum _Fract",
    "fp fL": "parm this",
    "nw na": "new",
    "dl da": "delete",
    "aw": "co_await",
    "sc dc cc rc": "static_cast dynamic_cast const_cast reinterpret_cast",
    "st sz sZ sP at az ti te": "sizeof alignof typeid",
    # Words of the rustc-demangle crate, all of v0: `_R`, or the namespace.
    "NC": "closure",
    "NS": "shim",
    "_R": "str isize usize mut dyn unsafe extern impl true false type where splat null punycode"
    " invalid syntax",
}


def _vocabulary() -> dict[str, tuple[bytes, ...]]:
    words: dict[str, tuple[bytes, ...]] = {}
    for codes, group in _WORDS.items():
        for word in group.split():
            words[word] = words.get(word, ()) + tuple(codes.encode().split())
    return words


VOCABULARY = _vocabulary()
"""Each word that a demangler writes by itself: the codes of which the mangled name holds one."""

# Expressions are compiled when they are first used: most files need few of them.
_LEGACY_LETTER = rb"\$u0*(?:3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aA]|[0-9a-fA-F]{3,})\$"
_EQUAL = {"i": "\u0130\u0131", "s": "\u017f", "k": "\u212a"}
"""What IGNORECASE takes for an ASCII letter."""
_NOT_ASCII = rb"[\x80-\xff]"
_V0 = rb"_R(?:C[su\d]|I[BCIMNXY]|N[A-Za-z][BCIMNXY]|[MX][sBCIMNXY]|Y)"
"""How each Rust v0 name begins (RFC 2603: `_R` and a path)."""
_PUNYCODE = rb"u\d"
_HEX_FOLDED = bytes.maketrans(b"45", b"67")
"""Makes the hexadecimal digits of a capital those of its small letter (and some others equal)."""


class Choice(NamedTuple):
    """Byte strings of which a name's run in the string table holds one, if the name can match.

    runs: from the pattern, in lower case under IGNORECASE.  codes: for words of the demanglers.
    rust: for what only Rust v0 names can hold.  beyond_ascii: characters beyond ASCII may match.
    """

    runs: tuple[bytes, ...]
    codes: tuple[bytes, ...]
    rust: tuple[bytes, ...]
    beyond_ascii: bool


class Prefilter(NamedTuple):
    """What every name that matches must hold: one of the strings of each choice."""

    choices: tuple[Choice, ...]
    ignore_case: bool

    def candidates(self, strtab: bytes) -> bytearray:
        """1 at each byte of every NUL-ended run of strtab that a matching name can belong to.

        A name may begin within a run (linkers merge tails): look up the byte at its st_name.
        """
        mask = bytearray(len(strtab))
        folded = strtab.lower() if self.ignore_case else strtab
        choice = self._rarest(folded[:_SAMPLE], strtab[:_SAMPLE])
        for run in choice.runs:
            _mark(mask, strtab, _finds(folded, run))
        for code in choice.codes:
            _mark(mask, strtab, _finds(strtab, code))
        if b"$" in strtab:
            _mark(mask, strtab, _matches(_LEGACY_LETTER, strtab))
        if choice.beyond_ascii and not strtab.isascii():
            _mark(mask, strtab, _matches(_NOT_ASCII, strtab))
        if _holds_v0(strtab):
            digits = strtab.translate(_HEX_FOLDED) if self.ignore_case else strtab
            for run in choice.rust:
                _mark(mask, strtab, _finds(digits, run))
            if choice.beyond_ascii:
                _mark(mask, strtab, _matches(_PUNYCODE, strtab))
        return mask

    def _rarest(self, folded: bytes, sample: bytes) -> Choice:
        def frequency(choice: Choice) -> int:
            return sum(map(folded.count, choice.runs)) + sum(map(sample.count, choice.codes))

        return min(self.choices, key=frequency)


def _finds(text: bytes, part: bytes) -> Iterator[int]:
    """Where part begins in text: once in each NUL-ended run at most."""
    at = text.find(part)
    while at >= 0:
        yield at
        end = text.find(b"\0", at)
        if end < 0:
            return
        at = text.find(part, end)


def _matches(expression: bytes, text: bytes) -> Iterator[int]:
    return (match.start() for match in re.finditer(expression, text))


def _holds_v0(strtab: bytes) -> bool:
    """Searches the two letters first, which is twice as fast as the expression."""
    at = strtab.find(b"_R")
    matches = re.compile(_V0).match if at >= 0 else None
    while matches and at >= 0:
        if matches(strtab, at):
            return True
        at = strtab.find(b"_R", at + 1)
    return False


def _mark(mask: bytearray, strtab: bytes, hits: Iterable[int]) -> None:
    for hit in hits:
        if not mask[hit]:
            start = strtab.rfind(b"\0", 0, hit) + 1
            end = strtab.find(b"\0", hit)
            end = len(strtab) if end < 0 else end
            mask[start:end] = b"\1" * (end - start)


def prefilter(pattern: str, *, ignore_case: bool, fixed: bool) -> Prefilter | None:
    """The Prefilter of a regular expression as `re.search` takes it, or (fixed) of a plain text.

    None: the pattern needs no run that is sure to be in the string table, or is no expression.
    """
    try:
        if fixed:
            sequence: Any = [(sre.LITERAL, ord(char)) for char in pattern]
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # compiling the pattern has given them
                sequence = sre.parse(pattern, re.IGNORECASE if ignore_case else 0)
            ignore_case = bool(sequence.state.flags & re.IGNORECASE) or _ignores_case(sequence)
        choices = sorted(_needed(sequence), key=_worth, reverse=True)[:_MOST_CHOICES]
    except (re.error, RecursionError, OverflowError):
        return None
    if not choices:
        return None
    return Prefilter(tuple(_choice(runs, ignore_case) for runs in choices), ignore_case)


def _ignores_case(sequence: Any) -> bool:
    """Whether a part of the expression does: `(?i:…)`."""
    return any(
        (op is sre.SUBPATTERN and bool(arg[1] & re.IGNORECASE))
        or any(map(_ignores_case, _subsequences(op, arg)))
        for op, arg in sequence
    )


def _subsequences(op: Any, arg: Any) -> list[Any]:
    if op is sre.BRANCH:
        return list(arg[1])
    if op is sre.GROUPREF_EXISTS:
        return [part for part in arg[1:] if part]
    if op is sre.SUBPATTERN or op in _REPEATS:
        return [arg[-1]]
    if op in (sre.ASSERT, sre.ASSERT_NOT):
        return [arg[1]]
    return [arg] if op is _ATOMIC else []


def _needed(sequence: Any) -> list[tuple[str, ...]]:
    """Choices of runs: every match of the sequence holds one run of each choice."""
    choices: list[tuple[str, ...]] = []
    text = ""
    for op, arg in sequence:
        if op is sre.LITERAL:
            text += chr(arg)
            continue
        text += " "
        if op is sre.BRANCH:
            branches = [max(_needed(branch), key=_worth, default=()) for branch in arg[1]]
            if all(branches):
                choices.append(tuple({run: None for branch in branches for run in branch}))
        elif (op in _REPEATS and arg[0] >= 1) or op is sre.SUBPATTERN or op is _ATOMIC:
            for part in _subsequences(op, arg):
                choices += _needed(part)
    choices += [(run,) for run in re.findall(r"[A-Za-z_][A-Za-z0-9_]*", text)]
    return [choice for choice in choices if _usable(choice)]


def _usable(choice: tuple[str, ...]) -> bool:
    usable = (len(run) >= _SHORTEST and _codes(run) is not None for run in choice)
    return len(choice) <= _MOST_ALTERNATIVES and all(usable)


def _worth(choice: tuple[str, ...]) -> tuple[bool, int]:
    """Rather runs that no demangler makes up; then long ones."""
    return not any(map(_codes, choice)), min(map(len, choice))


@lru_cache
def _codes(run: str) -> tuple[bytes, ...] | None:
    """One of these codes is in the mangled name if a demangler made the run up; None: any may be.

    Case is ignored throughout: that finds more words, never fewer.
    """
    stem = re.sub(r"\d+x?$", "", run.lower())
    codes: set[bytes] = set()
    for word, own in VOCABULARY.items():
        if stem in word.lower():
            if not own:
                return None
            codes.update(own)
    if re.fullmatch(r"x?[0-9a-f]+", run.lower()):
        codes.add(b"_R")
    return tuple(sorted(codes))


def _choice(runs: tuple[str, ...], ignore_case: bool) -> Choice:
    codes = {code for run in runs for code in _codes(run) or ()}
    # A string constant in hexadecimal; behind an escape (\n) without the escape's letter.
    texts = {*runs, *(run[1:] for run in runs if run[0] in "nrtNRT")}
    beyond = ""
    if ignore_case:
        runs = tuple({run.lower(): None for run in runs})
        beyond = "".join(_EQUAL.get(char, "") for char in sorted(set("".join(runs))))
    rust = {text.encode().hex().encode() for text in (*texts, *beyond)}
    if ignore_case:
        rust = {text.translate(_HEX_FOLDED) for text in rust}
    encoded = tuple(run.encode() for run in runs)
    return Choice(encoded, tuple(sorted(codes)), tuple(sorted(rust)), bool(beyond))
