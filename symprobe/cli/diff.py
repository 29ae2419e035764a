"""`symprobe diff`: what changed between two builds?"""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from symprobe.cli import options as opt
from symprobe.cli.output import emit, emit_document
from symprobe.cli.targets import target
from symprobe.contract.diff import diff
from symprobe.contract.subject import Subject, Surroundings
from symprobe.render.diff import diff_lines, diff_value, markdown_lines

app = typer.Typer(rich_markup_mode=None, add_completion=False)


class Format(str, Enum):
    text = "text"
    json = "json"
    markdown = "markdown"


@app.command(name="diff", cls=opt.Command)
def diff_command(
    old: Annotated[str, typer.Argument(metavar="OLD", help="Path, name, pid:N or pid:N:LIBRARY.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The same of the newer build.")],
    report_format: Annotated[Format, typer.Option("--format", help="Of the answer.")] = Format.text,
    as_json: Annotated[bool, typer.Option("--json", help="As --format json.")] = False,
) -> int:
    """Say which exported symbols went, came or changed, and whether that breaks users.

    Also the soname, the libraries needed, and the highest versions required of them.

    Exit code 0: compatible; 1: something was removed or changed incompatibly; 2: it could not
    be done.
    """
    around = Surroundings()
    found = diff(Subject(target(old).file, around), Subject(target(new).file, around))
    if as_json or report_format is Format.json:
        from symprobe.render.json import document

        emit_document([document("diff", diff_value(found))])
    elif report_format is Format.markdown:
        emit_document(markdown_lines(found))
    else:
        emit(diff_lines(found))
    return 0 if found.compatible else 1
