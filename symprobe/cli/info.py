"""`symprobe info`: what a file is."""

from __future__ import annotations

from typing import Any

import typer

from symprobe.cli import options as opt
from symprobe.cli.output import complain, emit, emit_document
from symprobe.cli.targets import target
from symprobe.debuginfo import DEFAULT_DEBUG_ROOTS
from symprobe.errors import SymprobeError
from symprobe.facts import file_facts
from symprobe.render.info import info_lines, info_value
from symprobe.render.json import document

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(cls=opt.Command)
def info(
    targets: opt.Targets,
    debug_root: opt.DebugRoots = None,
    as_json: opt.AsJson = False,
) -> int:
    """Say what files are, with the evidence: static or dynamic, architecture, hardening.

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
        emit_document([document("info", {"files": files})])
    return 2 if failed else 0
