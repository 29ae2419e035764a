"""Contracts as TOML files: rules by file patterns. Reading one, and writing one from a release."""

from __future__ import annotations

import difflib
import fnmatch
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from symprobe.contract.diff import highest_versions
from symprobe.contract.judge import judge
from symprobe.contract.rules import FLAGS, Rule, RuleKind, hardening_rules, make_rule
from symprobe.contract.subject import UNLINKED, Subject
from symprobe.demangle import demangle_many
from symprobe.errors import FileError, PatternError
from symprobe.model import Symbol

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

_LARGEST = 64 << 20
_PLAIN = re.compile(r"[A-Za-z_.$][A-Za-z0-9_.$]*")
_VERSIONED = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Clause:
    """One [[file]] table. pattern: a glob on the path or on its end.  optional: no file need
    match."""

    pattern: str
    rules: tuple[Rule, ...]
    optional: bool = False

    def applies(self, path: str) -> bool:
        """Whether it is about that file."""
        if fnmatch.fnmatchcase(path, self.pattern):
            return True
        return fnmatch.fnmatchcase(path, f"*/{self.pattern}")


def read_contract(path: str) -> tuple[Clause, ...]:
    """The clauses of a contract file. Errors: FileError; PatternError for what it can't mean."""
    try:
        with open(path, "rb") as file:
            data = file.read(_LARGEST)
    except OSError as error:
        raise FileError(str(error.strerror), file=path, next_step="check the path") from None
    return parse_contract(data, path)


def parse_contract(data: bytes, path: str) -> tuple[Clause, ...]:
    """The clauses in the bytes of a contract file. Errors: PatternError."""
    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PatternError(f"{path}: not TOML: {error}") from None
    try:
        return tuple(_clauses(document))
    except PatternError as error:
        raise PatternError(f"{path}: {error.what}", next_step=error.next_step) from None


def _clauses(document: dict[str, Any]) -> Iterator[Clause]:
    _known(document, ("file",), "the contract")
    tables = document.get("file")
    if not isinstance(tables, list) or not tables:
        raise PatternError("no [[file]] table", next_step="see 'symprobe check --write-contract'")
    for number, table in enumerate(tables, 1):
        where = f"[[file]] number {number}"
        if not isinstance(table, dict) or not isinstance(table.get("path"), str):
            raise PatternError(f"{where} has no path", next_step='path = "lib*.so*"')
        _known(table, ("path", "optional", *RuleKind), where)
        rules = tuple(rule for kind in RuleKind if kind in table for rule in _rules(kind, table))
        if not rules:
            raise PatternError(f"{where} ({table['path']}) promises nothing")
        yield Clause(table["path"], rules, table.get("optional") is True)


def _rules(kind: RuleKind, table: dict[str, Any]) -> list[Rule]:
    value = table[kind]
    if kind in FLAGS:
        if not isinstance(value, bool):
            raise PatternError(f"{kind} is true or false, not {value!r}")
        return [make_rule(kind)] if value else []
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in values):
        raise PatternError(f"{kind} is a string or a list of strings, not {value!r}")
    if kind is RuleKind.LINKAGE:
        return [make_rule(kind, ",".join(values))]
    if kind is RuleKind.HARDENING:
        return [rule for each in values for rule in hardening_rules(each)]
    return [make_rule(kind, each) for each in values]


def _known(table: dict[str, Any], keys: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, 1)
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(keys)}"
            raise PatternError(f"{where}: unknown key {key!r}", next_step=hint)


def contract_lines(subject: Subject, pattern: str) -> Iterator[str]:
    """A [[file]] table that says what a file is now, as TOML.

    pattern: the path it will apply to.
    """
    yield "[[file]]"
    yield f"path = {_quoted(pattern)}"
    yield f"linkage = {_quoted(subject.linkage)}"
    if subject.linkage not in UNLINKED:
        yield from _identity_lines(subject)
    if not subject.no_names:
        yield from _export_lines(subject)


def _identity_lines(subject: Subject) -> Iterator[str]:
    dynamic = subject.binary.dynamic
    if dynamic is not None and dynamic.soname is not None and _is_utf8(dynamic.soname):
        yield f"soname = {_quoted(dynamic.soname)}"
    if dynamic is not None and dynamic.rpath is None and dynamic.runpath is None:
        yield "no-rpath = true"
    highest = [
        version
        for version in highest_versions(subject).values()
        # Not so of glibc's own libraries: they ask for GLIBC_PRIVATE, which is above every limit.
        if _is_utf8(version) and judge(subject, make_rule(RuleKind.MAX_VERSION, version)).held
    ]
    if highest:
        yield "# The newest versions that it may ask of its libraries."
        yield f"max-version = [{', '.join(map(_quoted, highest))}]"
    found = subject.hardening
    if found is not None:
        words = ["relro"] if found.relro == "full" else []
        words += ["partial-relro"] if found.relro == "partial" else []
        words += [word for word in ("nx", "pie", "canary") if getattr(found, word)]
        words += ["fortify"] if found.fortify else []
        if words:
            yield f"hardening = [{', '.join(map(_quoted, words))}]"


def _export_lines(subject: Subject) -> Iterator[str]:
    exported = sorted(set(subject.exported(None)), key=lambda s: (s.name, s.version or ""))
    named = {_symbol_text(s): s.name for s in exported if _is_text(s)}
    if named:
        yield "# What others can bind to."
        yield "require = ["
        for text, readable in zip(named, demangle_many(named.values()), strict=True):
            comment = f"  # {readable}" if readable not in text and readable.isprintable() else ""
            yield f"  {_quoted(text)},{comment}"
        yield "]"
    lost = sum(not _is_text(s) for s in exported)
    if lost:
        yield f"# {lost} names that are not UTF-8 are left out."


def _symbol_text(symbol: Symbol) -> str:
    """A SYMBOL that means this very symbol."""
    version = symbol.version
    if _PLAIN.fullmatch(symbol.name) and (version is None or _VERSIONED.fullmatch(version)):
        return symbol.name if version is None else f"{symbol.name}@{version}"
    return f"/^{re.escape(symbol.name)}$/"


def _is_text(symbol: Symbol) -> bool:
    return _is_utf8(symbol.name + (symbol.version or ""))


def _is_utf8(text: str) -> bool:
    return not any(0xD800 <= ord(c) <= 0xDFFF for c in text)


def _quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda m: f"\\u{ord(m[0]):04x}", escaped) + '"'
