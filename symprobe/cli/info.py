"""`symprobe info`: what a file is."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from symprobe.cli.output import complain, emit
from symprobe.cli.targets import target
from symprobe.debuginfo import DEFAULT_DEBUG_ROOTS
from symprobe.errors import SymprobeError
from symprobe.facts import file_facts
from symprobe.render.info import info_lines, info_value
from symprobe.render.json import document

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def info(
    targets: Annotated[
        list[str], typer.Argument(metavar="TARGET...", help="Path, name, pid:N or pid:N:LIBRARY.")
    ],
    debug_root: Annotated[
        list[str] | None,
        typer.Option(metavar="DIR", help="Also look for separate debug files below DIR."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Say what files are: static or dynamic, with the evidence; architecture, names, hardening.

    Exit code 0: all files were told; 2: one could not be read.
    """
    files: list[dict[str, Any]] = []
    failed = False
    for text in targets:
        try:
            found = target(text)
            facts = file_facts(found.file, (*(debug_root or ()), *DEFAULT_DEBUG_ROOTS))
        except SymprobeError as error:
            complain(str(error))
            failed = True
            continue
        if as_json:
            files.append(info_value(facts, found.realpath, found.links))
        else:
            emit(info_lines(facts, found.links))
    if as_json:
        emit([document("info", {"files": files})])
    return 2 if failed else 0
