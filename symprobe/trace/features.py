"""What this kernel can do, found by trying it: never by its version."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from symprobe.errors import TraceError
from symprobe.trace import bpfcall


@dataclass(frozen=True)
class Features:
    """uprobe_multi: one link for many probes (kernel >= 6.6).

    session: such a link for both ends of calls (kernel >= 6.13).
    """

    uprobe_multi: bool
    session: bool = False


def probe() -> Features:
    """Try what can be tried without touching any process. TraceError: BPF itself is refused."""
    try:
        os.close(bpfcall.load_nothing())
    except OSError as error:
        raise TraceError(f"the kernel refuses BPF programs: {explain(error)}") from error
    return Features(
        uprobe_multi=_takes_links(bpfcall.ATTACH_UPROBE_MULTI),
        session=_takes_links(bpfcall.ATTACH_UPROBE_SESSION),
    )


def _takes_links(attach_type: int) -> bool:
    """Whether the kernel knows this kind of link: it then objects to probing a directory, EBADF."""
    try:
        program = bpfcall.load_nothing(attach_type=attach_type)
    except OSError:
        return False
    try:
        os.close(bpfcall.link_uprobes(program, b"/", [0], [0], attach_type=attach_type))
    except OSError as error:
        return error.errno == errno.EBADF
    finally:
        os.close(program)
    return True


def explain(error: OSError) -> str:
    """The errno of bpf(2) or perf_event_open(2) as a reader needs it."""
    if error.errno in (errno.EPERM, errno.EACCES):
        return "it takes root, or CAP_BPF and CAP_PERFMON"
    if error.errno == errno.ENOSYS:
        return "it has none (CONFIG_BPF_SYSCALL)"
    return error.strerror or f"errno {error.errno}"
