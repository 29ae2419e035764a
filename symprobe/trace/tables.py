"""Reading BPF maps: every entry in one go, the cells of all CPUs added up."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from symprobe.trace.bpfcall import lookup_all


def possible_cpus(path: str = "/sys/devices/system/cpu/possible") -> int:
    """How many values a per-CPU map holds for a key: the CPUs of a list such as `0-3,8-11`."""
    ranges = (part.split("-") for part in Path(path).read_text(encoding="ascii").split(","))
    return sum(int(each[-1]) - int(each[0]) + 1 for each in ranges)


def entries(table: Any, key_size: int, value_size: int, most: int) -> Iterator[tuple[bytes, bytes]]:
    """Each key of a map with its value, both as bytes; most: the map's size in entries.

    value_size: of a per-CPU map all CPUs' values together, each a multiple of 8 bytes.
    """
    try:
        keys, values = lookup_all(table.map_fd, key_size, value_size, most)
    except OSError:  # no batch operations (kernel < 5.13 for arrays): one key at a time
        for key in table:
            leaf = table[key]
            yield bytes(key), b"".join(map(bytes, leaf)) if isinstance(leaf, list) else bytes(leaf)
        return
    yield from zip(
        (key for (key,) in struct.iter_unpack(f"{key_size}s", keys)),
        (value for (value,) in struct.iter_unpack(f"{value_size}s", values)),
        strict=True,
    )


def per_cpu(
    table: Any, key_size: int, words: int, most: int
) -> Iterator[tuple[bytes, list[tuple[int, ...]]]]:
    """Each key of a per-CPU map with each CPU's value as `words` numbers of 64 bits."""
    one = struct.Struct(f"={words}Q")
    for key, value in entries(table, key_size, one.size * possible_cpus(), most):
        yield key, list(one.iter_unpack(value))


def sums(table: Any, key_size: int, most: int) -> list[tuple[bytes, int]]:
    """Each key of a per-CPU map of u64 with the sum over the CPUs."""
    cpus = possible_cpus()
    found = list(entries(table, key_size, 8 * cpus, most))
    cells = array("Q", b"".join([value for _, value in found]))
    totals = map(sum, zip(*(cells[cpu::cpus] for cpu in range(cpus)), strict=True))
    return [(key, total) for (key, _), total in zip(found, totals, strict=True)]


def counters(table: Any, size: int) -> list[int]:
    """The sums of a per-CPU array of u64."""
    return [total for _, total in sums(table, 4, size)]
