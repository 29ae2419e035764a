"""What can be promised of a file: rules as values, and their text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from symprobe.contract.names import wanted
from symprobe.errors import PatternError
from symprobe.linkage import Linkage
from symprobe.model import TextEnum


class RuleKind(TextEnum):
    """The kinds of rules, by their names in options, contracts and reports."""

    REQUIRE = "require"
    """SYMBOL is defined and exported."""
    REQUIRE_IMPORTED = "require-imported"
    """SYMBOL is asked of other files."""
    FORBID = "forbid"
    """SYMBOL is neither exported nor imported."""
    FORBID_EXPORTED = "forbid-exported"
    FORBID_IMPORTED = "forbid-imported"
    MAX_VERSION = "max-version"
    """No newer version of that family is required: GLIBC_2.31."""
    NO_MISSING = "no-missing"
    """The loader finds every library in every version needed."""
    NO_UNRESOLVED = "no-unresolved"
    """Some library defines every symbol that is not weak."""
    LINKAGE = "linkage"
    HARDENING = "hardening"
    SONAME = "soname"
    NO_RPATH = "no-rpath"
    """Neither DT_RPATH nor DT_RUNPATH."""
    PROBE = "probe"
    """A probe on SYMBOL has a place, and no copy of it is inlined."""


SYMBOL_KINDS = (
    RuleKind.REQUIRE,
    RuleKind.REQUIRE_IMPORTED,
    RuleKind.FORBID,
    RuleKind.FORBID_EXPORTED,
    RuleKind.FORBID_IMPORTED,
)
FLAGS = (RuleKind.NO_MISSING, RuleKind.NO_UNRESOLVED, RuleKind.NO_RPATH)
"""Rules without a value."""
HARDENINGS = (
    "relro", "partial-relro", "nx", "pie", "canary", "fortify", "ibt", "shstk", "bti", "pac",
    "no-textrel",
)  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One promise. value: a SYMBOL, a version, a name of HARDENINGS, linkages behind commas."""

    kind: RuleKind
    value: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.value}".rstrip()


def make_rule(kind: RuleKind, value: str = "") -> Rule:
    """A rule whose value makes sense. Errors: PatternError."""
    if kind in SYMBOL_KINDS:
        wanted(value)
    elif kind is RuleKind.MAX_VERSION:
        version_parts(value)
    elif kind is RuleKind.LINKAGE:
        value = ",".join(_words(value, tuple(Linkage), "linkage"))
    elif kind is RuleKind.HARDENING:
        _words(value, HARDENINGS, "hardening")
    elif kind not in FLAGS and not value:
        raise PatternError(f"{kind} without a value")
    return Rule(kind, value)


def hardening_rules(text: str) -> list[Rule]:
    """`relro,nx` as one rule each. Errors: PatternError."""
    return [Rule(RuleKind.HARDENING, word) for word in _words(text, HARDENINGS, "hardening")]


def _words(text: str, known: tuple[str, ...], what: str) -> list[str]:
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    unknown = [word for word in words if word not in known]
    if unknown or not words:
        raise PatternError(
            f"unknown {what} {', '.join(unknown) or repr(text)}",
            next_step=f"one of {', '.join(known)}",
        )
    return words


_VERSION = re.compile(r"(.*?)(\d+(?:[._]\d+)*)")
_ABI_VERSIONS = {"GLIBC_ABI_DT_RELR": "GLIBC_2.36"}
"""Version nodes of glibc without a number, and the release that brought them."""


def version_parts(text: str) -> tuple[str, tuple[int, ...]]:
    """A version's family and its number: `GLIBC_2.31` as ('GLIBC_', (2, 31)).

    Errors: PatternError for a version without a number.
    """
    found = _VERSION.fullmatch(_ABI_VERSIONS.get(text, text))
    if found is None or not found[1]:
        raise PatternError(
            f"{text!r} is no version with a number", next_step="for example GLIBC_2.31"
        )
    return found[1], tuple(int(part) for part in re.split(r"[._]", found[2]))
