"""Which processes are traced: the choice, and its side of the BPF program (bpf/members.c).

Descendants are followed in the kernel: a child becomes a member before it runs
its first instruction, and ceases to be one when its last thread ends, before
its number can be given to another process. So nothing is missed, nothing
foreign is counted, and nothing has to be cleaned up.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symprobe.errors import TargetError, TraceError
from symprobe.trace.btf import member_offsets
from symprobe.trace.program import BpfPart

MOST_MEMBERS = 32768
"""Traced processes alive at one moment; those beyond are reported as overflow."""

_OUR_PID_NAMESPACE = "/proc/self/ns/pid"
_INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""PROC_PID_INIT_INO: the kernel's include/linux/proc_ns.h."""

_PENDING, _ACTIVE = 1, 2
"""As in bpf/members.c."""

_HOOKS = {
    "sched_process_fork": "on_fork",
    "sched_process_exec": "on_exec",
    "sched_process_exit": "on_exit",
}
"""Raw tracepoints, which need no tracefs, and the functions on them."""


@dataclass(frozen=True)
class Everyone:
    """Every process; except this one, whose own work would be counted with the rest."""

    except_self: bool = True


@dataclass(frozen=True)
class Processes:
    """Processes by their numbers in our PID namespace, and their descendants when followed."""

    pids: tuple[int, ...]
    follow: bool = True


@dataclass(frozen=True)
class Command:
    """A child of ours that has yet to call exec: from that exec on, with all its descendants."""

    pid: int


Membership = Everyone | Processes | Command


def follows(membership: Membership) -> bool:
    """Whether a child is traced because its parent is."""
    return isinstance(membership, Command) or (
        isinstance(membership, Processes) and membership.follow
    )


def in_other_namespace() -> bool:
    """Whether our process numbers differ from the kernel's own (as in a container)."""
    return os.stat(_OUR_PID_NAMESPACE).st_ino != _INITIAL_PID_NAMESPACE


def part(membership: Membership) -> BpfPart:
    """What defines traced() for this choice. TraceError when the kernel has no BTF to follow by."""
    files: tuple[str, ...] = ("numbers.c",)
    defines: list[tuple[str, object]] = []
    if in_other_namespace():
        namespace = os.stat(_OUR_PID_NAMESPACE)
        files = ("namespace.c",)
        defines = [
            ("NAMESPACE_DEVICE", namespace.st_dev),
            ("NAMESPACE_INODE", namespace.st_ino),
        ]
    if isinstance(membership, Everyone):
        if membership.except_self:
            defines.append(("SELF", os.getpid()))
        return BpfPart((*files, "everyone.c"), tuple(defines))
    defines.append(("MOST_MEMBERS", MOST_MEMBERS))
    if follows(membership):
        names = {
            "TASK_TGID": "task_struct.tgid",
            "TASK_SIGNAL": "task_struct.signal",
            "SIGNAL_LIVE": "signal_struct.live",
        }
        try:
            offsets = member_offsets(names.values())
        except TraceError as error:
            raise TraceError(
                f"children can't be followed: {error.what}",
                file=error.file,
                next_step="trace one process with -p PID --no-follow, or a command with --all",
            ) from error
        defines += [("FOLLOW", 1), *((macro, offsets[name]) for macro, name in names.items())]
    return BpfPart((*files, "members.c"), tuple(defines))


def enrol(program: Any, membership: Membership) -> None:
    """Start to follow, then make the chosen processes members. TargetError: one of them is gone.

    The order matters: a child forked while we look either has a parent that is
    already a member, or is found by looking again. A process that ends before
    it is a member leaves an entry that nothing would remove: so look once more.
    """
    if isinstance(membership, Everyone):
        return
    if follows(membership):
        for tracepoint, function in _HOOKS.items():
            try:
                program.attach_raw_tracepoint(tp=tracepoint.encode(), fn_name=function.encode())
            except Exception as error:
                raise TraceError(f"the kernel refuses the tracepoint {tracepoint}") from error
    table = program[b"roots" if in_other_namespace() else b"members"]
    if isinstance(membership, Command):
        table[ctypes.c_uint32(membership.pid)] = ctypes.c_uint8(_PENDING)
        return
    new = set(membership.pids)
    known: set[int] = set()
    while new:
        for pid in new:
            table[ctypes.c_uint32(pid)] = ctypes.c_uint8(_ACTIVE)
            if not is_alive(pid):
                table.pop(ctypes.c_uint32(pid), None)
        known |= new
        new = descendants(known) - known if membership.follow else set()
    for pid in membership.pids:
        check_process(pid)


def check_process(pid: int) -> None:
    """TargetError unless pid is a living process, and not one of its other threads."""
    fields = _status(pid)
    if not is_alive(pid):
        raise TargetError(f"there is no process {pid}")
    tgid = int(fields.get("Tgid", pid))
    if tgid != pid:
        raise TargetError(f"{pid} is a thread of process {tgid}", next_step=f"use -p {tgid}")


def is_alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    return _status(pid).get("State", "X")[0] not in "ZX"


def _status(pid: int) -> dict[str, str]:
    """The fields of /proc/PID/status, none when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def descendants(pids: Iterable[int]) -> set[int]:
    """The living processes that descend from any of pids, by the parents that /proc shows."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_bytes()
            except OSError:
                continue
            parent = int(stat[stat.rindex(b")") + 2 :].split()[1])
            children.setdefault(parent, []).append(int(entry))
    found: set[int] = set()
    queue = list(pids)
    while queue:
        for child in children.get(queue.pop(), ()):
            if child not in found:
                found.add(child)
                queue.append(child)
    return found


def remaining(program: Any) -> int:
    """How many traced processes are alive (only where they are followed)."""
    return sum(1 for _ in program[b"members"])


def lost(program: Any) -> int:
    """Children that could not be followed because MOST_MEMBERS were alive."""
    return int(program[b"members_lost"][ctypes.c_int(0)].value)
