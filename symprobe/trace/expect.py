"""`--expect`: NAME OP NUMBER or NAME OP NAME, over the calls counted.

OP is one of == != >= <= > <. NAME is any name of a traced function: raw, with
its version, demangled with or without parameters, or a glob; the calls of all
functions that it means are added up.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from symprobe.errors import PatternError
from symprobe.probe import ProbeTarget, Rejected
from symprobe.trace.snapshot import Snapshot

_OPERATORS: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_NUMBER = re.compile(r"[0-9]+(_[0-9]+)*")


@dataclass(frozen=True)
class Expectation:
    """left OP right; the sides are a number or the name of functions."""

    text: str
    left: str
    comparison: str
    right: str | int


@dataclass(frozen=True)
class Outcome:
    """Whether an expectation holds, with the two sides' numbers."""

    text: str
    held: bool
    left: int
    right: int
    detail: str = ""


def parse(
    text: str, targets: Iterable[ProbeTarget], rejected: Sequence[Rejected] = ()
) -> Expectation:
    """PatternError unless each name in it means one of the targets, or a SYMBOL that was rejected.

    A name may hold an operator itself (`operator>`, `a<b>`): the place to split
    is the one that leaves known names on both sides.
    """
    known = tuple(targets)
    splits = [
        Expectation(text, left, comparison, _side(right))
        for at in range(len(text))
        for comparison in _OPERATORS
        if text.startswith(comparison, at)
        and (left := text[:at].strip())
        and (right := text[at + len(comparison) :].strip())
    ]
    if not splits:
        raise PatternError(
            f"the expectation {text!r} is not NAME OP NUMBER or NAME OP NAME",
            next_step="for example 'foo>=1', 'foo==67' or 'foo>bar'",
        )
    for split in splits:
        if all(_meant(name, known) or _why_not(name, rejected) for name in _names(split)):
            return split
    unknown = next(
        name for name in _names(splits[0]) if not (_meant(name, known) or _why_not(name, rejected))
    )
    raise PatternError(
        f"the expectation {text!r} names {unknown!r}, which is not traced",
        next_step="name it as a SYMBOL too",
    )


def judge(
    expectations: Sequence[Expectation],
    snapshot: Snapshot,
    refused: Sequence[ProbeTarget] = (),
    rejected: Sequence[Rejected] = (),
) -> list[Outcome]:
    """The outcomes, in order. Nothing holds for a function that could not be counted in full.

    refused: targets that the kernel takes no probe on; rejected: what became no target at all.
    """
    counted = [hit.target for hit in snapshot.hits]
    outcomes = []
    for each in expectations:
        absent = [name for name in _names(each) if not _meant(name, counted)]
        detail = ""
        if any(_meant(name, refused) for name in _names(each)):
            detail = "the kernel takes no probe on one of its functions"
        elif absent:
            detail = f"{absent[0]}: {_why_not(absent[0], rejected)}"
        elif snapshot.missed:
            detail = f"the kernel missed {snapshot.missed} hits"
        left, right = _value(each.left, snapshot), _value(each.right, snapshot)
        held = not detail and _OPERATORS[each.comparison](left, right)
        outcomes.append(Outcome(each.text, held, left, right, detail))
    return outcomes


def _side(text: str) -> str | int:
    return int(text) if _NUMBER.fullmatch(text) else text


def _names(expectation: Expectation) -> list[str]:
    sides = (expectation.left, expectation.right)
    return [side for side in sides if isinstance(side, str)]


def _value(side: str | int, snapshot: Snapshot) -> int:
    if isinstance(side, int):
        return side
    return sum(hit.calls for hit in snapshot.hits if _meant(side, [hit.target]))


def _why_not(name: str, rejected: Iterable[Rejected]) -> str:
    """Why a SYMBOL of that name became no target, empty when none was asked for."""
    alike = (each for each in rejected if name in (each.name, each.name.partition("@")[0]))
    return next((each.detail for each in alike), "")


def _meant(name: str, targets: Iterable[ProbeTarget]) -> bool:
    """Whether the name means one of the targets."""
    pattern = any(char in name for char in "*?[")
    for target in targets:
        for known in names_of(target):
            if name == known or (pattern and fnmatchcase(known, name)):
                return True
    return False


def names_of(target: ProbeTarget) -> set[str]:
    """Every spelling of a target's names: with and without version, demangled and shortened."""
    spellings = set(target.names) | set(target.demangled)
    spellings |= {name.partition("@")[0] for name in spellings}
    return spellings | {name.partition("(")[0] for name in target.demangled if "(" in name[1:]}
