"""The constants in a loader's own file, and what `$ORIGIN` and others make of a path."""

from __future__ import annotations

from collections.abc import Iterator

from symprobe.loader.constants import constants_in
from symprobe.loader.machine import Machine

LONGEST = 2048
_MACHINES = (Machine(64, False, 62), Machine(32, True, 8))


def seeds() -> Iterator[bytes]:
    yield (
        b"\0/lib64/\0/usr/lib64/\0\0/etc/ld.so.cache\0/etc/ld.so.preload\0lib64\0"
        b"x86-64-v4:x86-64-v3:x86-64-v2\0\0stable release version 2.36.\n\0"
    )
    yield b"musl libc (x86_64)\0%.*s/etc/ld-musl-x86_64.path\0/lib:/usr/local/lib:/usr/lib\0"


def check(data: bytes) -> None:
    for machine in _MACHINES:
        constants_in(data, machine, ("/lib/", "/usr/lib/"))
