"""Probe targets as other tools take them: `resolve --as bpftrace|perf|tracefs|bcc|gdb|systemtap`.

What is pasted where, and how each tool gets from there to the file offset:

bpftrace   a probe of a script, or of `bpftrace -e '…'` between single quotes (it holds none).
           A number that lies within a symbol is a link-time address, which goes by the
           symbol's name; any other number is, under --unsafe, a file offset (bpftrace 0.17 to
           0.26, attached_probe.cpp: resolve_offset_uprobe).
perf       a shell command. `0x…` is the file offset (perf 6.1, util/probe-event.c:
           try_to_find_absolute_address); the path goes through realpath(3).
tracefs    a line of /sys/kernel/tracing/uprobe_events (Documentation/trace/uprobetracer.rst), for
           `cat >>` and the like. White space, `#` and byte 0xa0 end the path.
bcc        a Python statement: `b` is the BPF object, `count` its function. addr is a link-time
           address, also of PIE and libraries (libbcc, bcc_syms.cc: bcc_resolve_symname).
gdb        commands for the prompt or a script (`gdb -x`); they need gdb's Python. The breakpoint
           is placed by /proc/PID/maps as soon as the file is mapped, at each run anew.
systemtap  a probe point of a script, or of `stap -e '…'` between single quotes. Addresses are
           link-time ones and need debug information, names the symbol table; the file offset is
           taken to be the address minus that of the first segment.

All lines are printable text. A path that a tool can't read is reached through a symbolic link.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

from symprobe.binary import Binary
from symprobe.model import FilePath, Kind, Symbol, TextEnum
from symprobe.probe import ProbeTarget
from symprobe.resolve.lookup import SymbolLookup

_BPFTRACE_NAME = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
"""Names that bpftrace attaches to: with a dot (`f.part.0`) it says "No probes to attach"."""
_STAP_NAME = re.compile(r"[A-Za-z_.$][\w.$]*", re.ASCII)
"""Names that mean themselves in function("…"): no wildcard, no `@FILE`, no quote."""


class Tool(TextEnum):
    """Whom a probe specification is for."""

    BPFTRACE = "bpftrace"
    PERF = "perf"
    TRACEFS = "tracefs"
    BCC = "bcc"
    GDB = "gdb"
    SYSTEMTAP = "systemtap"


class Emission(NamedTuple):
    """One target as one tool takes it.

    lines: what to paste, in the tool's language; none when the tool can't get to this place.
    before: commands for a shell (bash, zsh, ksh) to be run first, as root.
    note: what the reader must know, or why there are no lines; may be empty.
    """

    lines: tuple[str, ...]
    before: tuple[str, ...] = ()
    note: str = ""


def emit(target: ProbeTarget, tool: Tool) -> Emission:
    """The probe on this target's entry (`offset`, never `cheap_offset`) for a tool.

    Errors: FileError, NotElfError, MalformedError when the file, whose symbols bpftrace and
    systemtap go by, can't be read any more.
    """
    return emit_all([target], tool)[0]


def emit_all(targets: Iterable[ProbeTarget], tool: Tool) -> list[Emission]:
    """emit() for many targets: the symbols of each file are read once."""
    files: dict[FilePath, _File] = {}
    emissions = []
    for target in targets:
        if target.file not in files:
            files[target.file] = _File(target)
        emissions.append(_EMITTERS[tool](target, files[target.file]))
    return emissions


class _File:
    """What the tools see of one file."""

    def __init__(self, target: ProbeTarget) -> None:
        self.path = os.path.join(os.getcwd(), target.file.opened)
        self._file = target.file
        self._inode = target.inode
        self.link = f"/run/symprobe-{target.inode[1]}"
        self.make_link = f"ln -sfT -- {_shell(self.path)} {self.link}"

    @cached_property
    def real(self) -> str | None:
        """The path without symbolic links, for tools that resolve them; None where that leads
        to another file (out of a container, through /proc/PID/root) or to none (deleted)."""
        real = os.path.realpath(self.path)
        try:
            found = os.stat(real)
        except OSError:
            return None
        return real if (found.st_dev, found.st_ino) == self._inode else None

    @cached_property
    def binary(self) -> Binary:
        return Binary(self._file)

    @cached_property
    def symbols(self) -> SymbolLookup:
        return SymbolLookup(self.binary)

    def through(self, unreadable: str) -> tuple[str, tuple[str, ...]]:
        """A path without these characters, and the commands that make it (none: it is there)."""
        if self.path.isprintable() and not set(self.path) & set(unreadable):
            return self.path, ()
        return self.link, (self.make_link,)


def _bpftrace(target: ProbeTarget, file: _File) -> Emission:
    place, note = _bpftrace_place(target, file.symbols)
    if not place:
        return Emission((), note=note)
    path, before = file.through("\\':*[]")
    if not re.fullmatch(r"[\w./-]+", path, re.ASCII):
        path = '"{}"'.format(path.replace('"', r"\""))
    return Emission((f"uprobe:{path}:{place}",), before, _notes(target, note))


def _bpftrace_place(target: ProbeTarget, symbols: SymbolLookup) -> tuple[str, str]:
    """The last part of a probe, empty when nothing leads there, and what is to be said of it.

    bpftrace looks for a symbol around a number, and for the first symbol of that name: only
    names that stand for one place are safe. Around a file offset it must find no symbol.
    """
    covering = symbols.covering(target.vaddr)
    inside = any(s.value != target.vaddr for s in covering)
    by_offset = not symbols.covering(target.offset)
    if covering and not (inside and by_offset):
        note = ""
        if inside:
            note = "a bpftrace built without a disassembler (Debian's) refuses places in a function"
        if all(symbols.is_unique(s) for s in covering):
            return f"{target.vaddr:#x}", note
        for symbol in covering:
            if _is_certain(symbol, _BPFTRACE_NAME, symbols):
                delta = target.vaddr - symbol.value
                return f'"{symbol.name}"' + (f"+{delta:#x}" if delta else ""), note
    if by_offset:
        return f"{target.offset:#x}", "run it with --unsafe: the number is the file offset"
    return "", (
        "bpftrace goes by names and takes another place of this name: use perf, tracefs or bcc"
        if covering
        else "bpftrace knows no symbol here, and takes the file offset for an address: use perf,"
        " tracefs or bcc"
    )


def _is_certain(symbol: Symbol, spelling: re.Pattern[str], symbols: SymbolLookup) -> bool:
    """Whether a tool that is given this function's name can but take this function for it."""
    spelled = spelling.fullmatch(symbol.name) is not None
    return spelled and symbol.kind == Kind.FUNC and symbols.is_unique(symbol)


def _perf(target: ProbeTarget, file: _File) -> Emission:
    event = _event(target)
    if file.real is not None and _kernel_reads(file.real):
        add = f"--add symprobe:{event}={target.offset:#x}"
        return Emission((f"perf probe -x {_shell(file.real)} {add}",), (), _notes(target))
    written = _tracefs(target, file)
    line = f"printf '%s\\n' {_shell(written.lines[0])} >>/sys/kernel/tracing/uprobe_events"
    why = f"perf probe can't take this path: written to tracefs for -e symprobe:{event}"
    return Emission((line,), written.before, _notes(target, why))


def _tracefs(target: ProbeTarget, file: _File) -> Emission:
    clean = _kernel_reads(file.path)
    path, before = (file.path, ()) if clean else (file.link, (file.make_link,))
    line = f"p:symprobe/{_event(target)} {path}:{target.offset:#x}"
    return Emission((line,), before, _notes(target))


def _kernel_reads(path: str) -> bool:
    """Whether uprobe_events takes a path as it is: argv_split() and isspace() of the kernel, for
    which byte 0xa0 is a space (lib/ctype.c), and `#` begins a comment (kernel/trace/trace.c)."""
    return path.isprintable() and not set(os.fsencode(path)) & set(b"\t\n\v\f\r #\xa0")


def _event(target: ProbeTarget) -> str:
    """A name for the event: the symbol's, with the offset, since several have the same name.

    The kernel takes letters, digits and `_`, 63 at most; perf adds `__return`.
    """
    name = re.sub(r"@.*|\+0x[0-9a-f]+$|^0x[0-9a-f]+$", "", target.names[0], flags=re.DOTALL)
    name = re.sub(r"\W", "_", name, flags=re.ASCII)[:36] or "at"
    return f"{'_' if name[0].isdigit() else ''}{name}_{target.offset:x}"


def _bcc(target: ProbeTarget, file: _File) -> Emission:
    name = os.fsencode(file.path)
    line = f"b.attach_uprobe(name={name!r}, addr={target.vaddr:#x}, fn_name=b'count')"
    return Emission((line,), note=_notes(target))


_GDB = """\
python
import os
def symprobe(event=None, path={path!r}, offset={offset:#x}, points={{}}):
    pid, file, found = gdb.selected_inferior().pid, os.stat(path), set()
    for line in open('/proc/%d/maps' % pid, 'rb') if pid else ():
        bounds, flags, start, device, inode, *name = line.rstrip(b'\\n').split(None, 5)
        low, high = (int(end, 16) for end in bounds.split(b'-'))
        address = low + offset - int(start, 16)
        mapped = os.makedev(*(int(n, 16) for n in device.split(b':'))), int(inode)
        same = mapped == (file.st_dev, file.st_ino) or name == [os.path.realpath(path)]
        if same and b'x' in flags and low <= address < high:
            found.add(address)
    for address in set(points) - found:
        stale = points.pop(address)
        stale.is_valid() and stale.delete()
    for address in found - set(points):
        points[address] = gdb.Breakpoint('*%#x' % address)
gdb.events.new_objfile.connect(symprobe)
symprobe()
end
"""


def _gdb(target: ProbeTarget, file: _File) -> Emission:
    text = _GDB.format(path=os.fsencode(file.path), offset=target.offset)
    return Emission(tuple(text.splitlines()))


def _systemtap(target: ProbeTarget, file: _File) -> Emission:
    if file.real is None or not file.real.isprintable() or set(file.real) & set("\\*?["):
        return Emission((), note="systemtap can't take this path: use perf, tracefs or bcc")
    first = file.binary.image.loads[0]
    if target.vaddr - (first.vaddr & -max(first.align, 1)) != target.offset:
        what = "systemtap takes address - first segment for the file offset, which is wrong here"
        return Emission((), note=f"{what}: use perf, tracefs or bcc")
    path, before = file.through("'")
    process = 'process("{}")'.format(path.replace('"', r"\""))
    point = f"{process}.statement({target.vaddr:#x})"
    notes = []
    if not _kernel_reads(file.real):
        notes.append("not for stap --bpf, which can't take this path")
    for symbol in file.symbols.covering(target.vaddr):
        if symbol.value == target.vaddr and _is_certain(symbol, _STAP_NAME, file.symbols):
            point += f'!, {process}.function("{symbol.name}")'
            break
    else:
        notes.append("stap needs debug information that has a source line beginning here")
    return Emission((point,), before, _notes(target, *notes))


def _notes(target: ProbeTarget, *notes: str) -> str:
    entry = () if target.return_probe else ("no return probe here",)
    return "; ".join(note for note in (*notes, *entry) if note)


def _shell(text: str) -> str:
    """One word of a shell; with what can't be printed as $'…' of bash, zsh and ksh."""
    if text.isprintable():
        return shlex.quote(text)
    plain = b"".join(bytes([byte]) for byte in range(0x20, 0x7F) if byte not in b"'\\")
    return "$'" + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in os.fsencode(text)) + "'"


_EMITTERS = {
    Tool.BPFTRACE: _bpftrace,
    Tool.PERF: _perf,
    Tool.TRACEFS: _tracefs,
    Tool.BCC: _bcc,
    Tool.GDB: _gdb,
    Tool.SYSTEMTAP: _systemtap,
}
