"""Loading programs for links, and the two questions to the kernel that BCC's compiler can't put.

A session link (kernel 6.13) runs one program at both ends of a call and keeps eight bytes
between them. The program asks bpf_session_is_return() and bpf_session_cookie(), kfuncs, which are
called by the number that the kernel's BTF gives them; BCC 0.26 compiles only calls of helpers. So
the C text calls helpers that do not exist: the calls are replaced before the kernel sees them.

Source: include/uapi/linux/bpf.h (BPF_PSEUDO_KFUNC_CALL), kernel/trace/bpf_trace.c.
"""

from __future__ import annotations

import os
import struct
from typing import Any

from symprobe.errors import TraceError
from symprobe.trace import bccload, bpfcall
from symprobe.trace.btf import function_ids

PLACEHOLDERS = {"SESSION_IS_RETURN": 9001, "SESSION_COOKIE": 9002}
"""The macros of the C text, and the helper numbers that stand for the kfuncs."""
_KFUNCS = {9001: "bpf_session_is_return", 9002: "bpf_session_cookie"}
_CALL = 0x85
_PSEUDO_KFUNC_CALL = 2


def load(program: Any, name: str, attach_type: int, *, sleepable: bool = False) -> int:
    """Load a function of a compiled program for a kind of link: its file descriptor.

    sleepable: it may wait for pages. TraceError: the kernel refuses it.
    """
    code = program.dump_func(name.encode())
    if attach_type == bpfcall.ATTACH_UPROBE_SESSION:
        code = _with_kfuncs(code, function_ids(_KFUNCS.values()))
    elif not sleepable:
        return int(os.dup(bccload.load_function(program, name, program.KPROBE, attach_type).fd))
    try:
        return bpfcall.load_program(code, attach_type=attach_type, sleepable=sleepable)
    except OSError as error:
        raise TraceError(f"the kernel refuses the BPF program {name}: {error.strerror}") from error


def _with_kfuncs(code: bytes, numbers: dict[str, int]) -> bytes:
    """The instructions (8 bytes each: opcode, registers, offset, immediate) with calls replaced."""
    instructions = []
    for opcode, registers, offset, immediate in struct.iter_unpack("=BBhi", code):
        if opcode == _CALL and registers == 0 and immediate in _KFUNCS:
            kfunc = numbers[_KFUNCS[immediate]]
            instructions.append(struct.pack("=BBhi", opcode, _PSEUDO_KFUNC_CALL << 4, 0, kfunc))
        else:
            instructions.append(struct.pack("=BBhi", opcode, registers, offset, immediate))
    return b"".join(instructions)
