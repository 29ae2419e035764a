"""`symprobe resolve`: where probes go, as text and JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from symprobe.probe import EntryCost, ProbeTarget, Rejected, Resolution, SourceInfo
from symprobe.render.json import put_text, texts
from symprobe.render.text import escape, path_line

if TYPE_CHECKING:
    from symprobe.resolve.emit import Emission


def resolution_lines(resolution: Resolution, links: tuple[str, ...], own: str) -> Iterator[str]:
    """A block for each file: a line for each target, its notes below; what was rejected last.

    links: the chain of symbolic links of the file `own`, which the user named.
    """
    file = None
    for target in resolution.targets:
        if target.file != file:
            file = target.file
            chain = links if file.shown == own else ()
            identity = f"  (build ID {target.build_id})" if target.build_id else ""
            yield f"{path_line(file.shown, chain)}:{identity}"
        yield from _target_lines(target)
    for rejected in resolution.rejected:
        yield rejected_line(rejected)


def _target_lines(target: ProbeTarget) -> Iterator[str]:
    shown, *others = target.demangled
    yield f"  {target.offset:#010x}  address {target.vaddr:#x}  {target.kind:<6} {escape(shown)}"
    aliases = dict.fromkeys(name for name in others if name != shown)
    if aliases:
        yield f"      also {', '.join(map(escape, aliases))}"
    if target.source is not None:
        yield f"      {_source_text(target.source)}"
    if target.cost is EntryCost.SINGLE_STEPPED and target.cheap_offset is None:
        yield "      - its first instruction is single-stepped by the kernel: a slow probe"
    for note in target.notes:
        yield f"      - {escape(note)}"


def _source_text(source: SourceInfo) -> str:
    parameters = ", ".join(f"{kind} {name}".strip() for name, kind in source.parameters)
    return escape(f"at {source.file}:{source.line} ({parameters})")


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
    for name, kind in source.parameters:
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
