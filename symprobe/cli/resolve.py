"""`symprobe resolve`: where a probe goes."""

import gc
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from symprobe.binary import Binary
from symprobe.cli import options as opt
from symprobe.cli.complete import symbol_names
from symprobe.cli.output import complain, emit, emit_document
from symprobe.cli.targets import provider
from symprobe.cli.targets import target as find
from symprobe.debuginfo import DEFAULT_DEBUG_ROOTS
from symprobe.probe import Resolution
from symprobe.render.resolve import (
    column_lines,
    rejected_line,
    resolution_lines,
    resolution_value,
)
from symprobe.resolve import Options, resolve
from symprobe.resolve.resolver import all_functions

if TYPE_CHECKING:
    from symprobe.resolve.emit import Emission
    from symprobe.target import Target

_kept: list[object] = []
"""Half a million objects, which need not be freed one by one when the process is to end."""

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command(name="resolve", cls=opt.Command)
def resolve_command(
    target: opt.Target,
    symbols: Annotated[
        list[str],
        typer.Argument(
            metavar="SYMBOL...",
            autocompletion=symbol_names,
            help="Name, NAME@VERSION (@* for all), glob, /regex/, NAME+0xOFFSET, 0xADDRESS, "
            "NAME@plt.",
        ),
    ],
    exact_entry: Annotated[
        bool,
        typer.Option("--exact-entry", help="No cheap attach point behind the first instruction."),
    ] = False,
    no_follow: Annotated[
        bool, typer.Option("--no-follow", help="Not into libraries for names only imported.")
    ] = False,
    tool: Annotated[
        Literal["bpftrace", "perf", "tracefs", "bcc", "gdb", "systemtap"] | None,
        typer.Option("--as", help="The probe specification for this tool, ready to paste."),
    ] = None,
    no_source: Annotated[
        bool, typer.Option("--no-source", help="Nothing from debug information (DWARF).")
    ] = False,
    debug_root: opt.DebugRoots = None,
    as_json: opt.AsJson = False,
) -> int:
    """Say where probes on functions go: file and offset, under all their names, or why not.

    Exit code 0: each SYMBOL has a target; 1: one has none; 2: it could not be done.
    """
    gc.disable()  # targets make no cycles; `*` makes 100,000 of them
    found = find(target)
    roots = (*(debug_root or ()), *DEFAULT_DEBUG_ROOTS)
    binary = Binary(found.file, debug_roots=roots)
    if symbols == ["*"] and tool is None and not as_json and _listed(binary, found):
        return 0
    options = Options(
        exact_entry=exact_entry,
        pid=found.pid,
        provider=None if no_follow else provider(found),
    )
    answer = resolve(binary, *symbols, options=options)
    if not no_source and tool is None:
        from symprobe.resolve.details import with_source

        answer = with_source(answer, found.file, roots)
    _warn(binary)
    emissions: list[Emission] | None = None
    if tool is not None:
        from symprobe.resolve.emit import Tool, emit_all

        emissions = emit_all(answer.targets, Tool(tool))
    _show(answer, emissions, found, as_json=as_json)
    inexpressible = emissions is not None and not all(emission.lines for emission in emissions)
    return 1 if answer.unmatched or inexpressible else 0


def _listed(binary: Binary, found: "Target") -> bool:
    """Lists all functions, of which there are many: lines need no targets."""
    every = all_functions(binary)
    if every is None:
        return False
    columns, rejected = every
    _kept.append(columns)
    _warn(binary)
    emit(column_lines(columns, rejected, binary, found.links))
    return True


def _warn(binary: Binary) -> None:
    for clause in binary.warnings:
        complain(f"{binary.path.shown}: warning: {clause}")


def _show(
    answer: Resolution, emissions: "Sequence[Emission] | None", found: "Target", *, as_json: bool
) -> None:
    """emissions: the targets as probes of another tool, None when that was not asked for."""
    if as_json:
        from symprobe.render.json import document

        emit_document([document("resolve", resolution_value(answer, emissions or ()))])
    elif emissions is not None:
        _paste(emissions)
        for rejected in answer.rejected:
            complain(rejected_line(rejected))
    else:
        emit(resolution_lines(answer, found.links, found.file.shown))


def _paste(emissions: "Sequence[Emission]") -> None:
    """What is pasted goes to stdout; what has to be done or known before, to stderr."""
    for emission in emissions:
        emit_document(emission.lines)
    for text in dict.fromkeys(b for emission in emissions for b in emission.before):
        complain(f"run first: {text}")
    for note in dict.fromkeys(emission.note for emission in emissions if emission.note):
        complain(note)
