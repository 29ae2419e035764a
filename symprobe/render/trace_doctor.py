"""`symprobe doctor`: its checks as text and JSON (docs/schema/doctor.json)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from symprobe.render.json import put_text
from symprobe.render.text import escape
from symprobe.trace.doctor import Check


def check_lines(checks: Iterable[Check]) -> Iterator[str]:
    """A line a check, and under one that fails what mends it; then the verdict."""
    failed = False
    for check in checks:
        verdict = "ok" if check.ok else "FAIL" if check.required else "lack"
        failed |= check.required and not check.ok
        yield f"{verdict:<5} {check.name:<13} {escape(check.detail)}"
        if check.fix:
            yield f"{'':<19} to mend it: {escape(check.fix)}"
    yield "this machine can't trace" if failed else "this machine can trace"


def check_value(check: Check) -> dict[str, Any]:
    """The JSON object of one check."""
    value: dict[str, Any] = {"name": check.name, "ok": check.ok, "required": check.required}
    put_text(value, "detail", check.detail)
    put_text(value, "fix", check.fix)
    return value
