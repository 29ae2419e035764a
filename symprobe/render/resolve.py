"""`symprobe resolve`: where probes go, as text and JSON."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from symprobe.probe import EntryCost, ProbeTarget, Rejected, Resolution, SourceInfo
from symprobe.render.json import put_text, texts
from symprobe.render.text import escape, path_line

if TYPE_CHECKING:
    from symprobe.binary import Binary
    from symprobe.model import FilePath
    from symprobe.resolve.bulk import Columns
    from symprobe.resolve.emit import Emission


_FILE = itemgetter(ProbeTarget._fields.index("file"))
_CHUNK = 2048
_PRINTABLE = bytes(range(0x20, 0x7F))
_SLOW = "\n      - its first instruction is single-stepped by the kernel: a slow probe"


def resolution_lines(resolution: Resolution, links: tuple[str, ...], own: str) -> Iterator[str]:
    """A block for each file: a line for each target, its notes below; what was rejected last.
    A text may hold many lines.

    links: the chain of symbolic links of the file `own`, which the user named.
    """
    for file, targets in groupby(resolution.targets, key=_FILE):
        several = list(targets)
        yield _head(file, several[0].build_id, links if file.shown == own else ())
        for at in range(0, len(several), _CHUNK):
            yield "\n".join(_blocks(several[at : at + _CHUNK]))
    for rejected in resolution.rejected:
        yield rejected_line(rejected)


def column_lines(
    columns: Columns, rejected: Iterable[Rejected], binary: Binary, links: tuple[str, ...]
) -> Iterator[str]:
    """The same for all functions of a binary, many lines in each text."""
    yield _head(binary.path, binary.build_id, links)
    further = dict.fromkeys(EntryCost, "") | {EntryCost.SINGLE_STEPPED: _SLOW}
    ends = [further[cost] for cost in columns.costs]
    for at in range(0, len(ends), _CHUNK):
        here = slice(at, at + _CHUNK)
        texts = columns.texts[here]
        if not _is_plain("".join(texts)):
            texts = [escape(text) for text in texts]
        parts = zip(columns.offsets[here], columns.vaddrs[here], texts, ends[here], strict=True)
        lines = [f"  0x{o:08x}  address 0x{v:x}  func   {text}{end}" for o, v, text, end in parts]
        special = [i for i in range(at, at + len(lines)) if i in columns.special]
        blocks = _blocks([columns.special[i] for i in special])
        for i, block in zip(special, blocks, strict=True):
            lines[i - at] = block
        yield "\n".join(lines)
    yield from map(rejected_line, rejected)


def _head(path: FilePath, build_id: str | None, links: tuple[str, ...]) -> str:
    identity = f"  (build ID {build_id})" if build_id else ""
    return f"{path_line(path.shown, links)}:{identity}"


def _blocks(targets: Sequence[ProbeTarget]) -> list[str]:
    """The lines of each target. What may have to be escaped is looked at for all at once: that is
    seldom the case, and a name at a time would cost as much as all the rest."""
    names = "".join([text for target in targets for text in target.demangled])
    notes = "".join([note for target in targets for note in target.notes])
    if _is_plain(names + notes):
        return list(map(_block, targets))
    return [_block(_escaped(target)) for target in targets]


def _is_plain(text: str) -> bool:
    """Whether nothing has to be escaped."""
    # The first look is the quick one, the second tells of letters beyond ASCII.
    return (text.isascii() and not text.encode().translate(None, _PRINTABLE)) or text.isprintable()


def _escaped(target: ProbeTarget) -> ProbeTarget:
    texts, notes = (tuple(map(escape, each)) for each in (target.demangled, target.notes))
    return target._replace(demangled=texts, notes=notes)


def _block(target: ProbeTarget) -> str:
    _, _, _, offset, vaddr, _, texts, kind, _, _, cheap, cost, _, source, notes = target
    shown = texts[0]
    block = f"  0x{offset:08x}  address 0x{vaddr:x}  {kind:<6} {shown}"
    if len(texts) > 1 and (aliases := [t for t in dict.fromkeys(texts) if t != shown]):
        block += f"\n      also {', '.join(aliases)}"
    if source is not None:
        block += f"\n      {escape(_source_text(source))}"
    if cost is EntryCost.SINGLE_STEPPED and cheap is None:
        block += _SLOW
    if notes:
        block += "".join([f"\n      - {note}" for note in notes])
    return block


def _source_text(source: SourceInfo) -> str:
    """`at file:line (parameters)`; of an assembler function, whose parameters nobody knows,
    without them."""
    place = f"at {source.file}:{source.line}"
    if source.parameters is None:
        return place
    parameters = ", ".join(f"{kind} {name}".strip() for name, kind in source.parameters)
    return f"{place} ({parameters})"


def rejected_line(rejected: Rejected) -> str:
    """One line for what can't be probed: the name, why, the reason's name for scripts."""
    return f"no probe: {escape(rejected.name)}: {escape(rejected.detail)}  [{rejected.reason}]"


def resolution_value(resolution: Resolution, emissions: Sequence[Emission] = ()) -> dict[str, Any]:
    """The body of the JSON document. emissions: of each target, when asked for."""
    targets = [target_value(t) for t in resolution.targets]
    for target, emission in zip(targets, emissions, strict=False):
        target["probe"] = {
            "lines": list(emission.lines),
            "before": list(emission.before),
            "note": emission.note,
        }
    return {
        "targets": targets,
        "rejected": [rejected_value(r) for r in resolution.rejected],
    }


def target_value(target: ProbeTarget) -> dict[str, Any]:
    """The JSON object of one target."""
    value: dict[str, Any] = {}
    put_text(value, "path", target.file.shown)
    plain = target.file.opened == target.file.shown
    put_text(value, "realpath", os.path.realpath(target.file.shown) if plain else target.file.shown)
    value["build_id"] = target.build_id
    value["offset"] = target.offset
    value["address"] = target.vaddr
    value["names"] = texts(target.names)
    value["demangled"] = texts(target.demangled)
    value["kind"] = target.kind
    put_text(value, "version", target.version)
    value["size"] = target.size
    value["cheap_offset"] = target.cheap_offset
    value["cost"] = target.cost
    value["return_probe"] = target.return_probe
    if target.source is not None:
        value["source"] = _source_value(target.source)
    value["notes"] = texts(target.notes)
    return value


def _source_value(source: SourceInfo) -> dict[str, Any]:
    parameters = []
    for name, kind in source.parameters or ():
        parameter: dict[str, Any] = {}
        put_text(parameter, "name", name)
        put_text(parameter, "type", kind)
        parameters.append(parameter)
    value: dict[str, Any] = {}
    put_text(value, "file", source.file)
    value["line"] = source.line
    value["parameters"] = parameters
    value["inlined"] = source.inlined
    return value


def rejected_value(rejected: Rejected) -> dict[str, Any]:
    """The JSON object of what can't be probed."""
    value: dict[str, Any] = {}
    put_text(value, "name", rejected.name)
    value["reason"] = rejected.reason
    put_text(value, "detail", rejected.detail)
    return value
