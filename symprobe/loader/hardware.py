"""Which subdirectories and cache entries the hardware opens to a loader.

Sources: elf/dl-hwcaps.c, elf/dl-cache.c, sysdeps/x86/cpu-features.c of glibc 2.36 (legacy
subdirectories: 2.37 removed them) and of its master.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import product

from symprobe.elf.constants import EM_386, EM_X86_64
from symprobe.loader.cache import Entry
from symprobe.loader.constants import LoaderConstants
from symprobe.loader.cpu import Cpu, isa_bits
from symprobe.loader.machine import Machine

_LEGACY_BITS = {"sse2": 1, "x86_64": 2, "avx512_1": 4}
_LEGACY_PLATFORMS = {"i586": 1 << 48, "i686": 1 << 49, "haswell": 1 << 50, "xeon_phi": 1 << 51}
_TLS_BIT = 1 << 63


class Hardware:
    """What one loader may take on one processor.

    cpu: gives the processor; it is asked only when an answer depends on it.
    """

    def __init__(
        self, constants: LoaderConstants, machine: Machine, cpu: Callable[[], Cpu]
    ) -> None:
        self._constants = constants
        self._machine = machine
        self._ask = cpu
        self._known: dict[str, tuple[str, ...]] = {}

    @cached_property
    def _cpu(self) -> Cpu:
        return self._ask()

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """glibc-hwcaps levels that the loader knows and the processor has, the best first."""
        return tuple(level for level in self._constants.hwcaps if level in self._cpu.levels)

    @property
    def platform(self) -> str | None:
        """$PLATFORM."""
        if self._machine.number == EM_X86_64:
            return self._cpu.platform or self._machine.platform
        return self._machine.platform

    def has_isa(self, needed: int) -> bool:
        """Whether the processor has what GNU_PROPERTY_X86_ISA_1_NEEDED asks for."""
        if needed in (0, 1) or not self._cpu.known:  # bit 0: any x86-64 processor
            return True
        return needed & ~isa_bits(self._cpu.levels) == 0

    def subdirectories(
        self, directory: str, is_directory: Callable[[str], bool]
    ) -> tuple[str, ...]:
        """The existing subdirectories that come before a search directory itself ("" or ending
        in a slash), in order; each ends in a slash."""
        known = self._known.get(directory)
        if known is None:
            names: list[str] = []
            if self._constants.hwcaps and is_directory(f"{directory}glibc-hwcaps"):
                names += [f"glibc-hwcaps/{level}/" for level in self.levels]
            if self._constants.has_legacy_hwcaps and any(
                is_directory(directory + name) for name in self._legacy_first
            ):
                names += self._legacy
            known = tuple(name for name in names if is_directory(directory + name))
            self._known[directory] = known
        return known

    @cached_property
    def _legacy_first(self) -> tuple[str, ...]:
        """Every name with which a legacy subdirectory can begin, on any processor."""
        if self._machine.number == EM_X86_64:
            return ("tls", "x86_64", "avx512_1", "haswell", "xeon_phi")
        if self._machine.number == EM_386:
            return ("tls", "i686", "sse2")
        return ("tls", *((self._machine.platform,) if self._machine.platform else ()))

    @cached_property
    def _legacy(self) -> list[str]:
        """All combinations of `tls`, the platform and hardware words, each with the next ones
        behind it, as _dl_important_hwcaps counts them down; not the empty one."""
        words: tuple[str, ...] = ()
        if self._machine.number == EM_X86_64:
            words = self._cpu.legacy or ("x86_64",)
        elif self._machine.number == EM_386:
            words = ("sse2",)
        platform = (self.platform,) if self.platform else ()
        names = ("tls", *platform, *reversed(words))
        return [
            "".join(f"{name}/" for name, taken in zip(names, mask, strict=True) if taken)
            for mask in product((True, False), repeat=len(names))
            if any(mask)
        ]

    def choose(self, entries: Iterable[Entry]) -> str | None:
        """The path that a loader takes of a name's cache entries: the best usable level, else
        the first plain one."""
        accepted = self._machine.cache_flags
        best: tuple[int, str] | None = None
        for entry in entries:
            if entry.flags not in accepted:
                continue
            if entry.level is not None:
                rank = self._rank(entry)
                if rank is not None and (best is None or rank < best[0]):
                    best = rank, entry.path
            elif best is not None:
                break
            elif self._has(entry.hwcap):
                return entry.path
        return best[1] if best is not None else None

    def _rank(self, entry: Entry) -> int | None:
        """The place of an entry's level among the usable ones; None: not usable."""
        if entry.level not in self.levels:
            return None
        if self._machine.number == EM_X86_64 and not self.has_isa(entry.hwcap):
            return None
        return self.levels.index(entry.level)

    def _has(self, bits: int) -> bool:
        """Whether an entry with these legacy bits is taken."""
        if bits == 0 or not self._constants.has_legacy_hwcaps:
            return bits == 0
        allowed, platforms = _TLS_BIT, 0
        if self._machine.number == EM_X86_64:
            platforms = 0xF << 48
            for word in self._cpu.legacy or ("x86_64",):
                allowed |= _LEGACY_BITS[word]
        elif self._machine.number == EM_386:
            platforms, allowed = 3 << 48, allowed | _LEGACY_BITS["sse2"]
        if bits & ~(allowed | platforms):
            return False
        wanted = bits & platforms
        return wanted == 0 or wanted == _LEGACY_PLATFORMS.get(self.platform or "", 0)
