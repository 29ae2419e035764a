"""Whether a file that was found is one that the loader takes.

Source: open_verify and _dl_map_object_from_fd in elf/dl-load.c of glibc, map_library in
ldso/dynlink.c of musl. The sentences are glibc's own.
"""

import errno
import struct
from typing import NamedTuple

from symprobe.elf.constants import ELF_MAGIC, ET_DYN, ET_EXEC
from symprobe.loader.library import Library
from symprobe.loader.machine import Machine
from symprobe.loader.values import Outcome
from symprobe.model import FilePath, TextEnum


class Opened(NamedTuple):
    """What came of one path. error: the errno that the loader sees (0: none). library, file:
    when the outcome is FOUND."""

    outcome: Outcome
    detail: str = ""
    error: int = 0
    library: Library | None = None
    file: FilePath | None = None


class HeaderRules(TextEnum):
    """Whose checks of a header are made."""

    GLIBC = "glibc"
    DEBIAN = "debian"
    """Debian and Ubuntu patch glibc to look at e_machine before the rest of e_ident, so that a
    foreign file is passed over where glibc itself would give up."""
    MUSL = "musl"


def check_header(head: bytes, machine: Machine, rules: HeaderRules) -> Opened | None:
    """The verdict on the first 64 bytes of a file; None: the loader takes it."""
    if rules is HeaderRules.MUSL:
        return _check_type(head, machine)
    size = 64 if machine.bits == 64 else 52
    if len(head) < size:
        return _fatal("file too short")
    order = ">" if machine.big_endian else "<"
    kind, number, version = struct.unpack_from(order + "HHI", head, 16)
    flags, phentsize = struct.unpack_from(order + "I2xH", head, size - 16)
    refusal = _check_ident(head, machine, flags)
    if refusal is not None:
        foreign = head[:4] == ELF_MAGIC and not machine.matches(number, flags)
        if rules is HeaderRules.DEBIAN and refusal.outcome is Outcome.FATAL and foreign:
            return _other_machine(number)
        return refusal
    if version != 1:
        return _fatal("ELF file version does not match current one")
    if not machine.matches(number, flags):
        return _other_machine(number)
    if kind not in (ET_DYN, ET_EXEC):
        return _fatal("only ET_DYN and ET_EXEC can be loaded")
    if phentsize != (56 if machine.bits == 64 else 32):
        return _fatal("ELF file's phentsize not the expected size")
    return None


def _check_ident(head: bytes, machine: Machine, flags: int) -> Opened | None:
    if head[:4] != ELF_MAGIC:
        return _fatal("invalid ELF header")
    bits, osabi, abi_version = 32 * head[4], head[7], head[8]
    if bits != machine.bits:
        what = f"{bits} bits" if bits in (32, 64) else f"ELF class {head[4]}"
        return Opened(Outcome.OTHER_CLASS, what, errno.ENOENT)
    if head[5] != (2 if machine.big_endian else 1):
        wanted = "big" if machine.big_endian else "little"
        return _fatal(f"ELF file data encoding not {wanted}-endian")
    if head[6] != 1:
        return _fatal("ELF file version ident does not match current one")
    if osabi not in machine.osabis:
        return _fatal("ELF file OS ABI invalid")
    if abi_version >= machine.abi_version_limit(osabi):
        return _fatal("ELF file ABI version invalid")
    if any(head[9:16]):
        return _fatal("nonzero padding in e_ident")
    if machine.float_abi_differs(flags):
        return _fatal("for the other float ABI (soft or hard), an internal error to the loader")
    return None


def _other_machine(number: int) -> Opened:
    return Opened(Outcome.OTHER_MACHINE, f"ELF machine {number}", errno.ENOENT)


def _check_type(head: bytes, machine: Machine) -> Opened | None:
    """musl's only check of a header."""
    order = ">" if machine.big_endian else "<"
    if len(head) < 52 or struct.unpack_from(order + "H", head, 16)[0] not in (ET_DYN, ET_EXEC):
        return _fatal("Exec format error")
    return None


def _fatal(what: str) -> Opened:
    return Opened(Outcome.FATAL, what)
