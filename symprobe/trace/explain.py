"""Why a count is what it is: no zero goes without its likely reason, no inlined copy untold."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from symprobe.debuginfo import DEFAULT_DEBUG_ROOTS
from symprobe.errors import TargetError
from symprobe.model import FilePath
from symprobe.probe import ProbeTarget, Resolution
from symprobe.process import mappings
from symprobe.trace.snapshot import Snapshot

Inode = tuple[int, int]


@dataclass(frozen=True)
class Seen:
    """What a look at /proc showed of one file.

    mapped: processes that have it mapped.  stranger: a process that has
    another file under the same path: replaced on disk since, or in a root of its own.
    """

    mapped: int = 0
    stranger: int | None = None


def look(files: Iterable[tuple[Inode, FilePath]], pids: Iterable[int]) -> dict[Inode, Seen]:
    """Which of the processes have which of the files mapped, at this moment."""
    wanted = dict(files)
    mapped = dict.fromkeys(wanted, 0)
    strangers: dict[Inode, int] = {}
    paths = {
        spelling: inode
        for inode, path in wanted.items()
        for spelling in (path.shown, os.path.realpath(path.shown))
    }
    for pid in pids:
        try:
            entries = mappings(pid)
        except TargetError:  # it has ended, or is a kernel thread
            continue
        here = {entry.inode for entry in entries} & mapped.keys()
        for inode in here:
            mapped[inode] += 1
        root = _root(pid)
        for entry in entries:
            inode = paths.get(entry.path.removeprefix(root), (0, 0))
            if inode in wanted and inode not in here:
                strangers.setdefault(inode, pid)
    return {inode: Seen(mapped[inode], strangers.get(inode)) for inode in wanted}


def _root(pid: int) -> str:
    """What is / for a process, as maps would begin its paths; empty for our own."""
    try:
        return os.readlink(f"/proc/{pid}/root").rstrip("/")
    except OSError:  # it has ended
        return ""


def every_process() -> list[int]:
    """All processes of /proc but this one."""
    numbers = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in numbers if pid != os.getpid()]


def reasons(
    snapshot: Snapshot, seen: dict[Inode, Seen], *, conditional: bool = False
) -> dict[int, str]:
    """What is to be said of hits, by their place in the snapshot: of 0 calls the likely reason,
    of functions with inlined copies that those were not counted.

    conditional: only calls that meet a condition were counted.
    """
    nothing = "no call met the condition" if conditional else "never called"
    called: set[Inode] = {hit.target.inode for hit in snapshot.hits if hit.calls}
    copies = _inlined_copies(tuple(hit.target for hit in snapshot.hits))
    whys: dict[Inode, str] = {}
    found = {}
    for index, (hit, number) in enumerate(zip(snapshot.hits, copies, strict=True)):
        why = ""
        if not hit.calls and not (why := whys.get(hit.target.inode, "")):
            why = whys[hit.target.inode] = _reason(hit.target, snapshot, seen, called, nothing)
        if number:
            what = f"{number} inlined {'copy' if number == 1 else 'copies'} can't be counted"
            why = f"{why}; {what}" if why else what
        if why:
            found[index] = why
    return found


def _inlined_copies(targets: tuple[ProbeTarget, ...]) -> list[int]:
    """How often each is inlined, as far as debug information tells; of many it is not asked."""
    from symprobe.resolve.details import with_source

    known = with_source(Resolution(targets, ()), FilePath.plain(""), DEFAULT_DEBUG_ROOTS)
    own, found = (
        [t.source.inlined if t.source else 0 for t in s] for s in (targets, known.targets)
    )
    return list(map(max, own, found))


def _reason(
    target: ProbeTarget,
    snapshot: Snapshot,
    seen: dict[Inode, Seen],
    called: set[Inode],
    nothing: str,
) -> str:
    inode = target.inode
    loads = snapshot.loads.get(inode)
    there = seen.get(inode, Seen())
    if inode in called:
        reason = nothing
    elif loads:
        reason = f"{nothing}, though {_times(loads)} loaded the file"
    elif there.mapped:
        reason = f"{nothing}, though {_times(there.mapped)} had the file mapped"
    elif there.stranger is not None:
        reason = (
            f"process {there.stranger} has another file of that path, replaced or in another root: "
            f"trace pid:{there.stranger}:{os.path.basename(target.file.shown)}"
        )
    elif loads == 0:
        reason = "no traced process loaded the file"
    else:
        reason = "no traced process was seen with the file mapped"
    return reason


def _times(number: int) -> str:
    return "1 process" if number == 1 else f"{number} processes"


def refused_targets(targets: Sequence[ProbeTarget], snapshot: Snapshot) -> list[ProbeTarget]:
    """The targets that are not in the snapshot: the kernel takes no probe on them."""
    counted = {id(hit.target) for hit in snapshot.hits}
    return [target for target in targets if id(target) not in counted]
