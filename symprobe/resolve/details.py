"""What the debug information adds to targets: source line, parameters, inlined copies."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import islice
from typing import TYPE_CHECKING

from symprobe.demangle import demangle_many
from symprobe.elf.image import Image
from symprobe.elf.source import FileSource
from symprobe.errors import SymprobeError
from symprobe.model import FilePath
from symprobe.probe import ProbeTarget, Reason, Rejected, Resolution, SourceInfo

if TYPE_CHECKING:
    from symprobe.dwarf import DebugInfo, FunctionInfo

_MOST = 32
"""Targets of one answer that are looked up: DWARF is for reading about functions, not for lists."""


def with_source(resolution: Resolution, file: FilePath, roots: tuple[str, ...]) -> Resolution:
    """The same answer with what DWARF knows of each target; unchanged where there is none.

    file: of the binary that was asked, whose names without a symbol may be known as inlined.
    roots: directories laid out like /usr/lib/debug.
    """
    if len(resolution.targets) > _MOST:
        return resolution
    from symprobe.dwarf import debug_info

    files: dict[FilePath, DebugInfo | None] = {}
    with ExitStack() as opened:

        def info_of(path: FilePath) -> DebugInfo | None:
            if path not in files:
                try:
                    source = FileSource(path)
                    opened.callback(source.close)
                    files[path] = debug_info(Image(source), roots)
                except SymprobeError:  # gone since it was resolved
                    files[path] = None
            return files[path]

        targets = tuple(_explained(target, info_of(target.file)) for target in resolution.targets)
        rejected = tuple(
            _only_inlined(each, info_of(file)) if each.reason is Reason.NOT_FOUND else each
            for each in resolution.rejected
        )
    return resolution._replace(targets=targets, rejected=rejected)


def _explained(target: ProbeTarget, debug: DebugInfo | None) -> ProbeTarget:
    if debug is None:
        return target
    found = debug.function(target.names[0].partition("@")[0], target.vaddr, registers=False)
    if found is None or not found.file:
        return target
    known = found.prototyped or found.parameters or found.return_type
    parameters = tuple((p.name, p.type) for p in found.parameters) if known else None
    source = SourceInfo(found.file, found.line, parameters, found.inlined)
    notes = target.notes
    if found.inlined:
        notes = (*notes, f"{_copies(found)}: calls there are not seen by this probe")
    return target._replace(source=source, notes=notes)


def _only_inlined(rejected: Rejected, debug: DebugInfo | None) -> Rejected:
    found = debug.inlined_only(rejected.name) if debug is not None else None
    if found is None or not found.only_inlined or not found.inlined:
        return rejected
    detail = f"{_copies(found)}, and no code of its own: there is no place for a probe"
    return Rejected(rejected.name, Reason.ONLY_INLINED, detail)


def _copies(found: FunctionInfo) -> str:
    """`inlined 3 times, in a, b, c`."""
    callers = dict.fromkeys(demangle_many([copy.caller for copy in found.copies if copy.caller]))
    count = f"{found.inlined}" if found.inlined_complete else f"at least {found.inlined}"
    times = "time" if found.inlined == 1 else "times"
    where = f", in {', '.join(islice(callers, 5))}" if callers else ""
    return f"inlined {count} {times}{where}"
