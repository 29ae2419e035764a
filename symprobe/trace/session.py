"""Tracer: from probe targets to numbers, as a context manager.

with Tracer(resolution.targets) as tracer:
    time.sleep(10)
    print(tracer.snapshot().hits)
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any

from symprobe.errors import TraceError
from symprobe.model import FilePath
from symprobe.probe import ProbeTarget, Reason, Rejected, Resolution
from symprobe.trace import bccload, features, members
from symprobe.trace.bpfcall import ATTACH_UPROBE_MULTI, recursion_misses
from symprobe.trace.counts import MOST_GROUPS, By, CountMode, Counts
from symprobe.trace.links import Engine, Links, link_all, probe_each
from symprobe.trace.loaded import load_mark
from symprobe.trace.members import Everyone, Membership, Processes
from symprobe.trace.program import assemble
from symprobe.trace.sites import OpenFile, Site, open_files
from symprobe.trace.snapshot import Group, Hits, Snapshot


class Tracer:
    """Count the calls of targets while the `with` block runs.

    targets: unique by inode and offset, or the whole answer of `resolve`.  who: the
    processes to count in.  by: group the calls.  exact_entry: probe the first
    byte of every function, even where the next instruction costs less.
    engine: None takes the best that the kernel has.

    Entering raises TraceError when this machine can't trace, TargetError when
    a chosen process is gone. After entering, `refused` lists the targets that
    the kernel takes no probe on; the others are being counted.
    """

    def __init__(
        self,
        targets: Sequence[ProbeTarget] | Resolution,
        *,
        who: Membership | None = None,
        by: By | None = None,
        exact_entry: bool = False,
        engine: Engine | None = None,
        most_groups: int = MOST_GROUPS,
    ) -> None:
        self.targets = tuple(targets.targets if isinstance(targets, Resolution) else targets)
        self.who: Membership = Everyone() if who is None else who
        self.exact_entry = exact_entry
        self.refused: tuple[Rejected, ...] = ()
        self._mode = CountMode(0, by, most_groups)
        self._engine = engine
        self._started = 0.0
        self._refused_slots: frozenset[int] = frozenset()
        self._load_slots: dict[tuple[int, int], int] = {}
        self._program: Any = None
        self._functions: list[Any] = []
        self._stack = ExitStack()

    @property
    def engine(self) -> Engine:
        """How the probes are put in, once the block is entered."""
        return self._engine or Engine.UPROBE_MULTI

    def __enter__(self) -> Tracer:
        with ExitStack() as stack:
            if self._engine is None:
                multi = features.probe().uprobe_multi
                self._engine = Engine.UPROBE_MULTI if multi else Engine.PERF_EVENT
            files = stack.enter_context(open_files(self.targets, exact_entry=self.exact_entry))
            slots = self._mark_loads(files)
            self._mode = replace(self._mode, slots=slots)
            alone = self._only_process()
            who = Everyone(except_self=False) if alone else self.who
            own = None if self._engine is Engine.UPROBE_MULTI else range(slots)
            source = assemble((members.part(who), self._mode.part()), own)
            self._program = bccload.compile_program(source)
            stack.callback(self._program.cleanup)
            members.enrol(self._program, who)
            if self._engine is Engine.UPROBE_MULTI:
                function = bccload.load_function(
                    self._program, "on_entry", self._program.KPROBE, ATTACH_UPROBE_MULTI
                )
                links = link_all(function, files, pid=alone)
            else:
                links = probe_each(self._program, files, pid=alone or -1)
            stack.callback(links.close)
            self._functions = list(self._program.funcs.values())
            self._note_refused(links)
            self._started = time.monotonic()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def snapshot(self) -> Snapshot:
        """The counts at this moment, of every target that is probed."""
        counts = self._mode.read(self._program)
        duration = time.monotonic() - self._started
        hits = tuple(
            Hits(target, counts.calls[slot], _groups(counts, slot))
            for slot, target in enumerate(self.targets)
            if slot not in self._refused_slots
        )
        loads = {
            inode: counts.calls[slot]
            for inode, slot in self._load_slots.items()
            if slot not in self._refused_slots
        }
        lost = members.lost(self._program) if members.follows(self.who) else 0
        return Snapshot(hits, self._missed(), counts.ungrouped + lost, duration, loads)

    def anyone_left(self) -> bool:
        """Whether a traced process is alive: false once all of `-p PID` have ended."""
        if isinstance(self.who, Processes) and not self.who.follow:
            return any(members.is_alive(pid) for pid in self.who.pids)
        return not members.follows(self.who) or members.remaining(self._program) > 0

    def _mark_loads(self, files: Sequence[OpenFile]) -> int:
        """Give each file a site that tells when it is loaded; the number of slots in all."""
        slots = len(self.targets)
        for file in files:
            offset = load_mark(FilePath(file.sure_path, file.path.shown))
            if offset is None:
                continue
            same = next((site.slot for site in file.sites if site.offset == offset), None)
            if same is None:
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
        known = [recursion_misses(function.fd) for function in self._functions]
        counted = [misses for misses in known if misses is not None]
        return sum(counted) if counted else None

    def _note_refused(self, links: Links) -> None:
        self._refused_slots = frozenset(refused.slot for refused in links.refused)
        self.refused = tuple(
            Rejected(self.targets[each.slot].names[0], Reason.REFUSED_INSTRUCTION, each.detail)
            for each in sorted(links.refused, key=lambda each: each.slot)
            if each.slot < len(self.targets)
        )
        if self.targets and len(self.refused) == len(self.targets):
            raise TraceError(
                f"the kernel refuses every probe: {self.refused[0].detail}",
                next_step="none of the functions can be traced",
            )


def _groups(counts: Counts, slot: int) -> tuple[Group, ...]:
    if not counts.groups:
        return ()
    found = (Group(key, calls) for key, calls in counts.groups[slot].items())
    return tuple(sorted(found, key=lambda group: (-group.calls, str(group.key))))
