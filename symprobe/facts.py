"""What `info` tells of a file: verdict, identity, language, where its symbols are."""

from __future__ import annotations

from dataclasses import dataclass

from symprobe.binary import Binary
from symprobe.elf import archive
from symprobe.elf.constants import ELF_MAGIC
from symprobe.elf.source import FileSource
from symprobe.hardening import Hardening, hardening
from symprobe.linkage import Linkage, Verdict, file_verdict, verdict
from symprobe.model import FilePath

_PROGRAMS = (Linkage.STATIC, Linkage.STATIC_PIE, Linkage.DYNAMIC, Linkage.DYNAMIC_PIE)


@dataclass(frozen=True)
class ElfFacts:
    """What only an ELF file has. symbol_counts: entries by table.  languages: those that left
    their mark.  debug_files: (path, how it was found).  hardening: None where it means nothing
    (object files) or LIEF can't parse the file."""

    machine: str
    bits: int
    endian: str
    type: str
    soname: str | None
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    build_id: str | None
    stripped: bool
    symbol_counts: dict[str, int]
    debug_files: tuple[tuple[str, str], ...]
    languages: tuple[str, ...]
    hardening: Hardening | None


@dataclass(frozen=True)
class Facts:
    """path: as shown.  members: of an archive.  elf: None for scripts and archives."""

    path: str
    verdict: Verdict
    elf: ElfFacts | None
    members: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def file_facts(path: FilePath, debug_roots: tuple[str, ...]) -> Facts:
    """All facts of one file. Errors: FileError, NotElfError, MalformedError."""
    source = FileSource(path)
    if source.read_available(0, 4) != ELF_MAGIC:
        found = file_verdict(source, _root(path))
        members: tuple[str, ...] = ()
        if found.linkage is Linkage.ARCHIVE:
            members = tuple(m.path.shown for m in archive.members(source))
        return Facts(path.shown, found, None, members)
    binary = Binary(source, debug_roots=debug_roots)
    found = verdict(binary.image, binary.dynamic, _root(path))
    facts = _elf_facts(binary, found)
    return Facts(path.shown, found, facts, (), tuple(binary.warnings))


def _root(path: FilePath) -> str:
    """The directory that is `/` for the file: of a container's process, of a --root."""
    if path.opened != path.shown and path.opened.endswith(path.shown):
        return path.opened[: -len(path.shown)]
    return ""


def _elf_facts(binary: Binary, found: Verdict) -> ElfFacts:
    image, dynamic = binary.image, binary.dynamic
    linked = found.linkage not in (Linkage.OBJECT, Linkage.KERNEL_MODULE, Linkage.CORE)
    return ElfFacts(
        machine=image.machine,
        bits=image.bits,
        endian="big" if image.big_endian else "little",
        type=image.type_name,
        soname=dynamic.soname if dynamic else None,
        needed=tuple(dynamic.needed) if dynamic else (),
        rpath=_paths(dynamic.rpath if dynamic else None),
        runpath=_paths(dynamic.runpath if dynamic else None),
        build_id=binary.build_id,
        stripped=binary.symtab is None,
        symbol_counts=binary.symbol_count(),
        debug_files=tuple((file.path, file.found_by) for file in binary.debug_files),
        languages=tuple(_languages(binary)),
        hardening=hardening(image, program=found.linkage in _PROGRAMS) if linked else None,
    )


def _paths(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(text.split(":"))


def _languages(binary: Binary) -> list[str]:
    """Go, Rust, C++ by what their compilers leave in a file, even a stripped one."""
    image = binary.image
    found = []
    if binary.is_go:
        found.append("Go")
    tables = [t.strings for t in (binary.dynsym, binary.symtab, *binary.debug_tables) if t]
    comment = image.section(".comment")
    compilers = image.section_data(comment) if comment is not None else b""
    if b"rustc" in compilers or any(b"rust_eh_personality" in s for s in tables):
        found.append("Rust")
    needed = binary.dynamic.needed if binary.dynamic else []
    runtime = any(n.startswith(("libstdc++.", "libc++.")) for n in needed)
    if runtime or any(b"__gxx_personality_v0" in s or b"\0_ZNSt" in s for s in tables):
        found.append("C++")
    return found
