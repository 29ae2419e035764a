"""One trace from beginning to end: hold the command, attach, wait, read, explain, judge."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from symprobe.errors import TraceError
from symprobe.probe import ProbeTarget, Rejected
from symprobe.trace import expect, features
from symprobe.trace.ahead import Ahead
from symprobe.trace.aloof import keep_out
from symprobe.trace.command import HeldCommand, User
from symprobe.trace.counts import By
from symprobe.trace.explain import Seen, every_process, look, reasons, refused_targets
from symprobe.trace.links import Engine
from symprobe.trace.members import Command, Everyone, Membership, Processes, descendants
from symprobe.trace.question import Prepared
from symprobe.trace.report import CommandResult, Report, rows
from symprobe.trace.session import Tracer
from symprobe.trace.snapshot import Snapshot
from symprobe.trace.wait import End, Until, Watch, stop_command
from symprobe.trace.where import Where

_OFTEN = 0.02
"""Seconds between two looks at what can't wait for the end (events, processes that may be gone)."""

PATIENCE = 3.0
"""Seconds that a command which outlives its trace is given to act on SIGTERM."""


@dataclass(frozen=True)
class Plan:
    """What to trace, in whom, until when.

    command: run it and trace it with its descendants, all processes with
    everyone; else pids, with their descendants if follow; else all processes.
    expectations: as in trace/expect.py.  strict: fail when a probe is refused.
    prepared: what to look at besides the calls; its targets are then the ones to probe.
    aloof, ahead: as for Tracer.
    """

    targets: tuple[ProbeTarget, ...]
    rejected: tuple[Rejected, ...] = ()
    pids: tuple[int, ...] = ()
    follow: bool = True
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: User | None = None
    quiet_stdout: bool = False
    everyone: bool = False
    seconds: float | None = None
    interval: float | None = None
    by: By | None = None
    exact_entry: bool = False
    top: int | None = None
    expectations: tuple[str, ...] = ()
    engine: Engine | None = None
    strict: bool = False
    prepared: Prepared | None = None
    aloof: bool = False
    ahead: Ahead | None = None


def run(
    plan: Plan,
    on_start: Callable[[Tracer], None] | None = None,
    on_tick: Callable[[Snapshot], None] | None = None,
    on_end: Callable[[Snapshot], None] | None = None,
) -> Report:
    """Trace as planned and report.

    on_start: when all is attached; on_tick: at each interval; on_end: with the last numbers.

    Errors: TraceError, TargetError, PatternError (an expectation), all of them
    before the command has begun; it then never runs.
    """
    targets = _targets(plan)
    expectations = [expect.parse(text, targets, plan.rejected) for text in plan.expectations]
    with ExitStack() as stack:
        command = None
        if plan.ahead is not None:
            plan.ahead.wait()
            if plan.aloof:  # the command is forked from this process
                keep_out(targets)
        if plan.command:
            command = stack.enter_context(
                HeldCommand(
                    plan.command, plan.environment, user=plan.user, quiet_stdout=plan.quiet_stdout
                )
            )
        who = _membership(plan, 0 if command is None else command.pid)
        tracer = stack.enter_context(
            Tracer(
                targets,
                who=who,
                by=plan.by,
                mode=None if plan.prepared is None else plan.prepared.mode,
                where=None if plan.prepared is None else plan.prepared.where,
                exact_entry=plan.exact_entry,
                engine=plan.engine,
                aloof=plan.aloof and plan.ahead is None,
                ahead=plan.ahead,
            )
        )
        if plan.strict and (plan.rejected or tracer.refused):
            first = (*plan.rejected, *tracer.refused)[0]
            raise TraceError(
                f"{first.name} can't be traced: {first.detail}",
                next_step="without --strict the others are traced",
            )
        before = _look(plan, who) if plan.pids else {}
        end, snapshot = _watch(plan, tracer, command, on_start, on_tick)
        if on_end is not None:
            on_end(snapshot)
        zeros = any(hit.calls == 0 for hit in snapshot.hits)
        seen = _merged(before, _look(plan, who)) if zeros else {}
        stopped = command is not None and end is not End.COMMAND
        if command is not None and stopped:
            stop_command(command, PATIENCE)
        result = None if command is None else CommandResult(plan.command, command.ended, stopped)
        judged = _judged(plan, targets, expectations, snapshot)
        return _report(plan, tracer, snapshot, seen, result, judged)


def _report(
    plan: Plan,
    tracer: Tracer,
    snapshot: Snapshot,
    seen: dict[tuple[int, int], Seen],
    command: CommandResult | None,
    expectations: tuple[expect.Outcome, ...],
) -> Report:
    """The numbers with their reasons. seen: who had which file mapped, by inode."""
    conditional = plan.prepared is not None and plan.prepared.where != Where()
    notes = reasons(snapshot, seen, conditional=conditional)
    found, left_out = rows(snapshot, notes, exact_entry=tracer.exact_entry, top=plan.top)
    return Report(
        found,
        left_out,
        (*plan.rejected, *tracer.refused),
        snapshot.duration,
        snapshot.missed,
        snapshot.overflow,
        tracer.engine,
        command,
        expectations,
        "calls" if plan.prepared is None else plan.prepared.mode.name,
        snapshot.spans,
        snapshot.events,
        snapshot.dropped,
    )


def _watch(
    plan: Plan,
    tracer: Tracer,
    command: HeldCommand | None,
    on_start: Callable[[Tracer], None] | None,
    on_tick: Callable[[Snapshot], None] | None,
) -> tuple[End, Snapshot]:
    """Let the command go and wait for the end; why it came, and the numbers of that moment."""
    anyone_left = tracer.anyone_left if plan.pids else None
    often = plan.interval if plan.prepared is None else min(_OFTEN, plan.interval or _OFTEN)
    with Watch(Until(plan.seconds, often, command, anyone_left)) as watch:
        if on_start is not None:
            on_start(tracer)
        if command is not None:
            command.release()
        following = time.monotonic() + (plan.interval or 0.0)
        for end in watch.wait():
            if end is not None:
                break
            tracer.tick()
            if on_tick is not None and plan.interval and time.monotonic() >= following - 0.001:
                following += plan.interval
                on_tick(tracer.snapshot())
        snapshot = tracer.snapshot()
    return end or End.SIGNAL, snapshot


def _judged(
    plan: Plan,
    targets: tuple[ProbeTarget, ...],
    expectations: list[expect.Expectation],
    snapshot: Snapshot,
) -> tuple[expect.Outcome, ...]:
    refused = refused_targets(targets, snapshot)
    return tuple(expect.judge(expectations, snapshot, refused, plan.rejected))


def _targets(plan: Plan) -> tuple[ProbeTarget, ...]:
    """All that is probed, what ends a span included."""
    return plan.targets if plan.prepared is None else plan.prepared.targets


def _membership(plan: Plan, command: int) -> Membership:
    """command: the process of the plan's command, if it has one."""
    if plan.command and not plan.everyone:
        return Command(command)
    if plan.pids:
        return Processes(plan.pids, plan.follow)
    return Everyone()


def compile_ahead(plan: Plan, room: int) -> Ahead | None:
    """Begin to compile what a plan without targets yet will need; room: for how many at most.
    None where another program will be needed. Errors: TraceError."""
    if plan.engine is Engine.PERF_EVENT or not features.probe().uprobe_multi:
        return None
    who = _membership(plan, 0)
    if isinstance(who, Processes) and not who.follow and len(who.pids) == 1:
        who = Everyone(except_self=False)  # the kernel picks it out
    return Ahead(who, plan.by, room)


def _look(plan: Plan, who: Membership) -> dict[tuple[int, int], Seen]:
    """Who has the files mapped now. A command's processes come and go: load marks tell of them."""
    if isinstance(who, Command):
        return {}
    pids = every_process()
    if isinstance(who, Processes):
        pids = [*who.pids, *(descendants(who.pids) if who.follow else ())]
    return look(((target.inode, target.file) for target in _targets(plan)), pids)


def _merged(
    before: dict[tuple[int, int], Seen], after: dict[tuple[int, int], Seen]
) -> dict[tuple[int, int], Seen]:
    """What was seen at the start or at the end of the trace."""
    merged = dict(before)
    for inode, seen in after.items():
        earlier = before.get(inode, Seen())
        merged[inode] = Seen(
            max(earlier.mapped, seen.mapped),
            seen.stranger if seen.stranger is not None else earlier.stranger,
        )
    return merged


def invoking_user(environment: Mapping[str, str]) -> User | None:
    """Who has called us through sudo(8), None without it (or when root did)."""
    import pwd

    try:
        entry = pwd.getpwuid(int(environment["SUDO_UID"]))
    except (KeyError, ValueError):
        return None
    if entry.pw_uid == 0 or os.geteuid() != 0:
        return None
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir)
