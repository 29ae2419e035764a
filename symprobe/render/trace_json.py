"""`symprobe trace`: the JSON document (docs/schema/trace.json)."""

from __future__ import annotations

from typing import Any

from symprobe.probe import Rejected
from symprobe.render.json import put_text, texts
from symprobe.trace.report import CommandResult, Report, Row


def report_value(report: Report) -> dict[str, Any]:
    """The document's body."""
    value: dict[str, Any] = {
        "targets": [_target(row) for row in report.rows],
        "left_out": report.left_out,
        "rejected": [_rejected(each) for each in report.rejected],
        "duration": report.duration,
        "missed": report.missed,
        "overflow": report.overflow,
        "engine": report.engine,
        "command": None if report.command is None else _command(report.command),
        "expectations": [],
    }
    for outcome in report.expectations:
        shown: dict[str, Any] = {}
        put_text(shown, "text", outcome.text)
        shown |= {"held": outcome.held, "left": outcome.left, "right": outcome.right}
        put_text(shown, "detail", outcome.detail)
        value["expectations"].append(shown)
    return value


def _target(row: Row) -> dict[str, Any]:
    target = row.hits.target
    value: dict[str, Any] = {
        "names": texts(target.names),
        "demangled": texts(target.demangled),
    }
    put_text(value, "path", target.file.shown)
    value |= {
        "build_id": target.build_id,
        "offset": target.offset,
        "probed": row.probed,
        "address": target.vaddr,
        "kind": target.kind,
        "calls": row.hits.calls,
        "rate": row.rate,
        "by": [],
    }
    for group in row.hits.by:
        shown: dict[str, Any] = {}
        if isinstance(group.key, str):
            put_text(shown, "key", group.key)
        else:
            shown["key"] = group.key
        value["by"].append(shown | {"calls": group.calls})
    put_text(value, "note", row.note)
    return value


def _rejected(rejected: Rejected) -> dict[str, Any]:
    value: dict[str, Any] = {}
    put_text(value, "name", rejected.name)
    value["reason"] = rejected.reason
    put_text(value, "detail", rejected.detail)
    return value


def _command(command: CommandResult) -> dict[str, Any]:
    ended = command.ended
    return {
        "argv": texts(command.argv),
        "exit": None if ended is None else ended.exit,
        "signal": None if ended is None else ended.signal,
        "stopped": command.stopped,
    }
