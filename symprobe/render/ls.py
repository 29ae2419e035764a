"""`symprobe ls`: rows of symbols as text and JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from symprobe.elf.gather import Key, Rest, Rows
from symprobe.elf.image import Image
from symprobe.elf.notes import UsdtProbe
from symprobe.elf.rows import BINDS, KINDS, Builder
from symprobe.model import Symbol
from symprobe.render.json import put_text
from symprobe.render.text import escape

_BLOCK = 1024
_PRINTABLE = bytes(range(0x20, 0x7F))


def symbol_lines(symbols: Iterable[Symbol], bits: int, *, demangled: bool) -> Iterator[str]:
    """One line a symbol: address, size, kind, binding, section, name last. What a value says
    beyond an address (Thumb code, a function descriptor) is in the JSON document only."""
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
        yield f"{address} {size:>7} {_middle(kind, bind, section)} {shown}"


def _middle(kind: str, bind: str, section: str) -> str:
    if not section.isprintable() or " " in section:
        # A space in a section's name would shift the columns behind it.
        section = escape(section).replace(" ", "\u2423")
    return f"{kind:<6} {bind:<6} {section:<14}"


def row_lines(
    image: Image, rows: Rows, demangle: Callable[[list[str]], list[str]] | None
) -> Iterator[str]:
    """The lines of `symbol_lines` for raw rows, many in each text: no Symbols are built.

    demangle: None for raw names.
    """
    names = [key[0] for key in rows]
    texts = demangle(names) if demangle is not None else names
    keys, rests = list(rows), list(rows.values())
    builder = Builder(image)
    layouts = _Layouts(image.bits, builder)
    for start in range(0, len(keys), _BLOCK):
        end = start + _BLOCK
        block = keys[start:end], rests[start:end], texts[start:end]
        if builder.special:
            symbols = builder.build(*block)
            yield "\n".join(symbol_lines(symbols, image.bits, demangled=demangle is not None))
        else:
            yield _lines(layouts, *block)


def _lines(
    layouts: _Layouts, keys: Sequence[Key], rests: Sequence[Rest], shown: Sequence[str]
) -> str:
    _, versions, values, sizes, infos, indexes = zip(*keys, strict=True)
    if any(versions):
        shown = [
            f"{text}{'@@' if rest[1] else '@'}{version}" if version is not None else text
            for text, version, rest in zip(shown, versions, rests, strict=True)
        ]
    joined = "".join(shown)
    if not joined.isascii() or joined.encode().translate(None, _PRINTABLE):
        shown = [escape(text) for text in shown]
    reserved = [rest[3] for rest in rests]
    places = zip(infos, indexes, reserved, strict=True)
    layout = "\n".join(map(layouts.__getitem__, places))
    return layout % tuple(chain.from_iterable(zip(values, sizes, shown, strict=True)))


class _Layouts(dict[tuple[int, int, bool], str]):
    """The %-format of a line of (value, size, text) by info, section index and whether that is a
    reserved one."""

    def __init__(self, bits: int, builder: Builder) -> None:
        super().__init__()
        self._width, self._builder = bits // 4, builder

    def __missing__(self, key: tuple[int, int, bool]) -> str:
        info, index, reserved = key
        # Without a section there is no address: %.0s takes the value and prints nothing.
        address = f"%0{self._width}x" if index else " " * self._width + "%.0s"
        middle = _middle(KINDS[info & 15], BINDS[info >> 4], self._builder.label(index, reserved))
        self[key] = layout = f"{address} %7d {middle.replace('%', '%%')} %s"
        return layout


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
