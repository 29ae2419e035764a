"""What differs between machines for a loader: cache flags, default directories, hardware levels.

Sources: sysdeps/**/dl-cache.h, dl-machine.h, ldsodefs.h, dl-hwcaps-subdirs.c of glibc;
arch/*/reloc.h of musl.
"""

import os
from typing import NamedTuple

from symprobe.elf.constants import (
    EM_386,
    EM_AARCH64,
    EM_ARM,
    EM_LOONGARCH,
    EM_MIPS,
    EM_PPC64,
    EM_RISCV,
    EM_S390,
    EM_SPARCV9,
    EM_X86_64,
    machine_name,
)
from symprobe.elf.image import Image

_EF_ARM_SOFT, _EF_ARM_HARD = 0x200, 0x400
_EF_ARM_EABI_MASK, _EF_ARM_EABI5 = 0xFF000000, 0x05000000
_EF_MIPS_ABI2, _EF_MIPS_NAN2008, _EF_MIPS_FP64 = 0x20, 0x400, 0x200
_EF_RISCV_FLOAT, _EF_LARCH_ABI = 0x6, 0x7
_EM_S390_OLD, _EM_MIPS_RS3_LE = 0xA390, 10
_OSABI_SYSV, _OSABI_GNU, _OSABI_ARM_AEABI = 0, 3, 64


class Machine(NamedTuple):
    """The kind of program that a loader loads: what e_ident, e_machine and e_flags must say."""

    bits: int
    big_endian: bool
    number: int
    """e_machine."""
    flags: int = 0
    """e_flags of the program, whose ABI bits its libraries must share."""

    @classmethod
    def of(cls, image: Image) -> "Machine":
        flags = image.header.flags
        return cls(image.bits, image.big_endian, image.header.machine, _abi(image, flags))

    @property
    def name(self) -> str:
        """As `uname -m` says it."""
        return machine_name(self.number, self.bits, big_endian=self.big_endian)

    def matches(self, number: int, flags: int) -> bool:
        """Whether a file of that e_machine and e_flags is for this machine's loader."""
        if self.number == EM_MIPS and number == _EM_MIPS_RS3_LE:
            number = EM_MIPS
        if self.number == EM_S390 and number == _EM_S390_OLD:
            number = EM_S390
        if number != self.number:
            return False
        if number == EM_PPC64 and self.flags & 3 and flags & 3:
            return flags & 3 == self.flags & 3
        if number == EM_RISCV:
            return flags & _EF_RISCV_FLOAT == self.flags & _EF_RISCV_FLOAT
        if number == EM_MIPS:
            mask = _EF_MIPS_NAN2008 | (_EF_MIPS_ABI2 if self.bits == 32 else 0)
            return flags & mask == self.flags & mask and not flags & _EF_MIPS_FP64
        return True

    def float_abi_differs(self, flags: int) -> bool:
        """ARM: hard-float and soft-float files, which glibc calls an invalid ELF header."""
        if self.number != EM_ARM or flags & _EF_ARM_EABI_MASK != _EF_ARM_EABI5:
            return False
        return bool(flags & (_EF_ARM_SOFT if self.flags & _EF_ARM_HARD else _EF_ARM_HARD))

    @property
    def osabis(self) -> tuple[int, ...]:
        """Values of EI_OSABI that glibc takes."""
        extra = (_OSABI_ARM_AEABI,) if self.number == EM_ARM else ()
        return (_OSABI_SYSV, _OSABI_GNU, *extra)

    def abi_version_limit(self, osabi: int) -> int:
        """EI_ABIVERSION must be below this; glibc's LIBC_ABI_MAX for files of OSABI GNU."""
        if osabi == _OSABI_GNU:
            return 4
        return 6 if self.number == EM_MIPS and osabi == _OSABI_SYSV else 1

    @property
    def cache_flags(self) -> tuple[int, ...]:
        """Flags of the ld.so.cache entries that are taken."""
        own = self._cache_flag
        if self.number == EM_ARM:
            return (own, 3)
        return (own,) if own != 3 else (1, 3)

    @property
    def _cache_flag(self) -> int:
        number, wide = self.number, self.bits == 64
        if number == EM_X86_64:
            return 0x303 if wide else 0x803
        if number == EM_ARM:
            return 0x903 if self.flags & _EF_ARM_HARD else 0xB03
        if number == EM_RISCV:
            return 0x1003 if self.flags & _EF_RISCV_FLOAT == 4 else 0xF03
        if number == EM_LOONGARCH:
            return 0x1203 if self.flags & _EF_LARCH_ABI == 3 else 0x1103
        if number == EM_MIPS:
            legacy = 0x703 if wide else 0x603 if self.flags & _EF_MIPS_ABI2 else 3
            newer = 0xE03 if wide else 0xD03 if self.flags & _EF_MIPS_ABI2 else 0xC03
            return newer if self.flags & _EF_MIPS_NAN2008 else legacy
        if number in (EM_S390, EM_PPC64, EM_SPARCV9) and wide:
            return {EM_S390: 0x403, EM_PPC64: 0x503, EM_SPARCV9: 0x103}[number]
        return 0xA03 if number == EM_AARCH64 else 3

    @property
    def platform(self) -> str | None:
        """What $PLATFORM (AT_PLATFORM) is where the machine alone decides it."""
        return {"x86_64": "x86_64", "x32": "x86_64", "i386": "i686", "aarch64": "aarch64"}.get(
            self.name
        )

    @property
    def interpreters(self) -> tuple[str, ...]:
        """Where glibc's loader of this machine usually is: for libraries, which name none."""
        return _INTERPRETERS.get(self._abi_name, ())

    @property
    def musl_name(self) -> str:
        """ARCH of musl's ld-musl-ARCH.so.1."""
        return "armhf" if self._abi_name == "armhf" else self.name

    @property
    def _abi_name(self) -> str:
        return "armhf" if self.number == EM_ARM and self.flags & _EF_ARM_HARD else self.name


_INTERPRETERS = {
    "x86_64": ("/lib64/ld-linux-x86-64.so.2",),
    "x32": ("/libx32/ld-linux-x32.so.2",),
    "i386": ("/lib/ld-linux.so.2",),
    "aarch64": ("/lib/ld-linux-aarch64.so.1",),
    "armhf": ("/lib/ld-linux-armhf.so.3",),
    "arm": ("/lib/ld-linux.so.3",),
    "powerpc64": ("/lib64/ld64.so.1", "/lib/ld64.so.1"),
    "powerpc64le": ("/lib64/ld64.so.2", "/lib/ld64.so.2"),
    "powerpc": ("/lib/ld.so.1",),
    "s390x": ("/lib/ld64.so.1", "/lib64/ld64.so.1"),
    "s390": ("/lib/ld.so.1",),
    "riscv64": ("/lib/ld-linux-riscv64-lp64d.so.1", "/lib/ld-linux-riscv64-lp64.so.1"),
    "mips": ("/lib/ld.so.1",),
    "mipsel": ("/lib/ld.so.1",),
    "mips64": ("/lib64/ld.so.1",),
    "mips64el": ("/lib64/ld.so.1",),
    "loongarch64": ("/lib64/ld-linux-loongarch-lp64d.so.1",),
}


_NATIVE = {
    "x86_64": Machine(64, False, EM_X86_64),
    "i686": Machine(32, False, EM_386),
    "aarch64": Machine(64, False, EM_AARCH64),
    "armv7l": Machine(32, False, EM_ARM, _EF_ARM_HARD),
    "ppc64": Machine(64, True, EM_PPC64, 1),
    "ppc64le": Machine(64, False, EM_PPC64, 2),
    "s390x": Machine(64, True, EM_S390),
    "riscv64": Machine(64, False, EM_RISCV, 4),
    "loongarch64": Machine(64, False, EM_LOONGARCH, 3),
}


def native_machine() -> Machine:
    """What programs of this machine are for, by uname(2); x86-64 for a name that is unknown."""
    return _NATIVE.get(os.uname().machine, _NATIVE["x86_64"])


def _abi(image: Image, flags: int) -> int:
    """ARM marks hard float in the program only: a file without either mark says nothing."""
    if image.header.machine == EM_ARM and not flags & (_EF_ARM_SOFT | _EF_ARM_HARD):
        return flags | _EF_ARM_HARD
    return flags
