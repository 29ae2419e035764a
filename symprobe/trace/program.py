"""The C text of the BPF program, put together from the files in bpf/."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from symprobe.model import TextEnum

_FILES = Path(__file__).parent / "bpf"


class Probes(TextEnum):
    """Which moments of a call a program sees."""

    ENTRIES = "entries"
    BOTH = "entries and returns"
    SESSION = "session"
    """Both, by one link that keeps a note of each call (kernel >= 6.13)."""


_WITH_COOKIES = {
    Probes.ENTRIES: ("cookie.c",),
    Probes.BOTH: ("cookie.c", "cookie_return.c"),
    Probes.SESSION: ("session.c",),
}


@dataclass(frozen=True)
class BpfPart:
    """Some files of bpf/, in order, the macros that they read, and C text made for this run."""

    files: tuple[str, ...]
    defines: tuple[tuple[str, object], ...]
    text: str = ""


def assemble(parts: Iterable[BpfPart], probes: Probes, slots: Iterable[int] | None) -> str:
    """One program. The parts define traced(), hit(context, slot) and, for returns, back().

    slots None: one function for all, that learns its slot from the link's cookie. Else one
    function a slot, on_entry_N and on_return_N, for probes without cookies.
    """
    chosen = list(parts)
    lines = ["#include <linux/ptrace.h>"]
    lines += [f"#define {name} {value}" for each in chosen for name, value in each.defines]
    if probes is not Probes.ENTRIES:
        lines.append("#define RETURNS 1")
    for each in chosen:
        lines += [(_FILES / name).read_text(encoding="ascii") for name in each.files]
        lines.append(each.text)
    if slots is None:
        lines += [(_FILES / name).read_text(encoding="ascii") for name in _WITH_COOKIES[probes]]
        return "\n".join(lines)
    for slot in slots:
        enter = f"on_entry_{slot}(struct pt_regs *ctx) {{ hit(ctx, {slot}); return 0; }}"
        leave = f"on_return_{slot}(struct pt_regs *ctx) {{ back(ctx, {slot}); return 0; }}"
        lines += [f"int {enter}", *([] if probes is Probes.ENTRIES else [f"int {leave}"])]
    return "\n".join(lines)
