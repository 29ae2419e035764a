"""`symprobe find`: who defines and who imports a symbol, as text and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from symprobe.contract.occurrence import Occurrence, Scanned
from symprobe.render.json import put_text
from symprobe.render.text import escape


def hit_lines(found: Scanned) -> Iterator[str]:
    """One line an occurrence: what the file does with it, its kind, the file, the name last."""
    for each in found.occurrences:
        verb = "defines" if each.defined else "imports"
        where = f"{found.path}({each.member})" if each.member else found.path
        name = each.demangled
        if each.version is not None:
            name += f"{'@@' if each.default_version else '@'}{each.version}"
        yield f"{verb} {each.kind:<6} {each.bind:<6} {escape(where)}: {escape(name)}"


def hit_value(found: Scanned) -> dict[str, Any]:
    """The JSON object of one file."""
    value: dict[str, Any] = {}
    put_text(value, "path", found.path)
    value["defines"] = [_occurrence(each) for each in found.occurrences if each.defined]
    value["imports"] = [_occurrence(each) for each in found.occurrences if not each.defined]
    return value


def _occurrence(each: Occurrence) -> dict[str, Any]:
    value: dict[str, Any] = {}
    put_text(value, "name", each.name)
    put_text(value, "demangled", each.demangled)
    put_text(value, "version", each.version)
    value["default_version"] = each.default_version
    value["kind"] = each.kind
    value["bind"] = each.bind
    if each.defined:
        value["address"] = each.vaddr
        value["size"] = each.size
    value["table"] = each.table
    if each.member:
        put_text(value, "member", each.member)
    return value
