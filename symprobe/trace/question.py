"""What is asked of a trace besides counts, and the mode that answers it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from symprobe.debuginfo import DEFAULT_DEBUG_ROOTS
from symprobe.elf.constants import EM_386
from symprobe.elf.image import Image
from symprobe.elf.source import FileSource
from symprobe.errors import PatternError, SymprobeError
from symprobe.model import FilePath
from symprobe.probe import ProbeTarget
from symprobe.trace.arguments import Argument, Signatures, parse_argument
from symprobe.trace.counts import By
from symprobe.trace.events import Event, Events
from symprobe.trace.latency import Latency
from symprobe.trace.mode import Mode, OnlyCalls
from symprobe.trace.spans import Spans
from symprobe.trace.stacks import Stacks
from symprobe.trace.values import Values
from symprobe.trace.valuetype import value_type
from symprobe.trace.where import Where, compile_where

if TYPE_CHECKING:
    from symprobe.dwarf import DebugInfo, FunctionInfo

_MOST_READ = 32
"""Functions whose debug information is looked up: parameters are asked of a few, not of `*`."""


@dataclass(frozen=True)
class Question:
    """At most one of latency, ends, events, values and stacks.

    ends: the functions that end a span begun by the targets; same_thread: only in its thread.
    events: the arguments to show with each call, as written, and result: the type of the value
    returned, "auto" for the likely one, None: not asked.  where: a condition.
    """

    latency: bool = False
    ends: tuple[ProbeTarget, ...] = ()
    same_thread: bool = False
    events: bool = False
    arguments: tuple[str, ...] = ()
    result: str | None = None
    values: str = ""
    stacks: bool = False
    where: str = ""


@dataclass(frozen=True)
class Prepared:
    """The targets to probe, in the order that the mode wants."""

    targets: tuple[ProbeTarget, ...]
    mode: Mode
    where: Where


def prepare(
    question: Question,
    targets: tuple[ProbeTarget, ...],
    *,
    by: By | None,
    deliver: Callable[[Sequence[Event]], None],
    debug_roots: tuple[str, ...] = DEFAULT_DEBUG_ROOTS,
) -> Prepared:
    """The mode for a question. PatternError: an argument, type or condition that can't be."""
    needs = question.arguments or question.result is not None or question.values or question.where
    known = signatures(targets, debug_roots) if needs else Signatures((None,))
    where = compile_where(question.where, known) if question.where else Where()
    if question.latency:
        return Prepared(targets, Latency(by), where)
    if question.ends:
        return _spans(question, targets, by, where)
    if question.events:
        shown = _labelled([known.argument(parse_argument(text)) for text in question.arguments])
        if question.result is not None:
            shown.append(_result(known, question.result))
        return Prepared(targets, Events(tuple(shown), deliver), where)
    if question.values:
        return Prepared(targets, Values(_value(known, question.values)), where)
    if question.stacks:
        return Prepared(targets, Stacks(targets), where)
    return Prepared(targets, OnlyCalls(), where)


def _spans(
    question: Question, starts: tuple[ProbeTarget, ...], by: By | None, where: Where
) -> Prepared:
    """Functions that only begin a span, then those that do both, then those that only end it."""
    ends = {(each.inode, each.offset): each for each in question.ends}
    both = tuple(each for each in starts if (each.inode, each.offset) in ends)
    only_start = tuple(each for each in starts if (each.inode, each.offset) not in ends)
    for each in both:
        del ends[each.inode, each.offset]
    ordered = (*only_start, *both, *ends.values())
    mode = Spans(len(starts), len(only_start), by, question.same_thread)
    return Prepared(ordered, mode, where)


def _labelled(arguments: list[Argument]) -> list[Argument]:
    """The same argument asked for as several types: told apart by them."""
    different = list(dict.fromkeys(arguments))
    labels = Counter(argument.label for argument in different)
    return [
        replace(each, label=f"{each.label}:{each.type.name}") if labels[each.label] > 1 else each
        for each in different
    ]


def _value(known: Signatures, text: str) -> Argument:
    """What `--values` names: retval[:TYPE], or an argument."""
    what, _, kind = text.partition(":")
    if what == "retval":
        return _result(known, kind or "auto")
    return known.argument(parse_argument(text))


def _result(known: Signatures, kind: str) -> Argument:
    return known.result(None if kind == "auto" else value_type(kind))


def signatures(targets: Sequence[ProbeTarget], debug_roots: tuple[str, ...]) -> Signatures:
    """What is known of the arguments of functions; of many nothing but their machine."""
    from symprobe.dwarf import debug_info

    images: dict[FilePath, Image | None] = {}
    infos: dict[FilePath, DebugInfo | None] = {}
    for target in targets:
        if target.file not in images:
            try:
                images[target.file] = Image(FileSource(target.file))
            except SymprobeError:  # gone since it was resolved: the probe will say so
                images[target.file] = None
    narrow = [image is not None and image.header.machine == EM_386 for image in images.values()]
    if any(narrow) and not all(narrow):
        raise PatternError("32-bit and 64-bit programs pass arguments differently")
    functions: list[FunctionInfo | None] = []
    for target in targets if len(targets) <= _MOST_READ else ():
        image = images[target.file]
        if target.file not in infos:
            infos[target.file] = None if image is None else debug_info(image, debug_roots)
        info = infos[target.file]
        name = target.names[0].partition("@")[0]
        found = None if info is None else info.function(name, target.vaddr)
        known = found is not None and found.prototyped
        functions.append(_sure(found, name) if known and found is not None else None)
    return Signatures(tuple(functions) or (None,), bool(narrow) and all(narrow))


def _sure(function: FunctionInfo, symbol: str) -> FunctionInfo:
    """Without what a compiler's own copy of it (`foo.isra.0`) may be given in other places."""
    if "." not in symbol:
        return function
    unsure = (
        each if each.register else each._replace(encoding=None) for each in function.parameters
    )
    return function._replace(parameters=tuple(unsure))
