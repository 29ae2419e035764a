"""`symprobe info`: facts of a file as text and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from symprobe.facts import ElfFacts, Facts
from symprobe.hardening import Hardening
from symprobe.render.json import put_text, texts
from symprobe.render.text import escape, path_line


def info_lines(facts: Facts, links: tuple[str, ...]) -> Iterator[str]:
    """The verdict first, then one line a fact."""
    yield f"{path_line(facts.path, links)}:"
    yield _line("linkage", f"{facts.verdict.linkage}")
    for sentence in facts.verdict.evidence:
        yield _line("", f"- {escape(sentence)}")
    if facts.verdict.interpreter is not None:
        yield _line("interpreter", escape(facts.verdict.interpreter))
    if facts.members:
        yield _line("members", str(len(facts.members)))
    if facts.elf is not None:
        yield from _elf_lines(facts.elf)
    for warning in facts.warnings:
        yield _line("warning", escape(warning))


def _line(label: str, text: str) -> str:
    return f"  {label:<13} {text}"


def _elf_lines(elf: ElfFacts) -> Iterator[str]:
    yield _line("architecture", f"{elf.machine}, {elf.bits} bit, {elf.endian} endian, {elf.type}")
    if elf.soname is not None:
        yield _line("soname", escape(elf.soname))
    if elf.needed:
        yield _line("needed", ", ".join(map(escape, elf.needed)))
    for label, paths in (("rpath", elf.rpath), ("runpath", elf.runpath)):
        if paths:
            yield _line(label, escape(":".join(paths)))
    yield _line("build id", elf.build_id or "none")
    counts = ", ".join(f"{number} {table}" for table, number in elf.symbol_counts.items())
    yield _line("symbols", (counts or "none") + (", stripped" if elf.stripped else ""))
    for path, found_by in elf.debug_files:
        yield _line("debug file", f"{escape(path)}  [{found_by}]")
    if elf.languages:
        yield _line("language", ", ".join(elf.languages))
    if elf.hardening is not None:
        yield _line("hardening", hardening_text(elf.hardening))


def hardening_text(found: Hardening) -> str:
    """The hardening as one line: `full RELRO, NX, PIE, canary, fortify 13`."""
    relro = "no" if found.relro == "none" else found.relro
    parts = [f"{relro} RELRO", "NX" if found.nx else "no NX"]
    if found.pie is not None:
        parts.append("PIE" if found.pie else "no PIE")
    parts.append("canary" if found.canary else "no canary")
    parts.append(f"fortify {found.fortify}" if found.fortify else "no fortify")
    marks = (("IBT", found.ibt), ("SHSTK", found.shstk), ("BTI", found.bti), ("PAC", found.pac))
    parts += [name if has else f"no {name}" for name, has in marks if has is not None]
    if found.textrel:
        parts.append("TEXTREL")
    return ", ".join(parts)


def info_value(facts: Facts, realpath: str, links: tuple[str, ...]) -> dict[str, Any]:
    """The JSON object of one file."""
    value: dict[str, Any] = {}
    put_text(value, "path", facts.path)
    put_text(value, "realpath", realpath)
    value["links"] = texts(links)
    value["linkage"] = facts.verdict.linkage
    value["evidence"] = texts(facts.verdict.evidence)
    elf = facts.elf
    value["machine"] = elf.machine if elf else None
    value["bits"] = elf.bits if elf else None
    value["endian"] = elf.endian if elf else None
    value["type"] = elf.type if elf else None
    put_text(value, "interpreter", facts.verdict.interpreter)
    put_text(value, "soname", elf.soname if elf else None)
    value["needed"] = texts(elf.needed) if elf else []
    value["rpath"] = texts(elf.rpath) if elf else []
    value["runpath"] = texts(elf.runpath) if elf else []
    value["build_id"] = elf.build_id if elf else None
    value["stripped"] = elf.stripped if elf else None
    value["symbols"] = elf.symbol_counts if elf else {}
    value["debug_files"] = _debug_files(elf) if elf else []
    value["languages"] = list(elf.languages) if elf else []
    value["hardening"] = asdict(elf.hardening) if elf and elf.hardening else {}
    if facts.members:
        value["members"] = texts(facts.members)
    if facts.warnings:
        value["warnings"] = list(facts.warnings)
    return value


def _debug_files(elf: ElfFacts) -> list[dict[str, Any]]:
    result = []
    for path, found_by in elf.debug_files:
        value: dict[str, Any] = {}
        put_text(value, "path", path)
        value["found_by"] = found_by
        result.append(value)
    return result
