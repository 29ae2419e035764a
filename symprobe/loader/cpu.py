"""What this machine's processor lets a loader take: hardware levels, platform names.

glibc asks CPUID or AT_HWCAP; /proc/cpuinfo says the same in words. Sources:
sysdeps/x86/get-isa-level.h, sysdeps/x86/cpu-features.c, sysdeps/s390/s390-64/dl-hwcaps-subdirs.c,
sysdeps/powerpc/powerpc64/le/dl-hwcaps-subdirs.c of glibc; arch/*/kernel/cpu of Linux for the words.
"""

import re
from typing import NamedTuple

X86_BASELINE = frozenset(["cmov", "cx8", "fpu", "fxsr", "mmx", "sse", "sse2"])
_X86_LEVELS = (
    ("x86-64-v2", frozenset(["cx16", "lahf_lm", "popcnt", "pni", "ssse3", "sse4_1", "sse4_2"])),
    ("x86-64-v3", frozenset(["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"])),
    ("x86-64-v4", frozenset(["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"])),
)
_S390_LEVELS = (
    ("z13", frozenset(("vx",))),
    ("z14", frozenset(("vxd", "vxe", "gs"))),
    ("z15", frozenset(("vxe2", "vxp"))),
    ("z16", frozenset(("vxp2",))),
)
_HASWELL = frozenset(["avx2", "fma", "bmi1", "bmi2", "abm", "movbe", "popcnt"])
LEVELS = {
    "x86_64": ("x86-64-v4", "x86-64-v3", "x86-64-v2"),
    "s390x": ("z17", "z16", "z15", "z14", "z13"),
    "powerpc64le": ("power10", "power9"),
}
LEVELS["x32"] = LEVELS["x86_64"]
"""glibc-hwcaps subdirectories a loader knows, the best first, by machine."""


class Cpu(NamedTuple):
    """levels: active glibc-hwcaps names, the best first.  platform: what glibc puts in the place
    of AT_PLATFORM for 64-bit programs, None where it leaves it.  legacy: the hardware words of
    glibc up to 2.36 that stand for subdirectories, in bit order.  known: False for a processor
    of which nothing is known (another machine's): it is not held against a file."""

    levels: tuple[str, ...] = ()
    platform: str | None = None
    legacy: tuple[str, ...] = ()
    known: bool = True


def cpu_of(machine: str, cpuinfo: str) -> Cpu:
    """The processor that /proc/cpuinfo describes (the first one: a loader looks no further)."""
    first = cpuinfo.split("\n\n", 1)[0]
    words = _field(first, "flags" if machine == "x86_64" else "features")
    flags = frozenset(words.split())
    if machine == "x86_64":
        levels = _contiguous(_X86_LEVELS, flags) if flags >= X86_BASELINE else ()
        if _field(first, "vendor_id") != "GenuineIntel":
            return Cpu(levels, None, ("x86_64",))
        return Cpu(levels, *_intel(flags))
    if machine == "s390x":
        return Cpu(_contiguous(_S390_LEVELS, flags))
    if machine == "powerpc64le":
        number = re.match(r"POWER(\d+)", _field(first, "cpu"))
        level = int(number[1]) if number else 0
        return Cpu(tuple(name for name in LEVELS[machine] if level >= int(name[5:])))
    return Cpu()


def below(machine: str, level: str) -> tuple[str, ...]:
    """A level and those that it includes, the best first; empty for a name that is no level."""
    names = LEVELS.get(machine, ())
    return names[names.index(level) :] if level in names else ()


def isa_bits(levels: tuple[str, ...]) -> int:
    """The bits of GNU_PROPERTY_X86_ISA_1_NEEDED that a processor with these levels satisfies."""
    return 1 | sum(1 << int(level[-1]) - 1 for level in levels if level.startswith("x86-64-v"))


def _field(text: str, name: str) -> str:
    match = re.search(rf"^{name}\s*:\s*(.*)$", text, re.MULTILINE)
    return match[1] if match else ""


def _contiguous(
    table: tuple[tuple[str, frozenset[str]], ...], flags: frozenset[str]
) -> tuple[str, ...]:
    """The levels up to the first one that is not complete, the best first."""
    active: list[str] = []
    for name, needed in table:
        if not needed <= flags:
            break
        active.insert(0, name)
    return tuple(active)


def _intel(flags: frozenset[str]) -> tuple[str | None, tuple[str, ...]]:
    """(platform, legacy words) of Intel's processors, which glibc names itself."""
    platform = "haswell" if flags >= _HASWELL else None
    if "avx512cd" not in flags:
        return platform, ("x86_64",)
    if "avx512er" in flags:
        return ("xeon_phi" if "avx512pf" in flags else platform), ("x86_64",)
    wide = flags >= {"avx512bw", "avx512dq", "avx512vl"}
    return platform, ("x86_64", "avx512_1") if wide else ("x86_64",)
