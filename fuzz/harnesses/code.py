"""Machine code of a function, as `--exact-entry` and the choice of a probe's place read it."""

from __future__ import annotations

from collections.abc import Iterator

from symprobe.model import VAddr
from symprobe.resolve import branches, instructions

LONGEST = 256
_MACHINES = ("x86_64", "i386", "i686", "aarch64", "s390x")


def seeds() -> Iterator[bytes]:
    yield from map(
        bytes.fromhex,
        (
            "f30f1efa554889e5b82a0000005dc3", "4883ec08e8000000004883c408c3", "c5f877c3", "0f05",
            "f3a4c3", "4190c3", "fd7bbfa9fd030091c0035fd6", "62f17c4828c1c3", "ebfe7402",
            "ff25e22f0000680000000000e9e0ffffff", "6666662e0f1f840000000000",
        ),
    )  # fmt: skip


def check(data: bytes) -> None:
    for machine in _MACHINES:
        instructions.refused(data, machine)
        instructions.unsafe(data, machine)
        instructions.entry_cost(data, machine)
    point = instructions.cheap_point(data, "x86_64")
    if point is not None:
        assert 0 <= point < len(data)
        branches.unshared([(0x1000, data * 2)], {VAddr(0x1000): point}, ())
    instructions.on_boundary(data, len(data) // 2, "x86_64")
