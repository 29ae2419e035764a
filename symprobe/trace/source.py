"""The whole C text of a trace's BPF program: who, what is counted, what is looked at besides."""

from __future__ import annotations

from collections.abc import Iterable

from symprobe.trace import kfunc, members
from symprobe.trace.counts import CallCounter
from symprobe.trace.members import Membership
from symprobe.trace.mode import MOST_CALLS, Mode, OnlyCalls, Setting
from symprobe.trace.program import BpfPart, Probes, assemble
from symprobe.trace.where import Where


def source(
    who: Membership,
    counter: CallCounter,
    setting: Setting,
    mode: Mode | None = None,
    where: Where | None = None,
    probes: Probes = Probes.ENTRIES,
    slots: Iterable[int] | None = None,
) -> str:
    """The parts in the order in which each needs the ones before.  slots: as in assemble()."""
    mode = OnlyCalls() if mode is None else mode
    where = Where() if where is None else where
    # Only to count is the most frequent wish: compiled in half the time without the other parts,
    # and the same whatever is a function and what the mark of a file.
    looks = probes is not Probes.ENTRIES or type(mode) is not OnlyCalls or where != Where()
    defines: list[tuple[str, object]] = [
        ("TARGETS", setting.targets if looks else counter.slots),
        ("CONDITIONAL", mode.conditional(setting.targets if looks else counter.slots)),
        ("MOST_CALLS", MOST_CALLS),
        *kfunc.PLACEHOLDERS.items(),
    ]
    if setting.sleepable:
        defines.append(("SLEEPABLE", 1))
    if setting.carry:
        defines.append(("CARRY", 1))
    if where.at_entry:
        defines.append(("WHERE_ENTRY", where.at_entry))
    if where.at_return:
        defines.append(("WHERE_RETURN", where.at_return))
    whole = "only_entries.c" if probes is Probes.ENTRIES else "entries_and_returns.c"
    parts = (
        members.part(who),
        counter.part(),
        BpfPart(("arguments.c",) if looks else (), tuple(defines), where.functions),
        mode.part(setting),
        BpfPart((whole,), ()),
    )
    return assemble(parts, probes, slots)
