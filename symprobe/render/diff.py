"""`symprobe diff`: what changed between two builds, as text, Markdown and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from symprobe.contract.diff import Change, Difference, Pair
from symprobe.model import Symbol
from symprobe.render.json import put_text, texts
from symprobe.render.text import escape


def diff_lines(found: Difference) -> Iterator[str]:
    """One line a difference, its kind first; then one that sums up."""
    for symbol in found.removed:
        yield f"removed  {symbol.kind:<6} {_name(symbol)}"
    for symbol in found.added:
        yield f"added    {symbol.kind:<6} {_name(symbol)}"
    for change in found.changed:
        yield f"changed  {change.symbol.kind:<6} {_name(change.symbol)}: {_what(change)}"
    for label, text in _facts(found):
        yield f"{label:<8} {text}"
    yield summary(found)


def summary(found: Difference) -> str:
    """The verdict with the numbers."""
    if found.same:
        return "same: no difference for who uses it"
    verdict = "compatible" if found.compatible else "INCOMPATIBLE"
    broken = sum(not change.compatible for change in found.changed)
    return (
        f"{verdict}: {len(found.removed)} removed, {len(found.added)} added, "
        f"{len(found.changed)} changed ({broken} incompatibly)"
    )


def markdown_lines(found: Difference) -> Iterator[str]:
    """For a comment on a change."""
    yield f"### {_code(found.old)} → {_code(found.new)}"
    yield ""
    yield f"**{summary(found)}**"
    rows = [("removed", s, "") for s in found.removed]
    rows += [("added", s, "") for s in found.added]
    rows += [("changed", c.symbol, _what(c)) for c in found.changed]
    if rows:
        yield ""
        yield "| | kind | symbol | what |"
        yield "| --- | --- | --- | --- |"
        for verb, symbol, what in rows:
            yield f"| {verb} | {symbol.kind} | {_code(symbol.readable_name)} | {what} |"
    facts = list(_facts(found))
    if facts:
        yield ""
        for label, text in facts:
            yield f"- {label}: {_code(text)}"


def _what(change: Change) -> str:
    note = "" if change.compatible else " (incompatible)"
    return f"{change.what} {escape(change.old)} -> {escape(change.new)}{note}"


def _facts(found: Difference) -> Iterator[tuple[str, str]]:
    for label, pair in (("machine", found.machine), ("soname", found.soname)):
        if pair is not None:
            yield label, f"{_side(pair.old)} -> {_side(pair.new)} (incompatible)"
    for name in found.needed_removed:
        yield "needed", f"- {escape(name)}"
    for name in found.needed_added:
        yield "needed", f"+ {escape(name)}"
    for pair in found.required:
        yield "requires", f"{_side(pair.old)} -> {_side(pair.new)}"


def _side(text: str) -> str:
    return escape(text) or "none"


def _name(symbol: Symbol) -> str:
    return escape(symbol.readable_name)


def _code(text: str) -> str:
    """Verbatim in Markdown, in a table too, whatever the text holds."""
    return "`" + escape(text).replace("`", "\\x60").replace("|", "\\|") + "`"


def diff_value(found: Difference) -> dict[str, Any]:
    """The JSON document's body."""
    value: dict[str, Any] = {}
    put_text(value, "old", found.old)
    put_text(value, "new", found.new)
    value["compatible"] = found.compatible
    value["removed"] = [_symbol(s) for s in found.removed]
    value["added"] = [_symbol(s) for s in found.added]
    value["changed"] = [_change(c) for c in found.changed]
    value["machine"] = _pair(found.machine)
    value["soname"] = _pair(found.soname)
    value["needed"] = {"removed": texts(found.needed_removed), "added": texts(found.needed_added)}
    value["required"] = [_pair(pair) for pair in found.required]
    return value


def _symbol(symbol: Symbol) -> dict[str, Any]:
    value: dict[str, Any] = {}
    put_text(value, "name", symbol.name)
    put_text(value, "demangled", symbol.demangled)
    put_text(value, "version", symbol.version)
    value["default_version"] = symbol.default_version
    value["kind"] = symbol.kind
    value["bind"] = symbol.bind
    value["size"] = symbol.size
    return value


def _change(change: Change) -> dict[str, Any]:
    value = _symbol(change.symbol)
    value["what"] = change.what
    put_text(value, "old", change.old)
    put_text(value, "new", change.new)
    value["compatible"] = change.compatible
    return value


def _pair(pair: Pair | None) -> dict[str, Any] | None:
    if pair is None:
        return None
    value: dict[str, Any] = {}
    put_text(value, "old", pair.old or None)
    put_text(value, "new", pair.new or None)
    return value
