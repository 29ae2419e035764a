"""What a file is: static, static PIE, dynamic, a library, a script, with the evidence for it.

Source: fs/binfmt_elf.c and fs/binfmt_script.c of Linux (what exec looks at), elf/rtld.c of glibc.
"""

import os
from typing import NamedTuple

from symprobe.elf import archive
from symprobe.elf.constants import (
    ELF_MAGIC,
    ET_CORE,
    ET_DYN,
    ET_EXEC,
    ET_REL,
    PT_DYNAMIC,
    PT_INTERP,
)
from symprobe.elf.dynamic import DF_1_PIE, Dynamic, read_dynamic
from symprobe.elf.image import Image
from symprobe.elf.source import FileSource, Source
from symprobe.errors import MalformedError, NotElfError, SymprobeError
from symprobe.model import FilePath, TextEnum


class Linkage(TextEnum):
    """What kind of file this is: the linkage verdict of `info` and `deps`."""

    STATIC = "static"
    STATIC_PIE = "static-pie"
    DYNAMIC = "dynamic"
    DYNAMIC_PIE = "dynamic-pie"
    SHARED_LIBRARY = "shared-library"
    LOADER = "loader"
    OBJECT = "object"
    KERNEL_MODULE = "kernel-module"
    CORE = "core"
    ARCHIVE = "archive"
    SCRIPT = "script"


class Verdict(NamedTuple):
    """linkage: the verdict.  evidence: what in the file says so, a sentence each.
    interpreter: of PT_INTERP, or of a script's first line."""

    linkage: Linkage
    evidence: tuple[str, ...]
    interpreter: str | None = None
    interpreter_argument: str | None = None


def file_verdict(source: Source, root: str | None = "") -> Verdict:
    """The verdict on any file: script, archive or ELF.

    root: what stands before absolute paths when the file belongs to another root directory;
    None: whether its interpreter is there is not looked at.
    Errors: NotElfError for anything else.
    """
    head = source.read_available(0, 256)
    if head.startswith(b"#!"):
        return _script(head, root)
    if archive.is_archive(source):
        thin = head.startswith(archive.THIN_MAGIC)
        magic = "!<thin>" if thin else "!<arch>"
        return Verdict(Linkage.ARCHIVE, (f"begins with {magic}: a static library of object files",))
    if not head.startswith(ELF_MAGIC):
        from symprobe.elf.guess import looks_like

        raise NotElfError(f"not an ELF file: {looks_like(source)}", file=source.path.shown)
    image = Image(source)
    return verdict(image, read_dynamic(image), root)


def _script(head: bytes, root: str | None) -> Verdict:
    line = head[2:].split(b"\n", 1)[0].strip(b" \t\r").decode("utf-8", "surrogateescape")
    interpreter, _, argument = line.partition(" ")
    evidence = [f"begins with #!, the kernel runs {interpreter or 'no interpreter'}"]
    if interpreter and root is not None and not os.path.exists(root + interpreter):
        evidence.append(f"{interpreter} does not exist here: exec fails with ENOENT")
    return Verdict(Linkage.SCRIPT, tuple(evidence), interpreter or None, argument.strip() or None)


def interpreter(image: Image) -> str | None:
    """The path in PT_INTERP, or None. Errors: MalformedError when it is not a string."""
    segment = image.segment(PT_INTERP)
    if segment is None:
        return None
    data = image.source.read_available(segment.offset, min(segment.filesz, 4096))
    text = data.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
    if not text:
        raise MalformedError("PT_INTERP holds no path", file=image.source.path.shown)
    return text


def verdict(image: Image, dynamic: Dynamic | None, root: str | None = "") -> Verdict:
    """The verdict on an ELF image. root: as of file_verdict."""
    kind = image.header.type
    if kind == ET_REL:
        return _object(image)
    if kind == ET_CORE:
        return Verdict(Linkage.CORE, ("its type is CORE: memory of a process that crashed",))
    if kind not in (ET_EXEC, ET_DYN):
        what = f"ELF type {image.type_name} is none of REL, EXEC, DYN, CORE"
        raise MalformedError(what, file=image.source.path.shown)
    path = interpreter(image)
    has_dynamic = image.segment(PT_DYNAMIC) is not None
    if path is not None:
        found, evidence = _interpreted(image, dynamic, path)
        if root is not None:
            evidence += _interpreter_check(image, root, path)
        return Verdict(found, tuple(evidence), path)
    if not has_dynamic:
        evidence = ["no PT_INTERP and no PT_DYNAMIC: the kernel starts it without any loader"]
        if kind == ET_DYN:
            evidence.append("its type is DYN all the same, which no usual linker makes")
        return Verdict(Linkage.STATIC, tuple(evidence))
    found, evidence = _uninterpreted(image, dynamic)
    return Verdict(found, tuple(evidence))


def _object(image: Image) -> Verdict:
    for name in (".modinfo", ".gnu.linkonce.this_module"):
        if image.section(name) is not None:
            return Verdict(Linkage.KERNEL_MODULE, ("its type is REL", f"section {name} is there"))
    return Verdict(Linkage.OBJECT, ("its type is REL: not linked yet",))


def _interpreted(image: Image, dynamic: Dynamic | None, path: str) -> tuple[Linkage, list[str]]:
    evidence = [f"PT_INTERP names {path}"]
    if image.header.type == ET_EXEC:
        return Linkage.DYNAMIC, [*evidence, "its type is EXEC: loaded at fixed addresses"]
    if dynamic is not None and dynamic.flags_1 & DF_1_PIE:
        return Linkage.DYNAMIC_PIE, [*evidence, "its type is DYN, with DF_1_PIE"]
    if dynamic is not None and dynamic.soname is not None:
        evidence.append(f"its type is DYN with the soname {dynamic.soname}: a library, runnable")
        return Linkage.SHARED_LIBRARY, evidence
    if image.header.entry:
        evidence.append("its type is DYN, without DF_1_PIE (old linker) but with an entry point")
        return Linkage.DYNAMIC_PIE, evidence
    return Linkage.SHARED_LIBRARY, [*evidence, "its type is DYN, without an entry point"]


def _uninterpreted(image: Image, dynamic: Dynamic | None) -> tuple[Linkage, list[str]]:
    evidence = ["no PT_INTERP, but PT_DYNAMIC"]
    if dynamic is None:
        return Linkage.SHARED_LIBRARY, [*evidence, "the dynamic section can't be read"]
    soname, needed = dynamic.soname, dynamic.needed
    if image.header.type == ET_EXEC:
        evidence.append("its type is EXEC: dynamic without an interpreter, which is unusual")
        return Linkage.DYNAMIC, evidence
    if dynamic.flags_1 & DF_1_PIE and not needed:
        return Linkage.STATIC_PIE, [*evidence, "DF_1_PIE, and no DT_NEEDED"]
    if soname is not None and soname.startswith(("ld-", "ld64", "ld.so")):
        return Linkage.LOADER, [*evidence, f"its soname is {soname}: the dynamic loader itself"]
    if soname is not None:
        return Linkage.SHARED_LIBRARY, [*evidence, f"its soname is {soname}"]
    if needed:
        plural = f"{len(needed)} librar{'y' if len(needed) == 1 else 'ies'}"
        return Linkage.SHARED_LIBRARY, [*evidence, f"it needs {plural}, no soname"]
    if image.header.entry:
        evidence.append("no DF_1_PIE, no soname, but an entry point: probably an old static PIE")
        return Linkage.STATIC_PIE, evidence
    return Linkage.SHARED_LIBRARY, [*evidence, "no entry point, no soname"]


def _interpreter_check(image: Image, root: str, path: str) -> list[str]:
    opened = root + path
    if not os.path.exists(opened):
        return [f"{path} does not exist here: exec fails with ENOENT ('no such file')"]
    try:
        other = Image(FileSource(FilePath(opened, path)))
    except SymprobeError as error:
        return [f"{path} can't be used: {error.what}"]
    if (other.header.machine, other.bits) != (image.header.machine, image.bits):
        return [f"{path} is for {other.machine}, this file for {image.machine}: exec fails"]
    return []
