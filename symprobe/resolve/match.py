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
from symprobe.resolve.names import clone_parent, is_cold, is_rust, normal, spellings
from symprobe.resolve.spec import ALL_VERSIONS, Spec, SpecKind

CODE_KINDS = (Kind.FUNC, Kind.IFUNC)
_NAMED_KINDS = (*CODE_KINDS, Kind.NOTYPE)
"""Of what may be a function in another file: linked without that one, a name has no kind."""
_EXACT_MARKS = ("(", "<", "operator", "[abi:")
"""What has `*`, `?` or `[` in it and may be a C++ name all the same, holds one of these."""
_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Match(NamedTuple):
    """symbols: those meant.  other_versions: of the same name, not meant.  clones: of the symbols,
    other functions that the compiler made of them.  clone_only: nothing has the very name,
    `symbols` are clones of it.  pattern: a glob or regex, which passes over what is no code
    without a word, and means undefined names only when it matches no defined function."""

    symbols: tuple[Symbol, ...]
    other_versions: tuple[str, ...] = ()
    clones: tuple[Symbol, ...] = ()
    clone_only: bool = False
    pattern: bool = False


def match(binary: Binary, spec: Spec) -> Match:
    """The symbols that a name, glob or regex means. Errors: PatternError."""
    if spec.kind is SpecKind.REGEX:
        return _pattern(binary, _regex(spec.name), spec)
    if spec.kind is not SpecKind.GLOB or any(mark in spec.name for mark in _EXACT_MARKS):
        exact = _exact(binary, spec)
        if exact.symbols or spec.kind is not SpecKind.GLOB:
            return exact
    return _pattern(binary, _glob(spec), spec)


def imports_functions(binary: Binary) -> bool:
    """Whether there are undefined names that a pattern may mean."""
    rows = binary.symbols(kinds=_NAMED_KINDS, demangle=False)
    return any(s.name and not s.defined for s in rows)


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


def _pattern(binary: Binary, grep: Grep, spec: Spec) -> Match:
    rows = binary.symbols(grep, kinds=_NAMED_KINDS)
    if spec.kind is SpecKind.GLOB and "(" not in spec.name and not spec.name.endswith("*"):
        rows = _with_bases(binary, grep, spec, rows)
    if spec.kind is SpecKind.GLOB and spec.version not in (None, ALL_VERSIONS):
        rows = [s for s in rows if s.version == spec.version]
    code = [s for s in rows if s.defined and s.kind in CODE_KINDS]
    return Match(tuple(code or [s for s in rows if s.name and not s.defined]), pattern=True)


def _with_bases(binary: Binary, grep: Grep, spec: Spec, rows: list[Symbol]) -> list[Symbol]:
    """Also those whose name without parameters fits: `ns::*Exit` finds `ns::doExit(int)`."""
    known = set(rows)
    inner = fnmatch.translate(spec.name).removesuffix(r"\Z").removesuffix(r"\z")
    wider = binary.symbols(Grep(inner), kinds=_NAMED_KINDS)
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
    wanted = normal(spec.name) if spec.kind is not SpecKind.RAW else ""
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
        if is_rust(symbol.name):  # whose demangler drops what is behind the dot
            return not is_cold(symbol.name) and wanted in spellings(symbol.name, symbol.demangled)
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
