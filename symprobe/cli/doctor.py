"""`symprobe doctor`: can this machine trace, and what would mend it."""

from __future__ import annotations

import typer

from symprobe.cli import options as opt
from symprobe.cli.output import emit, emit_document
from symprobe.render.json import document
from symprobe.render.trace_doctor import check_lines, check_value
from symprobe.trace.doctor import examine

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=opt.Command)
def doctor(
    as_json: opt.AsJson = False,
) -> int:
    """Tell whether this machine can trace: each requirement, what was found, what mends it.

    Exit code 0: it can trace; 1: something that tracing needs is missing.
    """
    checks = list(examine())
    if as_json:
        emit_document([document("doctor", {"checks": [check_value(check) for check in checks]})])
    else:
        emit(check_lines(checks))
    return 0 if all(check.ok for check in checks if check.required) else 1
