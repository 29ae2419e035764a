"""Where the running kernel keeps a member of a structure: its own BTF tells.

Source: Documentation/bpf/btf.rst, include/uapi/linux/btf.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from symprobe.errors import TraceError

KERNEL_BTF = "/sys/kernel/btf/vmlinux"
_MAGIC = 0xEB9F
_STRUCT = 4
_FUNC = 12
_KIND_FLAG = 1 << 31
_WORDS_AFTER = {1: 1, 3: 3, 14: 1, 17: 1}
"""INT, ARRAY, VAR, DECL_TAG: words behind the three that every type has."""
_WORDS_PER_ITEM = {4: 3, 5: 3, 6: 2, 13: 2, 15: 3, 19: 3}
"""STRUCT, UNION, ENUM, FUNC_PROTO, DATASEC, ENUM64: words for each of vlen items."""


def member_offsets(wanted: Iterable[str], path: str = KERNEL_BTF) -> dict[str, int]:
    """Byte offsets of members written as `struct.member`, in the order asked.

    TraceError when the kernel has no BTF or lacks one of the members.
    """
    names = list(wanted)
    by_struct: dict[str, list[str]] = {}
    for name in names:
        structure, _, member = name.partition(".")
        by_struct.setdefault(structure, []).append(member)
    found: dict[str, int] = {}
    with _reading(path) as data:
        _search(data, by_struct, found)
    return _all_of(names, found, path)


def function_ids(wanted: Iterable[str], path: str = KERNEL_BTF) -> dict[str, int]:
    """The numbers of kernel functions among the types. TraceError as for member_offsets()."""
    names = list(wanted)
    found: dict[str, int] = {}
    with _reading(path) as data:
        strings, words = _sections(data)
        at_name = {strings.find(b"\0%s\0" % name.encode()) + 1: name for name in names}
        for number, kind, at in _types(words):
            if kind == _FUNC and (name_at := words[at]) in at_name:
                found[at_name[name_at]] = number
                if len(found) == len(names):
                    break
    return _all_of(names, found, path)


@contextmanager
def _reading(path: str) -> Iterator[bytes]:
    """The bytes of the kernel's BTF. TraceError when there are none, or they make no sense."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise TraceError(f"the kernel has no BTF ({error.strerror})", file=path) from error
    try:
        yield data
    except (struct.error, IndexError, ValueError) as error:
        raise TraceError("the kernel's BTF can't be read", file=path) from error


def _all_of(names: list[str], found: dict[str, int], path: str) -> dict[str, int]:
    missing = [name for name in names if name not in found]
    if missing:
        raise TraceError(f"the kernel's BTF does not tell {', '.join(missing)}", file=path)
    return {name: found[name] for name in names}


def _sections(data: bytes) -> tuple[bytes, memoryview[int]]:
    """The strings, and the types as words of 32 bits."""
    magic, _, _, header, type_at, type_size, str_at, str_size = struct.unpack_from(
        "=HBBIIIII", data
    )
    if magic != _MAGIC:
        raise ValueError("not BTF of this byte order")
    strings = data[header + str_at : header + str_at + str_size]
    return strings, memoryview(data)[header + type_at : header + type_at + type_size].cast("I")


def _types(words: memoryview[int]) -> Iterator[tuple[int, int, int]]:
    """Each type's number, kind and place among the words."""
    at, number, end = 0, 1, len(words)
    while at < end:
        info = words[at + 1]
        kind = info >> 24 & 0x1F
        yield number, kind, at
        at += 3 + _WORDS_AFTER.get(kind, 0) + _WORDS_PER_ITEM.get(kind, 0) * (info & 0xFFFF)
        number += 1


def _search(data: bytes, by_struct: dict[str, list[str]], found: dict[str, int]) -> None:
    """Walk the types; add `struct.member` -> offset for the structures asked for."""
    strings, words = _sections(data)
    wanted = {strings.index(b"\0%s\0" % name.encode()) + 1: name for name in by_struct}
    pending = len(wanted)
    for _, kind, at in _types(words):
        name_at, info = words[at], words[at + 1]
        count = info & 0xFFFF
        if kind == _STRUCT and count and name_at in wanted:
            name = wanted[name_at]
            for member in by_struct[name]:
                bitfields = bool(info & _KIND_FLAG)
                offset = _member(strings, words, at + 3, count, bitfields, member)
                if offset is not None:
                    found[f"{name}.{member}"] = offset
            pending -= 1
            if not pending:
                return


def _member(
    strings: bytes, words: memoryview[int], at: int, count: int, bitfields: bool, member: str
) -> int | None:
    """The byte offset of one member; its words are name, type, offset in bits."""
    name = member.encode() + b"\0"
    for place in range(at, at + 3 * count, 3):
        name_at, _, bits = words[place], words[place + 1], words[place + 2]
        if strings.startswith(name, name_at):
            return (bits & 0xFFFFFF if bitfields else bits) // 8
    return None
