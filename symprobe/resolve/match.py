"""Which symbols of one binary a SYMBOL means.

An exact name wins over its meaning as a glob (`operator[]`, `f(char*)`); an exact name over
clones; the default version over others.
"""

import fnmatch
import re
from typing import NamedTuple

from symprobe.binary import Binary
from symprobe.errors import PatternError
from symprobe.grep import Grep
from symprobe.model import Kind, Symbol
from symprobe.resolve.names import clone_parent, normal, spellings
from symprobe.resolve.spec import ALL_VERSIONS, Spec, SpecKind

CODE_KINDS = (Kind.FUNC, Kind.IFUNC)
_EXACT_MARKS = ("(", "<", "operator", "[abi:")
"""What has `*`, `?` or `[` in it and may be a C++ name all the same, holds one of these."""
_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Match(NamedTuple):
    """symbols: those meant.  other_versions: of the same name, not meant.  clones: of the symbols,
    other functions that the compiler made of them.  clone_only: nothing has the very name,
    `symbols` are clones of it.  pattern: a glob or regex, which passes over what is no code
    or not defined without a word."""

    symbols: tuple[Symbol, ...]
    other_versions: tuple[str, ...] = ()
    clones: tuple[Symbol, ...] = ()
    clone_only: bool = False
    pattern: bool = False


def match(binary: Binary, spec: Spec) -> Match:
    """The symbols that a name, glob or regex means. Errors: PatternError."""
    if spec.kind is SpecKind.REGEX:
        return _pattern(binary, _regex(spec.name), spec)
    if spec.kind is SpecKind.NAME or any(mark in spec.name for mark in _EXACT_MARKS):
        exact = _exact(binary, spec)
        if exact.symbols or spec.kind is SpecKind.NAME:
            return exact
    return _pattern(binary, None if spec.name == "*" else _glob(spec), spec)


def _regex(text: str) -> Grep:
    try:
        return Grep(text)
    except PatternError as error:
        raise PatternError(error.what, next_step="quote it for the shell") from None


def _glob(spec: Spec) -> Grep:
    expression = fnmatch.translate(spec.name).removesuffix(r"\Z").removesuffix(r"\z")
    # Anchored at both ends; a demangled name also matches without its parameters.
    try:
        return Grep(rf"\A{expression}\Z")
    except PatternError as error:
        raise PatternError(f"the glob {spec.name!r} is wrong: {error.what}") from None


def _pattern(binary: Binary, grep: Grep | None, spec: Spec) -> Match:
    rows = binary.symbols(grep, kinds=CODE_KINDS)
    if (
        grep is not None
        and spec.kind is SpecKind.GLOB
        and "(" not in spec.name
        and not spec.name.endswith("*")
    ):
        rows = _with_bases(binary, grep, spec, rows)
    code = [s for s in rows if s.defined]
    if spec.kind is SpecKind.GLOB and spec.version not in (None, ALL_VERSIONS):
        code = [s for s in code if s.version == spec.version]
    return Match(tuple(code), pattern=True)


def _with_bases(binary: Binary, grep: Grep, spec: Spec, rows: list[Symbol]) -> list[Symbol]:
    """Also those whose name without parameters fits: `ns::*Exit` finds `ns::doExit(int)`."""
    known = set(rows)
    inner = fnmatch.translate(spec.name).removesuffix(r"\Z").removesuffix(r"\z")
    wider = binary.symbols(Grep(inner), kinds=CODE_KINDS)
    keep = grep.keep_text
    more = [
        s
        for s in wider
        if s not in known
        and s.name != s.demangled
        and any(map(keep, spellings(s.name, s.demangled)))
    ]
    return rows + more


def _exact(binary: Binary, spec: Spec) -> Match:
    wanted = normal(spec.name)
    tokens = _TOKEN.findall(re.sub(r"::h[0-9a-f]{16}$", "", spec.name))
    grep = Grep(max(tokens, key=len), fixed=True) if tokens else None
    rows = binary.symbols(grep)
    same = [
        s
        for s in rows
        if s.kind not in (Kind.FILE, Kind.SECTION) and _is_same(s, spec.name, wanted)
    ]
    code = [s for s in rows if s.defined and s.kind in CODE_KINDS]
    if same:
        found = _versioned(same, spec)
        names = {s.name for s in found.symbols}
        return found._replace(clones=tuple(s for s in code if clone_parent(s.name) in names))
    return Match(tuple(s for s in code if _is_clone(s, wanted)), clone_only=True)


def _is_same(symbol: Symbol, name: str, wanted: str) -> bool:
    if symbol.name == name:
        return True
    if clone_parent(symbol.name) is not None:
        return normal(symbol.demangled) == wanted
    return wanted in spellings(symbol.name, symbol.demangled)


def _is_clone(symbol: Symbol, wanted: str) -> bool:
    parent = clone_parent(symbol.name)
    if parent is None:
        return False
    return parent == wanted or wanted in spellings(symbol.name, symbol.demangled)


def _versioned(same: list[Symbol], spec: Spec) -> Match:
    """The version asked for, else the default one; what that leaves out is told."""
    if spec.version == ALL_VERSIONS:
        return Match(tuple(same))
    if spec.version is not None:
        chosen = [s for s in same if s.version == spec.version]
        return Match(tuple(chosen), _names(same, chosen))
    defined = [s for s in same if s.defined]
    if not defined:
        return Match(tuple(same))
    chosen = [s for s in defined if s.version is None or s.default_version]
    chosen = chosen or defined
    return Match(tuple(chosen), _names(defined, chosen))


def _names(all_of: list[Symbol], chosen: list[Symbol]) -> tuple[str, ...]:
    places = {s.vaddr for s in chosen}
    others = (s for s in all_of if s.version is not None and s.vaddr not in places)
    return tuple(dict.fromkeys(s.versioned_name for s in others))
