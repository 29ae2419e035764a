"""`symprobe trace`: count calls, and look at them."""

from __future__ import annotations

import gc
import os
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from symprobe.binary import Binary
from symprobe.cli import options as opt
from symprobe.cli import trace_ask as ask
from symprobe.cli.output import complain
from symprobe.cli.targets import provider
from symprobe.cli.targets import target as find
from symprobe.cli.trace_ask import Asked
from symprobe.cli.trace_export import Published, export_path, listen_address
from symprobe.cli.trace_show import Show
from symprobe.cli.writing import Output
from symprobe.debuginfo import DEFAULT_DEBUG_ROOTS
from symprobe.errors import NotFoundError, TargetError
from symprobe.probe import ProbeTarget, Reason, Rejected, Resolution
from symprobe.resolve import Options, resolve
from symprobe.resolve.spec import SpecKind, parse
from symprobe.target import Target
from symprobe.trace.ahead import Ahead
from symprobe.trace.counts import By
from symprobe.trace.privileges import need_permission
from symprobe.trace.question import prepare
from symprobe.trace.run import Plan, compile_ahead, invoking_user

if TYPE_CHECKING:
    from symprobe.cli.trace_listen import Listener

app = typer.Typer(rich_markup_mode=None, add_completion=False)

_MANY = 10_000
"""Symbols of a file that take so long to resolve that the program is compiled meanwhile."""
_COMMAND = "symprobe.trace.command"
"""Where the arguments behind `--` wait, in the context's meta."""


class _WithCommand(opt.Command):
    """Keeps what stands behind `--` from being taken for SYMBOLs."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[_COMMAND] = tuple(args[at + 1 :])
            args = args[:at]
        return super().parse_args(ctx, ask.spelled_out(args))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND ...]"]


@app.command(cls=_WithCommand)
def trace(
    ctx: typer.Context,
    target: opt.Target,
    symbols: ask.Symbols,
    pid: ask.Pids = None,
    no_follow: ask.NoFollow = False,
    everyone: ask.Everyone = False,
    duration: ask.Duration = None,
    interval: ask.Interval = None,
    by: ask.GroupBy = None,
    top: ask.Top = None,
    expect: ask.Expect = None,
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
    exact_entry: opt.ExactEntry = False,
    strict: ask.Strict = False,
    as_root: ask.AsRoot = False,
    engine: ask.ChosenEngine = None,
    as_json: ask.AsJson = False,
    output: ask.Output = None,
    html: ask.Html = None,
    export: ask.Export = None,
    listen: ask.Listen = None,
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
    plan = Plan(
        targets=(), pids=pids, follow=not no_follow, command=command or (), everyone=everyone,
        environment=dict(os.environ), user=None if as_root else invoking_user(os.environ),
        quiet_stdout=as_json and output is None, seconds=duration, interval=interval, by=by,
        exact_entry=exact_entry, top=top, expectations=tuple(expect or ()), engine=engine,
        strict=strict, aloof=True,
    )  # fmt: skip
    return _trace(target, symbols, plan, asked, ask.Outlets(as_json, output, html, export, listen))


def _trace(text: str, symbols: list[str], plan: Plan, asked: Asked, to: ask.Outlets) -> int:
    """Resolve the SYMBOLs, and trace as planned. The plan has all but the targets."""
    metrics = None if to.export is None else export_path(to.export)
    address = None if to.listen is None else listen_address(to.listen)
    need_permission()
    with ExitStack() as opened:
        document = None if to.output is None else opened.enter_context(Output(to.output))
        page = None if to.html is None else opened.enter_context(Output(to.html))
        listener = None if address is None else _listening(address, plan.by, opened)
        gc.disable()  # targets make no cycles; `*` makes 100,000 of them
        exact = plan.exact_entry or asked.exact_entry
        found = _binaries(text, plan.pids)
        if not asked.anything:
            plan = replace(plan, ahead=_ahead(plan, symbols, found, opened))
        resolution = _resolve(found, tuple(symbols), exact_entry=exact)
        gc.freeze()
        gc.enable()
        if plan.ahead is not None:
            plan.ahead.wait()
        _warn(found)
        plan = replace(plan, targets=resolution.targets, rejected=resolution.rejected)
        show = Show(
            plan,
            as_json=to.as_json,
            document=document,
            folded=asked.folded,
            page=page,
            published=Published(path=metrics, listener=listener, by=plan.by),
        )
        if plan.targets and asked.anything:
            question = asked.question(lambda name: _span_ends(text, name, plan.pids))
            show.prepare(prepare(question, plan.targets, by=plan.by, deliver=show.events))
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


def _listening(address: tuple[str, int], by: By | None, opened: ExitStack) -> Listener:
    """The server for --listen, until everything that is opened is closed."""
    from symprobe.cli.trace_listen import Listener

    listener = Listener(address, by)
    opened.callback(listener.close)
    complain(f"metrics: http://{listener.address}/metrics")
    return listener


def _ahead(
    plan: Plan, symbols: list[str], found: list[tuple[Target, Binary]], opened: ExitStack
) -> Ahead | None:
    """The program, being compiled while very many functions are resolved: until it is, nothing may
    be written to stderr."""
    room = sum(sum(binary.symbol_count().values()) + 1 for _, binary in found)
    if room < _MANY or all(parse(text).kind is SpecKind.NAME for text in symbols):
        return None
    ahead = compile_ahead(plan, room)
    if ahead is not None:
        opened.callback(ahead.close)
    return ahead


def _binaries(text: str, pids: tuple[int, ...]) -> list[tuple[Target, Binary]]:
    """The file of TARGET, or those that the processes have of it."""
    return [(found, Binary(found.file)) for found in _files(text, pids)]


def _resolve(
    binaries: list[tuple[Target, Binary]], symbols: tuple[str, ...], *, exact_entry: bool
) -> Resolution:
    """The functions to trace."""
    targets: dict[tuple[tuple[int, int], int], ProbeTarget] = {}
    rejected: dict[Rejected, None] = {}
    for found, binary in binaries:
        options = Options(exact_entry=exact_entry, pid=found.pid, provider=provider(found))
        answer = resolve(binary, *symbols, options=options)
        targets |= {(each.inode, each.offset): each for each in answer.targets}
        rejected |= dict.fromkeys(_rejected(answer, found))
    return Resolution(tuple(targets.values()), tuple(rejected))


def _warn(binaries: list[tuple[Target, Binary]]) -> None:
    for _, binary in binaries:
        for clause in binary.warnings:
            complain(f"{binary.path.shown}: warning: {clause}")


def _rejected(answer: Resolution, found: Target) -> tuple[Rejected, ...]:
    """What is no target; names without a symbol may be known to debug information, as inlined."""
    if all(each.reason is not Reason.NOT_FOUND for each in answer.rejected):
        return answer.rejected
    from symprobe.resolve.details import with_source

    return with_source(Resolution((), answer.rejected), found.file, DEFAULT_DEBUG_ROOTS).rejected


def _span_ends(text: str, symbol: str, pids: tuple[int, ...]) -> tuple[ProbeTarget, ...]:
    """The functions that end a span. NotFoundError: there are none."""
    found = _resolve(_binaries(text, pids), (symbol,), exact_entry=False)
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
