"""Which file provides a name that a binary only imports: what the loader would bind it to."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from symprobe.errors import SymprobeError
from symprobe.model import FilePath

if TYPE_CHECKING:
    from symprobe.loader.lookup import Scope

Provided = tuple[FilePath, "str | None"]
"""The file that defines a name, and the version that it has there."""
Provider = Callable[[str, "str | None"], "Provided | None"]


def provider_of(
    file: FilePath,
    *,
    library_path: str | None = None,
    preload: str | None = None,
    pid: int | None = None,
) -> Provider:
    """Of (name, version): who would provide it to this file; None when nobody does.

    library_path, preload: LD_LIBRARY_PATH, LD_PRELOAD.  pid: the process that the file is
    mapped in; its own root counts, and of a library that was replaced on disk the one that
    it has mapped. The dependencies are searched at the first question.
    """

    @cache
    def scope() -> Scope | None:
        from symprobe.loader import dependency_graph
        from symprobe.loader.lookup import Scope

        root = f"/proc/{pid}/root" if pid is not None else _root_of(file)
        try:
            graph = dependency_graph(
                file, library_path=library_path, preload=preload, root="" if root == "/" else root
            )
        except SymprobeError:
            return None
        return Scope(graph)

    def provide(name: str, version: str | None) -> Provided | None:
        found = scope()
        binding = found.binding(name, version) if found is not None else None
        if binding is None:
            return None if pid is None else _mapped_definition(pid, name, version)
        path = binding.file if pid is None else _mapped(pid, binding.file)
        return path, binding.version

    return provide


def _mapped_definition(pid: int, name: str, version: str | None) -> Provided | None:
    """Of the files that a process has mapped, one that defines the name: those on disk may be
    others by now, or none, and what dlopen() has added is no dependency of any."""
    from symprobe.elf.hashlookup import hashed
    from symprobe.loader.lookup import SymbolFile
    from symprobe.process import mapping_file, mappings

    try:
        maps = {m.inode: m for m in mappings(pid) if "x" in m.permissions}
    except SymprobeError:
        return None
    for mapping in maps.values():
        try:
            file = SymbolFile(mapping_file(pid, mapping))
            entry = file.glibc_match(hashed(name), version, exact_first=True)
        except SymprobeError:
            continue
        if entry is not None:
            number = None if entry.versym is None else entry.versym & 0x7FFF
            return file.file, None if number is None else file.versions.get(number)
    return None


def _root_of(file: FilePath) -> str:
    if file.opened != file.shown and file.opened.endswith(file.shown):
        return file.opened[: -len(file.shown)]
    return ""


def _mapped(pid: int, file: FilePath) -> FilePath:
    """The file of that path, or else of that name, that a process has mapped."""
    from symprobe.process import mapping_file, mappings

    name = os.path.basename(file.shown)
    try:
        maps = [m for m in mappings(pid) if os.path.basename(m.path) == name]
        maps.sort(key=lambda m: m.path != file.shown)
        return mapping_file(pid, maps[0]) if maps else file
    except SymprobeError:
        return file
