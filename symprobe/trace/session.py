"""Tracer: from probe targets to numbers, as a context manager.

with Tracer(resolution.targets) as tracer:
    time.sleep(10)
    print(tracer.snapshot().hits)
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any

from symprobe.errors import PatternError, TraceError
from symprobe.model import FilePath
from symprobe.probe import ProbeTarget, Reason, Rejected, Resolution
from symprobe.trace import bccload, bpfcall, features, kfunc, members
from symprobe.trace.ahead import Ahead
from symprobe.trace.aloof import keep_out
from symprobe.trace.counts import MOST_GROUPS, By, CallCounter, Counts
from symprobe.trace.hits import hits_of
from symprobe.trace.links import Engine, Linked, Links, link_all, probe_each
from symprobe.trace.loaded import load_mark
from symprobe.trace.members import Everyone, Membership, Processes
from symprobe.trace.mode import Measured, Mode, OnlyCalls, Setting
from symprobe.trace.program import Probes
from symprobe.trace.sites import OpenFile, Site, open_files
from symprobe.trace.snapshot import Snapshot
from symprobe.trace.source import source
from symprobe.trace.tables import counters
from symprobe.trace.where import Where


class Tracer:
    """Count the calls of targets, and look at them in a `mode`, while the `with` block runs.

    targets: unique by inode and offset, or the whole answer of `resolve`.  who: the
    processes to count in.  by: group the calls.  mode: what to look at besides (Latency, Values,
    ...).  where: only calls for which this condition holds.  exact_entry: probe the first
    byte of every function, even where the next instruction costs less.
    engine: None takes the best that the kernel has.  aloof: this process, and what it
    forks from now on, need not be traced: see aloof.py.  ahead: what may be compiled already.

    Entering raises TraceError when this machine can't trace, TargetError when
    a chosen process is gone, PatternError for a condition that the mode can't have.
    After entering, `refused` lists the targets that the kernel takes no probe on; the
    others are being counted.

    >>> from symprobe import Binary, dependency_graph, resolve
    >>> libraries = dependency_graph("/bin/sh").libraries
    >>> libc = next(each.path for each in libraries if each.name.startswith("libc.so"))
    >>> answer = resolve(Binary(libc), "getppid")
    >>> with Tracer(answer, who=Processes((os.getpid(),))) as tracer:
    ...     parents = [os.getppid() for _ in range(23)]
    ...     tracer.snapshot().hits[0].calls
    23
    """

    def __init__(
        self,
        targets: Sequence[ProbeTarget] | Resolution,
        *,
        who: Membership | None = None,
        by: By | None = None,
        mode: Mode | None = None,
        where: Where | None = None,
        exact_entry: bool = False,
        engine: Engine | None = None,
        most_groups: int = MOST_GROUPS,
        aloof: bool = False,
        ahead: Ahead | None = None,
    ) -> None:
        self.targets = tuple(targets.targets if isinstance(targets, Resolution) else targets)
        self.who: Membership = Everyone() if who is None else who
        self.refused: tuple[Rejected, ...] = ()
        self._mode: Mode = OnlyCalls() if mode is None else mode
        self._where = Where() if where is None else where
        self._returns = self._mode.returns or bool(self._where.at_return)
        if self._where.at_return and self._mode.only_entries:
            raise PatternError(f"--where: {self._mode.only_entries}: retval is not known then")
        self.exact_entry = (
            exact_entry or self._returns or self._mode.exact_entry or self._where.arguments
        )
        self._counter = CallCounter(0, by, most_groups)
        self._aloof = aloof
        self._ahead = ahead
        self._setting = Setting(len(self.targets))
        self._engine = engine
        self._started = 0.0
        self._refused_slots: frozenset[int] = frozenset()
        self._load_slots: dict[tuple[int, int], int] = {}
        self._program: Any = None
        self._functions: list[int] = []
        self._stack = ExitStack()

    @property
    def engine(self) -> Engine:
        """How the probes are put in, once the block is entered."""
        return self._engine or Engine.UPROBE_MULTI

    def __enter__(self) -> Tracer:
        with ExitStack() as stack:
            probes = self._choose()
            files = stack.enter_context(open_files(self.targets, exact_entry=self.exact_entry))
            harmed = self._without_harmed(files)
            slots = self._mark_loads(files)
            self._counter = replace(self._counter, slots=slots)
            alone = self._only_process()
            who = Everyone(except_self=False) if alone else self.who
            own = None if self._engine is Engine.UPROBE_MULTI else range(slots)
            self._program = self._compiled(who, probes, own)
            stack.callback(self._program.cleanup)
            stack.callback(self._mode.close)
            self._mode.start(self._program)
            members.enrol(self._program, who)
            if self._aloof:
                keep_out(self.targets)
            links = self._attach(probes, files, alone, stack)
            stack.callback(links.close)
            self._note_refused(links, harmed)
            self._started = time.monotonic()
            self._stack = stack.pop_all()
        return self

    def _compiled(self, who: Membership, probes: Probes, slots: Iterable[int] | None) -> Any:
        """The program, which may have been compiled ahead, with room for more."""

        def text(counter: CallCounter) -> str:
            return source(who, counter, self._setting, self._mode, self._where, probes, slots)

        if self._ahead is not None and self._ahead.room >= self._counter.slots:
            program = self._ahead.take(text(replace(self._counter, slots=self._ahead.room)))
            if program is not None:
                return program
        return bccload.compile_program(text(self._counter))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def tick(self) -> None:
        """Let the mode take what can't wait for the end: events, maps of short-lived processes."""
        self._mode.tick(self._program)

    def snapshot(self) -> Snapshot:
        """The numbers at this moment, of every target that is probed."""
        counts = self._counter.read(self._program)
        duration = time.monotonic() - self._started
        measured = self._mode.read(self._program, self._setting)
        unreturned = self._unreturned(counts)
        hits = hits_of(self.targets, self._refused_slots, counts, measured, unreturned)
        loads = {
            inode: counts.calls[slot]
            for inode, slot in self._load_slots.items()
            if slot not in self._refused_slots
        }
        return Snapshot(
            hits,
            self._missed(),
            self._overflow(counts, measured),
            duration,
            loads,
            measured.spans,
            measured.events,
            measured.dropped,
        )

    def anyone_left(self) -> bool:
        """Whether a traced process is alive: false once all of `-p PID` have ended."""
        if isinstance(self.who, Processes) and not self.who.follow:
            return any(members.is_alive(pid) for pid in self.who.pids)
        return not members.follows(self.who) or members.remaining(self._program) > 0

    def _choose(self) -> Probes:
        """The engine, and what moments of a call to see by which means."""
        known = features.probe()
        if self._engine is None:
            self._engine = Engine.UPROBE_MULTI if known.uprobe_multi else Engine.PERF_EVENT
        multi = self._engine is Engine.UPROBE_MULTI
        session = multi and known.session
        self._setting = Setting(
            len(self.targets),
            returns=self._returns,
            carry=self._returns and (not session or self._mode.carries),
            sleepable=multi and (self._mode.reads_memory or bool(self._where.functions)),
        )
        if not self._returns:
            return Probes.ENTRIES
        return Probes.SESSION if session else Probes.BOTH

    def _attach(
        self, probes: Probes, files: Sequence[OpenFile], pid: int, stack: ExitStack
    ) -> Links:
        """Put the probes in; returns before entries, so that every call seen is seen to return."""
        number = len(self.targets)
        if self._engine is not Engine.UPROBE_MULTI:
            below = 0 if probes is Probes.ENTRIES else number
            links = probe_each(self._program, files, pid or -1, returns_below=below)
            self._functions = [function.fd for function in self._program.funcs.values()]
            return links
        if probes is Probes.SESSION:
            session = self._load("on_session", bpfcall.ATTACH_UPROBE_SESSION, stack)
            wanted = [Linked(session, pid, bpfcall.ATTACH_UPROBE_SESSION)]
        else:
            wanted = [Linked(self._load("on_entry", bpfcall.ATTACH_UPROBE_MULTI, stack), pid)]
            if probes is Probes.BOTH:
                back = self._load("on_return", bpfcall.ATTACH_UPROBE_MULTI, stack)
                wanted.insert(0, Linked(back, pid, at_return=True, slots=number))
        self._functions = [linked.program for linked in wanted]
        return link_all(wanted, files)

    def _load(self, name: str, attach_type: int, stack: ExitStack) -> int:
        """The file descriptor of a function of the program, loaded for a kind of link."""
        sleepable = self._setting.sleepable
        loaded = kfunc.load(self._program, name, attach_type, sleepable=sleepable)
        stack.callback(os.close, loaded)
        return loaded

    def _without_harmed(self, files: list[OpenFile]) -> dict[int, Rejected]:
        """Take out the sites of programs that a return probe would harm: why, by slot."""
        harmed = {
            slot: Rejected(
                target.names[0],
                Reason.GO_RETURN,
                "a return probe breaks Go programs, which move their stacks",
            )
            for slot, target in enumerate(self.targets)
            if self._returns and not target.return_probe
        }
        for file in files:
            file.sites[:] = [site for site in file.sites if site.slot not in harmed]
        files[:] = [file for file in files if file.sites]
        return harmed

    def _mark_loads(self, files: Sequence[OpenFile]) -> int:
        """Give each file a site that tells when it is loaded; the number of slots in all."""
        slots = len(self.targets)
        for file in files:
            offset = load_mark(FilePath(file.sure_path, file.path.shown))
            if offset is None:
                continue
            same = next((site.slot for site in file.sites if site.offset == offset), None)
            if same is None or self._where != Where():  # a condition is not for loads
                same = slots
                file.sites.append(Site(slots, offset))
                slots += 1
            self._load_slots[file.inode] = same
        return slots

    def _only_process(self) -> int:
        """The process that the kernel's own filter can pick out for us, else 0."""
        if isinstance(self.who, Processes) and not self.who.follow and len(self.who.pids) == 1:
            members.check_process(self.who.pids[0])
            return self.who.pids[0]
        return 0

    def _missed(self) -> int | None:
        known = [bpfcall.recursion_misses(function) for function in self._functions]
        counted = [misses for misses in known if misses is not None]
        return sum(counted) if counted else None

    def _overflow(self, counts: Counts, measured: Measured) -> int:
        """Calls and processes beyond the size of a table."""
        lost = members.lost(self._program) if members.follows(self.who) else 0
        if self._setting.carry:
            lost += sum(counters(self._program[b"calls_lost"], 1))
        return counts.ungrouped + lost + measured.lost

    def _unreturned(self, counts: Counts) -> list[int] | None:
        """Calls of each target that have begun and not returned."""
        if not self._setting.returns:
            return None
        begun: Sequence[int] = counts.calls
        if self._where.at_return:
            begun = counters(self._program[b"begun"], self._setting.targets)
        returned = counters(self._program[b"returned"], self._setting.targets)
        return [max(0, a - b) for a, b in zip(begun, returned, strict=False)]

    def _note_refused(self, links: Links, harmed: dict[int, Rejected]) -> None:
        why = harmed | {
            each.slot: Rejected(
                self.targets[each.slot].names[0], Reason.REFUSED_INSTRUCTION, each.detail
            )
            for each in links.refused
            if each.slot < len(self.targets)
        }
        self._refused_slots = frozenset(why) | {each.slot for each in links.refused}
        self.refused = tuple(why[slot] for slot in sorted(why))
        if self.targets and len(self.refused) == len(self.targets):
            raise TraceError(
                f"{'this can not be traced' if harmed else 'the kernel refuses every probe'}: "
                f"{self.refused[0].detail}",
                next_step="count the calls instead" if harmed else "no function can be traced",
            )
