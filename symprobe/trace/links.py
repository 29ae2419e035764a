"""Putting the probes in, and taking them out.

Two engines: one link a file for all its probes (uprobe_multi, kernel >= 6.6),
else BCC's probe by perf event, one each. Both belong to file descriptors: when
this process ends, however it ends, the kernel removes every probe.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from symprobe.errors import TraceError
from symprobe.model import TextEnum
from symprobe.resolve.instructions import refused
from symprobe.trace import bccload, bpfcall
from symprobe.trace.features import explain
from symprobe.trace.refused import find_refused
from symprobe.trace.sites import OpenFile, Site, mapped

MOST_SITES = 1 << 20
"""MAX_UPROBE_MULTI_CNT of kernel/trace/bpf_trace.c: the probes of one link."""

SECONDS_TO_DETACH = 0.1
"""What a perf event's probe takes to be removed (measured on Linux 6.18: 0.11 s)."""

_ABOUT_THE_SITE = {bpfcall.ENOTSUPP, errno.EINVAL, errno.ENOEXEC, errno.EIO}
"""The kernel's answers to a bad place; any other concerns the whole link."""
_ABOUT_US = {errno.EPERM, errno.EACCES, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""Failures of a perf event that have nothing to do with its place (of a bad one, libbcc leaves
the errno of another way that it tries next)."""


class Engine(TextEnum):
    """How probes are put in."""

    UPROBE_MULTI = "uprobe_multi"
    PERF_EVENT = "perf_event"


@dataclass(frozen=True)
class Refused:
    """A site that the kernel takes no probe on, and why."""

    slot: int
    detail: str


@dataclass
class Links:
    """Probes in place, until close()."""

    refused: list[Refused] = field(default_factory=list)
    fds: list[int] = field(default_factory=list)

    def close(self) -> None:
        """Take the probes out (0.16 s for 34,000 by links, about 0.1 s each by perf events)."""
        while self.fds:
            os.close(self.fds.pop())


def link_all(function: Any, files: Sequence[OpenFile], pid: int = 0) -> Links:
    """One link a file for function, a loaded BCC function, with each site's slot as its cookie."""
    with _undone_on_error() as links:
        for file in files:
            with mapped(file):
                for start in range(0, len(file.sites), MOST_SITES):
                    _link(function.fd, file, file.sites[start : start + MOST_SITES], pid, links)
    return links


def _link(program: int, file: OpenFile, sites: Sequence[Site], pid: int, links: Links) -> None:
    """A link for the sites, less those that the kernel turns out to refuse."""

    def create(part: Sequence[Site]) -> int:
        offsets, slots = [site.offset for site in part], [site.slot for site in part]
        return bpfcall.link_uprobes(program, file.sure_path.encode(), offsets, slots, pid=pid)

    def accepts(part: Sequence[Site]) -> bool:
        try:
            os.close(create(part))
        except OSError as error:
            if error.errno in _ABOUT_THE_SITE:
                return False
            raise
        return True

    try:
        try:
            links.fds.append(create(sites))
            return
        except OSError as error:
            if error.errno not in _ABOUT_THE_SITE:
                raise
        bad = find_refused(sites, accepts)
        links.refused += [_refused(file, site) for site in bad]
        slots = {site.slot for site in bad}
        rest = [site for site in sites if site.slot not in slots]
        if rest:
            links.fds.append(create(rest))
    except OSError as error:
        raise TraceError(f"can't be probed: {explain(error)}", file=file.path.shown) from error


def probe_each(program: Any, files: Sequence[OpenFile], pid: int = -1) -> Links:
    """A perf event for each site, on the function on_entry_SLOT of program."""
    with _undone_on_error() as links:
        for file in files:
            with mapped(file):
                for site in file.sites:
                    try:
                        links.fds.append(_perf_event(program, file, site, pid))
                    except OSError as error:
                        if error.errno in _ABOUT_US:
                            what = f"can't be probed: {explain(error)}"
                            raise TraceError(what, file=file.path.shown) from error
                        links.refused.append(_refused(file, site))
    return links


def _perf_event(program: Any, file: OpenFile, site: Site, pid: int) -> int:
    function = bccload.load_function(program, f"on_entry_{site.slot}", program.KPROBE)
    name = b"symprobe_%d_%d" % (os.getpid(), site.slot)
    # libbcc takes the offset of a reference counter as well, which the Python side of 0.26 does
    # not declare and leaves to chance; to a libbcc without it one argument more does no harm
    no_counter = ctypes.c_uint32(0)
    attach = bccload.load().lib.bpf_attach_uprobe
    with bccload.captured_stderr():
        fd = attach(function.fd, 0, name, file.sure_path.encode(), site.offset, pid, no_counter)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(fd)


def _refused(file: OpenFile, site: Site) -> Refused:
    """The reason as far as the bytes tell it; the kernel gives none."""
    code = file.first_bytes(site.offset)
    machine = platform.machine()
    if file.is_32_bit and machine == "x86_64":
        machine = "i386"
    reason = refused(code, machine)
    return Refused(site.slot, reason or f"the kernel takes no probe here: {code[:8].hex(' ')}")


@contextmanager
def _undone_on_error() -> Iterator[Links]:
    links = Links()
    try:
        yield links
    except BaseException:
        links.close()
        raise
