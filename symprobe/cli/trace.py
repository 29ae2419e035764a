"""`symprobe trace`: count calls, and look at them."""

from __future__ import annotations

import gc
import os
from contextlib import ExitStack
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from symprobe.binary import Binary
from symprobe.cli import trace_ask as ask
from symprobe.cli.complete import symbol_names
from symprobe.cli.output import complain
from symprobe.cli.targets import provider
from symprobe.cli.targets import target as find
from symprobe.cli.trace_ask import Asked
from symprobe.cli.trace_export import Listener, Published, export_path, listen_address
from symprobe.cli.trace_show import Show
from symprobe.errors import FileError, NotFoundError, TargetError
from symprobe.probe import ProbeTarget, Rejected, Resolution
from symprobe.resolve import Options, resolve
from symprobe.target import Target
from symprobe.trace.counts import By
from symprobe.trace.links import Engine
from symprobe.trace.privileges import need_permission
from symprobe.trace.question import prepare
from symprobe.trace.run import Plan, invoking_user

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_COMMAND = "symprobe.trace.command"
"""Where the arguments behind `--` wait, in the context's meta."""


class _WithCommand(TyperCommand):
    """Keeps what stands behind `--` from being taken for SYMBOLs."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[_COMMAND] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, ask.spelled_out(args))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND ...]"]


@app.command(
    cls=_WithCommand,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def trace(
    ctx: typer.Context,
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="Path, name, pid:N or pid:N:LIBRARY.")
    ],
    symbols: Annotated[
        list[str],
        typer.Argument(
            metavar="SYMBOL...",
            autocompletion=symbol_names,
            help="Name, NAME@VERSION, glob, /regex/, NAME+0xOFFSET or 0xADDRESS.",
        ),
    ],
    pid: Annotated[
        list[int] | None,
        typer.Option("-p", "--pid", metavar="PID", help="Only this process; repeatable."),
    ] = None,
    no_follow: Annotated[
        bool, typer.Option("--no-follow", help="With -p: not its children.")
    ] = False,
    everyone: Annotated[
        bool, typer.Option("--all", help="With a command: count in every process meanwhile.")
    ] = False,
    duration: Annotated[
        float | None,
        typer.Option("-d", "--duration", min=0.0, metavar="SECONDS", help="End after so long."),
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option("-i", "--interval", min=0.01, metavar="SECONDS", help="A table each time."),
    ] = None,
    by: Annotated[By | None, typer.Option(help="Group the calls of each function.")] = None,
    top: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the N functions called most.")
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="EXPR", help="NAME OP NUMBER or NAME OP NAME over the calls: exit 1 if false."
        ),
    ] = None,
    latency: ask.Latency = False,
    span: ask.Span = None,
    same_thread: ask.SameThread = False,
    events: ask.Events = False,
    arg: ask.Arg = None,
    retval: ask.Retval = None,
    values: ask.Values = None,
    where: ask.Where = None,
    stack: ask.Stack = False,
    folded: ask.Folded = False,
    exact_entry: Annotated[
        bool, typer.Option("--exact-entry", help="Probe the first byte, whatever it costs.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail when a function can't be traced.")
    ] = False,
    as_root: Annotated[
        bool, typer.Option("--as-root", help="Under sudo: run the command as root too.")
    ] = False,
    engine: Annotated[
        Engine | None, typer.Option(help="How probes are put in; the kernel's best without it.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON document; a command's stdout goes to stderr.")
    ] = False,
    output: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the JSON document to FILE.")
    ] = None,
    html: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a page with tables and pictures.")
    ] = None,
    export: Annotated[
        str | None,
        typer.Option(
            metavar="openmetrics:FILE", help="Keep FILE up to date, for Prometheus' textfiles."
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(metavar="[HOST:]PORT", help="Serve OpenMetrics there; HOST is 127.0.0.1."),
    ] = None,
) -> int:
    """Count the calls of functions, exactly, in live processes; measure and show them.

    In every process but symprobe's own; with -p in some; with `-- COMMAND ...` in that command
    and what it starts, from its first instruction. Ends on Ctrl-C, after -d, or with the command
    or the processes.

    Exit code 0: counted, all expectations hold; 1: no symbol matched, an expectation does not
    hold, or the command failed; 2: it could not be done.
    """
    command = ctx.meta.get(_COMMAND)
    pids = tuple(pid or ())
    _check_usage(command, pids, everyone=everyone, no_follow=no_follow)
    asked = Asked(
        latency, span, same_thread, events, tuple(arg or ()), retval, values, stack, folded, where
    )
    asked.check(as_json=as_json)
    metrics = None if export is None else export_path(export)
    address = None if listen is None else listen_address(listen)
    need_permission()
    with ExitStack() as opened:
        document = None if output is None else opened.enter_context(_opened(output))
        page = None if html is None else opened.enter_context(_opened(html))
        listener = None if address is None else _listening(address, by, opened)
        gc.disable()  # targets make no cycles; `*` makes 100,000 of them
        exact = exact_entry or asked.exact_entry
        resolution = _resolve(target, tuple(symbols), pids, exact_entry=exact)
        gc.freeze()
        gc.enable()
        plan = Plan(
            targets=resolution.targets,
            rejected=resolution.rejected,
            pids=pids,
            follow=not no_follow,
            command=command or (),
            environment=dict(os.environ),
            user=None if as_root else invoking_user(os.environ),
            quiet_stdout=as_json and output is None,
            everyone=everyone,
            seconds=duration,
            interval=interval,
            by=by,
            exact_entry=exact_entry,
            top=top,
            expectations=tuple(expect or ()),
            engine=engine,
            strict=strict,
        )
        show = Show(
            plan,
            as_json=as_json,
            document=document,
            folded=folded,
            page=page,
            published=Published(path=metrics, listener=listener, by=by),
        )
        if plan.targets and asked.anything:
            question = asked.question(lambda name: _span_ends(target, name, pids))
            show.prepare(prepare(question, plan.targets, by=by, deliver=show.events))
        return show.trace()


def _check_usage(
    command: tuple[str, ...] | None, pids: tuple[int, ...], *, everyone: bool, no_follow: bool
) -> None:
    """Errors: BadParameter for options that contradict each other."""
    if command == ():
        raise typer.BadParameter("no COMMAND stands behind --")
    if command and pids:
        raise typer.BadParameter("-p and a COMMAND exclude each other")
    if everyone and not command:
        raise typer.BadParameter("--all goes with a COMMAND; every process is the default")
    if no_follow and not pids:
        raise typer.BadParameter("--no-follow goes with -p")


def _opened(path: str) -> Any:
    """The file for the document, opened before anything runs."""
    try:
        return open(path, "w", encoding="utf-8")
    except OSError as error:
        raise FileError(f"can't be written: {error.strerror}", file=path) from error


def _listening(address: tuple[str, int], by: By | None, opened: ExitStack) -> Listener:
    """The server for --listen, until everything that is opened is closed."""
    listener = Listener(address, by)
    opened.callback(listener.close)
    complain(f"metrics: http://{listener.address}/metrics")
    return listener


def _resolve(
    text: str, symbols: tuple[str, ...], pids: tuple[int, ...], *, exact_entry: bool
) -> Resolution:
    """The functions to trace: in the file of TARGET, or in those that the processes have of it."""
    targets: dict[tuple[tuple[int, int], int], ProbeTarget] = {}
    rejected: dict[Rejected, None] = {}
    for found in _files(text, pids):
        binary = Binary(found.file)
        options = Options(exact_entry=exact_entry, pid=found.pid, provider=provider(found))
        answer = resolve(binary, *symbols, options=options)
        for clause in binary.warnings:
            complain(f"{binary.path.shown}: warning: {clause}")
        targets |= {(each.inode, each.offset): each for each in answer.targets}
        rejected |= dict.fromkeys(answer.rejected)
    return Resolution(tuple(targets.values()), tuple(rejected))


def _span_ends(text: str, symbol: str, pids: tuple[int, ...]) -> tuple[ProbeTarget, ...]:
    """The functions that end a span. NotFoundError: there are none."""
    found = _resolve(text, (symbol,), pids, exact_entry=False)
    if not found.targets:
        why = found.rejected[0].detail if found.rejected else "no such function"
        raise NotFoundError(f"--span {symbol}: {why}", file=text)
    return found.targets


def _files(text: str, pids: tuple[int, ...]) -> list[Target]:
    """What TARGET means: for a bare name and -p, the library or program that the process has."""
    if pids and "/" not in text and not text.startswith("pid:"):
        files = [found for pid in pids if (found := _in_process(text, pid)) is not None]
        if files:
            return files
    return [find(text)]


def _in_process(text: str, pid: int) -> Target | None:
    try:
        return find(f"pid:{pid}:{text}")
    except TargetError:
        pass
    try:
        program = find(f"pid:{pid}")
    except TargetError:
        return None
    return program if os.path.basename(program.file.shown) == text else None
