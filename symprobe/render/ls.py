"""`symprobe ls`: rows of symbols as text and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from symprobe.elf.notes import UsdtProbe
from symprobe.model import Symbol
from symprobe.render.json import put_text
from symprobe.render.text import escape


def symbol_lines(symbols: Iterable[Symbol], bits: int, *, demangled: bool) -> Iterator[str]:
    """One line a symbol: address, size, kind, binding, section, name last."""
    width = bits // 4
    blank = " " * width
    for row in symbols:
        name, text, version, default, vaddr, size, _, kind, bind, _, section, _, defined, *_ = row
        address = f"{vaddr:0{width}x}" if defined else blank
        shown = text if demangled else name
        if version is not None:
            shown = f"{shown}{'@@' if default else '@'}{version}"
        if not shown.isprintable():
            shown = escape(shown)
        if not section.isprintable() or " " in section:
            # A space in a section's name would shift the columns behind it.
            section = escape(section).replace(" ", "\u2423")
        note = f"  [{row.note}]" if row.note else ""
        yield f"{address} {size:>7} {kind:<6} {bind:<6} {section:<14} {shown}{note}"


def symbol_value(symbol: Symbol) -> dict[str, Any]:
    """The JSON object of one symbol."""
    value: dict[str, Any] = {}
    put_text(value, "name", symbol.name)
    put_text(value, "demangled", symbol.demangled)
    put_text(value, "version", symbol.version)
    value["default_version"] = symbol.default_version
    value["address"] = symbol.vaddr
    value["size"] = symbol.size
    value["offset"] = symbol.offset
    value["kind"] = symbol.kind
    value["bind"] = symbol.bind
    value["visibility"] = symbol.visibility
    put_text(value, "section", symbol.section)
    value["section_index"] = symbol.section_index
    value["defined"] = symbol.defined
    value["tables"] = symbol.tables
    value["value"] = symbol.value
    if symbol.note:
        value["note"] = symbol.note
    return value


def usdt_lines(probes: Iterable[UsdtProbe], bits: int) -> Iterator[str]:
    """One line a USDT probe: address, file offset, semaphore, arguments, provider:name last."""
    width = bits // 4
    for probe in probes:
        offset = "-" if probe.offset is None else f"{probe.offset:#x}"
        semaphore = "-" if probe.semaphore is None else f"{probe.semaphore:#x}"
        arguments = escape(probe.arguments) or "-"
        name = f"{escape(probe.provider)}:{escape(probe.name)}"
        yield f"{probe.vaddr:0{width}x} {offset:>10} semaphore {semaphore} [{arguments}] {name}"


def usdt_value(probe: UsdtProbe) -> dict[str, Any]:
    """The JSON object of one USDT probe."""
    value: dict[str, Any] = {}
    put_text(value, "provider", probe.provider)
    put_text(value, "name", probe.name)
    value["address"] = probe.vaddr
    value["offset"] = probe.offset
    value["semaphore"] = probe.semaphore
    value["semaphore_offset"] = probe.semaphore_offset
    put_text(value, "arguments", probe.arguments)
    return value
