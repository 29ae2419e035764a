"""What this process may do: the capabilities that tracing takes.

Source: capabilities(7); /proc/self/status, CapEff.
"""

from __future__ import annotations

from pathlib import Path

from symprobe.errors import TraceError

CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 21, 38, 39


def effective() -> frozenset[int]:
    """The numbers of the effective capabilities."""
    status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            mask = int(value, 16)
            return frozenset(bit for bit in range(64) if mask >> bit & 1)
    return frozenset()


def missing(held: frozenset[int]) -> str:
    """What is missing to trace, as text; empty when nothing is."""
    if CAP_SYS_ADMIN in held or {CAP_BPF, CAP_PERFMON} <= held:
        return ""
    names = {CAP_BPF: "CAP_BPF", CAP_PERFMON: "CAP_PERFMON"}
    return " and ".join(name for bit, name in names.items() if bit not in held)


def need_permission() -> None:
    """TraceError unless this process may load BPF programs and put probes in."""
    lacking = missing(effective())
    if lacking:
        raise TraceError(
            f"tracing takes root, or CAP_BPF and CAP_PERFMON: it lacks {lacking}",
            next_step="run it with sudo, see 'symprobe doctor'",
        )
