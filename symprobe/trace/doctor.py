"""Can this machine trace: each requirement, what was found, and what mends it.

What can be tried is tried; files under /proc and /sys only explain a failure.
"""

from __future__ import annotations

import ctypes
import gzip
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from symprobe.errors import SymprobeError
from symprobe.model import FileOffset, FilePath, VAddr
from symprobe.probe import ProbeTarget
from symprobe.process import mappings
from symprobe.trace import bccload, bpfcall, btf, features, members, privileges
from symprobe.trace.counts import CallCounter
from symprobe.trace.mode import Setting
from symprobe.trace.session import Tracer
from symprobe.trace.source import source

CONFIGURATION = ("BPF_SYSCALL", "PERF_EVENTS", "UPROBES", "UPROBE_EVENTS", "BPF_EVENTS")
TRIAL_CALLS = 23
"""A prime number of calls: no other count comes out as this one by accident."""


@dataclass(frozen=True)
class Check:
    """required: nothing can be traced without it.  fix: empty when there is nothing to mend."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    required: bool = True


def examine() -> Iterator[Check]:
    """All checks, in the order in which they should be mended."""
    yield _machine()
    permission = _permission()
    yield permission
    bpf = _bpf()
    yield bpf
    yield _configuration(platform.release())
    yield _lockdown(Path("/sys/kernel/security/lockdown"))
    yield _btf()
    yield _uprobe_multi()
    bcc = _bcc()
    yield bcc
    if permission.ok and bpf.ok and bcc.ok:
        yield _compiler()
        yield _trial()
    else:
        yield Check("trial", False, "not tried", "mend what fails above")
    yield _mounted("cgroup", "cgroup2", "processes are followed without cgroups")
    yield _mounted("tracefs", "tracefs", "no tracepoint is read from it")


def _machine() -> Check:
    machine = platform.machine()
    ok = machine in ("x86_64", "aarch64")
    fix = "" if ok else "trace on x86-64 or aarch64"
    return Check("machine", ok, f"{machine}, Linux {platform.release()}", fix)


def _permission() -> Check:
    lacking = privileges.missing(privileges.effective())
    if lacking:
        fix = "run symprobe with sudo, or give the process CAP_BPF and CAP_PERFMON"
        return Check("permission", False, f"user {os.geteuid()}, without {lacking}", fix)
    return Check("permission", True, f"user {os.geteuid()}, with the capabilities to trace")


def _bpf() -> Check:
    try:
        os.close(bpfcall.load_nothing())
    except OSError as error:
        fix = "run as root; in a container, let it call bpf(2): docker run --privileged"
        return Check("bpf", False, f"refused: {features.explain(error)}", fix)
    return Check("bpf", True, "a program was loaded")


def _configuration(release: str) -> Check:
    """The kernel's build options, where the kernel tells them."""
    for path in (Path("/proc/config.gz"), Path(f"/boot/config-{release}")):
        try:
            data = path.read_bytes()
            text = gzip.decompress(data) if path.suffix == ".gz" else data
        except (OSError, EOFError):
            continue
        lines = set(text.decode("utf-8", "replace").splitlines())
        lacking = [name for name in CONFIGURATION if f"CONFIG_{name}=y" not in lines]
        if lacking:
            names = ", ".join(f"CONFIG_{name}" for name in lacking)
            return Check("kernel", False, f"{path}: without {names}", "use a kernel built with it")
        return Check("kernel", True, f"{path}: has {', '.join(CONFIGURATION)}")
    return Check("kernel", True, "does not tell how it was built", required=False)


def _lockdown(path: Path) -> Check:
    """Source: kernel_lockdown(7). Confidentiality forbids BPF programs to read kernel memory."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return Check("lockdown", True, "none", required=False)
    chosen = text.partition("[")[2].partition("]")[0]
    if chosen == "confidentiality":
        fix = "boot with lockdown=integrity or none (Secure Boot may have turned it on)"
        return Check("lockdown", False, chosen, fix)
    return Check("lockdown", True, chosen or text)


def _btf() -> Check:
    try:
        btf.member_offsets(["task_struct.tgid"])
    except SymprobeError as error:
        fix = "use a kernel built with CONFIG_DEBUG_INFO_BTF, or do without children: --no-follow"
        return Check("btf", False, error.what, fix, required=False)
    return Check("btf", True, f"{btf.KERNEL_BTF}: children can be followed", required=False)


def _uprobe_multi() -> Check:
    try:
        available = features.probe().uprobe_multi
    except SymprobeError as error:
        return Check("uprobe_multi", False, error.what, "see above", required=False)
    if available:
        return Check("uprobe_multi", True, "one link for all probes of a file", required=False)
    fix = "use Linux 6.6 or newer; without it each probe takes 0.1 s to remove"
    return Check("uprobe_multi", False, "this kernel does not have it", fix, required=False)


def _bcc() -> Check:
    try:
        module = bccload.load()
    except SymprobeError as error:
        return Check("bcc", False, error.what, error.next_step)
    version = getattr(module, "__version__", "of unknown version")
    return Check("bcc", True, f"{version}, {os.path.dirname(module.__file__)}")


def _compiler() -> Check:
    text = source(members.Everyone(), CallCounter(1), Setting(1))
    try:
        bccload.compile_program(text).cleanup()
    except SymprobeError as error:
        return Check("compiler", False, error.what, "reinstall BCC, see above")
    return Check("compiler", True, "BCC compiles without kernel headers")


def _trial() -> Check:
    """Count calls of our own: the proof that all of it works together."""
    try:
        who = members.Processes((os.getpid(),), follow=False)
        with Tracer([_own_function()], who=who, exact_entry=True) as tracer:
            for _ in range(TRIAL_CALLS):
                os.getppid()
            counted = tracer.snapshot().calls
    except (SymprobeError, OSError) as error:
        return Check("trial", False, str(error), "mend what fails above")
    ok = counted == TRIAL_CALLS
    fix = "" if ok else "report it with the output of 'symprobe doctor --json'"
    return Check("trial", ok, f"{counted} of {TRIAL_CALLS} calls counted", fix)


def _own_function() -> ProbeTarget:
    """getppid of the C library that we ourselves run with."""
    function = ctypes.CDLL(None).getppid
    address = ctypes.cast(function, ctypes.c_void_p).value or 0
    place = next(each for each in mappings(os.getpid()) if each.start <= address < each.end)
    status = os.stat(place.path)
    return ProbeTarget(
        file=FilePath.plain(place.path),
        inode=(status.st_dev, status.st_ino),
        build_id=None,
        offset=FileOffset(address - place.start + place.offset),
        vaddr=VAddr(0),
        names=("getppid",),
        demangled=("getppid",),
        kind="func",
        size=0,
    )


def _mounted(name: str, filesystem: str, unneeded: str) -> Check:
    """Where a file system is mounted: for information, symprobe needs neither of them."""
    for line in Path("/proc/self/mounts").read_text(errors="replace").splitlines():
        fields = line.split(" ")
        if len(fields) > 2 and fields[2] == filesystem:
            return Check(name, True, f"{fields[1]} (not needed: {unneeded})", required=False)
    return Check(name, True, f"not mounted (not needed: {unneeded})", required=False)
