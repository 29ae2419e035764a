"""Numbers of the ELF specification (gABI; psABI where noted) that several modules need."""

from __future__ import annotations

ELF_MAGIC = b"\x7fELF"
ARCHIVE_MAGICS = (b"!<arch>\n", b"!<thin>\n")
"""Of ar(5): a normal archive, and a thin one, whose members are files beside it."""

ET_NONE, ET_REL, ET_EXEC, ET_DYN, ET_CORE = range(5)
TYPE_NAMES = {ET_NONE: "none", ET_REL: "rel", ET_EXEC: "exec", ET_DYN: "dyn", ET_CORE: "core"}

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
PT_TLS, PT_GNU_PROPERTY = 7, 0x6474E553
PT_GNU_STACK, PT_GNU_RELRO, PF_X = 0x6474E551, 0x6474E552, 1
PF_X, PF_W, PF_R = 1, 2, 4
PN_XNUM = 0xFFFF

SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA = 0, 1, 2, 3, 4
SHT_DYNAMIC, SHT_NOTE, SHT_NOBITS, SHT_REL, SHT_DYNSYM = 6, 7, 8, 9, 11
SHT_SYMTAB_SHNDX = 18
SHT_GNU_VERDEF, SHT_GNU_VERNEED, SHT_GNU_VERSYM = 0x6FFFFFFD, 0x6FFFFFFE, 0x6FFFFFFF
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4

SHN_UNDEF, SHN_LORESERVE, SHN_ABS, SHN_COMMON, SHN_XINDEX = 0, 0xFF00, 0xFFF1, 0xFFF2, 0xFFFF

EM_386, EM_MIPS, EM_PPC, EM_PPC64, EM_S390, EM_ARM = 3, 8, 20, 21, 22, 40
EM_SPARCV9, EM_IA_64, EM_X86_64, EM_AARCH64, EM_RISCV, EM_BPF = 43, 50, 62, 183, 243, 247
EM_LOONGARCH = 258

_MACHINES = {
    0: "none", 1: "we32100", 2: "sparc", EM_386: "i386", 4: "m68k", 5: "m88k", 6: "iamcu",
    7: "i860", EM_MIPS: "mips", 10: "mips-rs3-le", 15: "parisc", 18: "sparc32plus",
    EM_PPC: "powerpc", EM_PPC64: "powerpc64", EM_S390: "s390", EM_ARM: "arm", 42: "sh",
    EM_SPARCV9: "sparc64", EM_IA_64: "ia64", EM_X86_64: "x86_64", 76: "cris", 83: "avr",
    88: "m32r", 92: "or1k", 93: "arc", 94: "xtensa", 105: "msp430", 106: "blackfin",
    113: "nios2", 138: "lm32", 164: "hexagon", EM_AARCH64: "aarch64", 187: "tilepro",
    189: "microblaze", 190: "cuda", 191: "tilegx", 195: "arcv2", 224: "amdgpu",
    EM_RISCV: "riscv", EM_BPF: "bpf", 252: "csky", EM_LOONGARCH: "loongarch",
    0x9026: "alpha",
}  # fmt: skip


def machine_name(machine: int, bits: int, *, big_endian: bool) -> str:
    """The architecture as `uname -m` on such a machine would say it, else its EM_ number."""
    name = _MACHINES.get(machine, str(machine))
    if machine == EM_S390 and bits == 64:
        return "s390x"
    if machine == EM_PPC64 and not big_endian:
        return "powerpc64le"
    if machine in {EM_RISCV, EM_LOONGARCH} or (machine == EM_MIPS and bits == 64):
        return f"{name}{bits}" + ("el" if machine == EM_MIPS and not big_endian else "")
    if machine == EM_MIPS and not big_endian:
        return "mipsel"
    return "x32" if machine == EM_X86_64 and bits == 32 else name
