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


@dataclass(frozen=True)
class Linked:
    """One program on one kind of link.  slots: only the sites with lower ones."""

    program: int
    pid: int = 0
    attach_type: int = bpfcall.ATTACH_UPROBE_MULTI
    at_return: bool = False
    slots: int = 1 << 32

    def create(self, file: OpenFile, sites: Sequence[Site]) -> int:
        """The link's file descriptor."""
        return bpfcall.link_uprobes(
            self.program,
            file.sure_path.encode(),
            [site.offset for site in sites],
            [site.slot for site in sites],
            pid=self.pid,
            attach_type=self.attach_type,
            at_return=self.at_return,
        )


def link_all(wanted: Sequence[Linked], files: Sequence[OpenFile]) -> Links:
    """For each of the programs one link a file, with each site's slot as its cookie."""
    with _undone_on_error() as links:
        for file in files:
            with mapped(file):
                for linked in wanted:
                    sites = [site for site in file.sites if site.slot < linked.slots]
                    for start in range(0, len(sites), MOST_SITES):
                        _link(linked, file, sites[start : start + MOST_SITES], links)
    return links


def _link(linked: Linked, file: OpenFile, sites: Sequence[Site], links: Links) -> None:
    """A link for the sites, less those that the kernel turns out to refuse."""
    known = {refused.slot for refused in links.refused}
    sites = [site for site in sites if site.slot not in known]
    if not sites:
        return

    def create(part: Sequence[Site]) -> int:
        return linked.create(file, part)

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


def probe_each(
    program: Any, files: Sequence[OpenFile], pid: int = -1, *, returns_below: int = 0
) -> Links:
    """A perf event for each site, on the function on_entry_SLOT of program.

    returns_below: sites of lower slots get one on on_return_SLOT as well.
    """
    with _undone_on_error() as links:
        for file in files:
            with mapped(file):
                for site in file.sites:
                    try:
                        if site.slot < returns_below:
                            links.fds.append(_perf_event(program, file, site, pid, at_return=True))
                        links.fds.append(_perf_event(program, file, site, pid))
                    except OSError as error:
                        if error.errno in _ABOUT_US:
                            what = f"can't be probed: {explain(error)}"
                            raise TraceError(what, file=file.path.shown) from error
                        links.refused.append(_refused(file, site))
    return links


def _perf_event(
    program: Any, file: OpenFile, site: Site, pid: int, *, at_return: bool = False
) -> int:
    end = "return" if at_return else "entry"
    function = bccload.load_function(program, f"on_{end}_{site.slot}", program.KPROBE)
    name = f"symprobe_{end}_{os.getpid()}_{site.slot}".encode()
    # libbcc takes the offset of a reference counter as well, which the Python side of 0.26 does
    # not declare and leaves to chance; to a libbcc without it one argument more does no harm
    no_counter = ctypes.c_uint32(0)
    attach = bccload.load().lib.bpf_attach_uprobe
    with bccload.captured_stderr():
        fd = attach(
            function.fd, int(at_return), name, file.sure_path.encode(), site.offset, pid, no_counter
        )
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
