"""The few bpf(2) commands that BCC does not wrap, as functions on file descriptors.

Source: bpf(2) and the kernel's include/uapi/linux/bpf.h (union bpf_attr), which is stable ABI.
Every failure is an OSError with the kernel's errno.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from array import array
from collections.abc import Sequence

MAP_LOOKUP_ELEM = 1
MAP_LOOKUP_BATCH = 24
PROG_LOAD = 5
RAW_TRACEPOINT_OPEN = 17
LINK_CREATE = 28

PROG_TYPE_KPROBE = 2
ATTACH_UPROBE_MULTI = 48
ATTACH_UPROBE_SESSION = 57
LINK_UPROBE_MULTI_RETURN = 1
F_SLEEPABLE = 1 << 4

ENOTSUPP = 524
"""The kernel's own errno for an instruction that a uprobe can't replace (no errno.h has it)."""

_SYSCALL_NUMBER = {"x86_64": 321, "aarch64": 280}
"""__NR_bpf: arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h."""

_libc = ctypes.CDLL(None, use_errno=True)


class _Attr:
    """A union bpf_attr under construction, and the buffers that its pointers point to."""

    def __init__(self, layout: str, *values: int) -> None:
        self.bytes = ctypes.create_string_buffer(struct.pack(layout, *values), 160)

    def unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(layout, self.bytes, offset)


def _bpf(command: int, attr: _Attr) -> int:
    number = _SYSCALL_NUMBER.get(platform.machine())
    if number is None:
        raise OSError(38, f"bpf(2) is not known on {platform.machine()}")
    result = int(_libc.syscall(number, command, attr.bytes, len(attr.bytes)))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def link_uprobes(
    program: int,
    path: bytes,
    offsets: Sequence[int],
    cookies: Sequence[int],
    *,
    at_return: bool = False,
    pid: int = 0,
    attach_type: int = ATTACH_UPROBE_MULTI,
) -> int:
    """One link for all offsets of the file at path; the new link's file descriptor.

    cookies[i] is what bpf_get_attach_cookie() gives the program at offsets[i].
    pid: only the threads of that process, 0 for every process.  The kernel
    answers ENOTSUPP when one instruction can't be probed, without saying which.
    """
    name = ctypes.create_string_buffer(path)
    places = array("Q", offsets)
    labels = array("Q", cookies)
    attr = _Attr(
        "=IIIIQQQQIII",
        program,
        0,
        attach_type,
        0,
        ctypes.addressof(name),
        places.buffer_info()[0],
        0,
        labels.buffer_info()[0],
        len(places),
        LINK_UPROBE_MULTI_RETURN if at_return else 0,
        pid,
    )
    return _bpf(LINK_CREATE, attr)


def open_raw_tracepoint(name: bytes, program: int) -> int:
    """Run a program at a tracepoint until the file descriptor returned is closed.

    BCC has this too, but for one program a tracepoint only.
    """
    text = ctypes.create_string_buffer(name)
    return _bpf(RAW_TRACEPOINT_OPEN, _Attr("=QI", ctypes.addressof(text), program))


_NOTHING = bytes.fromhex("b700000000000000 9500000000000000")
"""return 0"""


def load_nothing(attach_type: int = 0) -> int:
    """Load the smallest program of a type, to learn what is allowed: its file descriptor."""
    return load_program(_NOTHING, attach_type=attach_type)


def load_program(code: bytes, *, attach_type: int = 0, sleepable: bool = False) -> int:
    """Load a program of type kprobe, instructions of 8 bytes each: its file descriptor.

    sleepable: it may wait for pages (of uprobe_multi links only).

    Layout: prog_type, insn_cnt, insns, license, log_level, log_size, log_buf,
    kern_version, prog_flags, prog_name[16], prog_ifindex, expected_attach_type.
    """
    program = ctypes.create_string_buffer(code, len(code))
    gpl = ctypes.create_string_buffer(b"GPL")
    attr = _Attr(
        "=IIQQIIQII16xII",
        PROG_TYPE_KPROBE,
        len(code) // 8,
        ctypes.addressof(program),
        ctypes.addressof(gpl),
        0,
        0,
        0,
        0,
        F_SLEEPABLE if sleepable else 0,
        0,
        attach_type,
    )
    return _bpf(PROG_LOAD, attr)


def lookup(map_fd: int, key: bytes, value_size: int) -> bytes:
    """The value of one key. FileNotFoundError when there is none."""
    name = ctypes.create_string_buffer(key, len(key))
    value = ctypes.create_string_buffer(value_size)
    _bpf(
        MAP_LOOKUP_ELEM,
        _Attr("=I4xQQQ", map_fd, ctypes.addressof(name), ctypes.addressof(value), 0),
    )
    return value.raw


def lookup_all(map_fd: int, key_size: int, value_size: int, most: int) -> tuple[bytes, bytes]:
    """Every entry of a map in as few calls as the kernel allows: the keys, the values.

    value_size: bytes for one key, for a per-CPU map 8-byte slots times possible
    CPUs.  OSError when the map has no batch operations (kernel < 5.6).
    """
    keys = ctypes.create_string_buffer(key_size * most)
    values = ctypes.create_string_buffer(value_size * most)
    cursor = ctypes.create_string_buffer(8)
    following = ctypes.create_string_buffer(8)
    found = 0
    while found < most:
        attr = _Attr(
            "=QQQQIIQQ",
            ctypes.addressof(cursor) if found else 0,
            ctypes.addressof(following),
            ctypes.addressof(keys) + found * key_size,
            ctypes.addressof(values) + found * value_size,
            most - found,
            map_fd,
            0,
            0,
        )
        try:
            _bpf(MAP_LOOKUP_BATCH, attr)
        except FileNotFoundError:  # the end of the map
            found += attr.unpack("=I", 32)[0]
            break
        found += attr.unpack("=I", 32)[0]
        cursor.raw = following.raw
    return keys.raw[: found * key_size], values.raw[: found * value_size]


def recursion_misses(program: int) -> int | None:
    """Hits that the kernel did not pass to the program, None where it does not count them.

    Source: /proc/self/fdinfo of a program, kernel/bpf/syscall.c bpf_prog_show_fdinfo().
    """
    with open(f"/proc/self/fdinfo/{program}", encoding="ascii") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name == "recursion_misses":
                return int(value)
    return None
