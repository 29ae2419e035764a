"""The C text of the BPF program, put together from the files in bpf/."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_FILES = Path(__file__).parent / "bpf"


@dataclass(frozen=True)
class BpfPart:
    """Some files of bpf/, in order, and the macros that they read."""

    files: tuple[str, ...]
    defines: tuple[tuple[str, object], ...]


def assemble(parts: Iterable[BpfPart], slots: Iterable[int] | None) -> str:
    """One program. The parts define traced() and hit(context, slot), in this order.

    slots None: one function, on_entry, that learns its slot from the link's
    cookie. Else one function a slot, on_entry_N, for probes without cookies.
    """
    chosen = list(parts)
    lines = ["#include <linux/ptrace.h>"]
    lines += [f"#define {name} {value}" for each in chosen for name, value in each.defines]
    lines += [(_FILES / name).read_text(encoding="ascii") for each in chosen for name in each.files]
    if slots is None:
        lines.append((_FILES / "cookie.c").read_text(encoding="ascii"))
    else:
        lines += [
            f"int on_entry_{slot}(struct pt_regs *ctx) {{ return hit(ctx, {slot}); }}"
            for slot in slots
        ]
    return "\n".join(lines)
