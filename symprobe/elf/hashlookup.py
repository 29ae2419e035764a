"""One name in the dynamic symbol table, through its hash table: as a loader looks it up.

Nothing else of the table is read: a lookup costs the same in a file of 100 or 100,000 symbols.
Sources: gABI "Hash Table"; elf/dl-lookup.c and elf/dl-setup_hash.c of glibc for DT_GNU_HASH.
"""

from array import array
from collections.abc import Iterator, Mapping
from itertools import count
from typing import NamedTuple, TypeVar

from symprobe.elf.constants import EM_S390
from symprobe.elf.dynamic import DT_GNU_HASH, DT_HASH, DT_SYMTAB, DT_VERSYM, Dynamic
from symprobe.elf.image import Image

_EM_ALPHA = 0x9026
_MOST_WORDS = 1 << 22
"""Of a Bloom filter, of buckets: beyond all real tables."""
_USUAL_STEPS, _MOST_STEPS = 64, 1 << 14
"""Along one chain (real ones have a handful); and beyond that, along all chains of one table."""


_Key = TypeVar("_Key")


class Entry(NamedTuple):
    """A symbol as the table holds it. number: its index.  versym: its .gnu.version entry, None in
    a file without versions.  The others are st_info, st_other, st_shndx, st_value, st_size."""

    number: int
    info: int
    other: int
    section: int
    value: int
    size: int
    versym: int | None


class HashedName(NamedTuple):
    """A name with both of its hashes, to be looked up in many files."""

    name: bytes
    gnu: int
    sysv: int


def hashed(name: str) -> HashedName:
    """The hashes of a symbol's name."""
    raw = name.encode("utf-8", "surrogateescape")
    gnu, sysv = 5381, 0
    for byte in raw:
        gnu = gnu * 33 + byte & 0xFFFFFFFF
        sysv = (sysv << 4) + byte
        sysv = (sysv ^ sysv >> 24 & 0xF0) & 0x0FFFFFFF
    return HashedName(raw, gnu, sysv)


class HashTable:
    """The hash table of one file: DT_GNU_HASH if there is one, else DT_HASH."""

    def __init__(self, image: Image, dynamic: Dynamic) -> None:
        self._image = image
        self._strings = dynamic.strings
        self._symbols = dynamic.value(DT_SYMTAB)
        self._versym = dynamic.value(DT_VERSYM)
        self._wide = image.bits == 64
        self._entry = 24 if self._wide else 16
        self._buckets: array[int] = array("I")
        self._bloom: array[int] = array("I")
        self._shift = self._first = self._chains = 0
        self._mask = self._low = 0
        self._is_gnu = False
        self._word = 4
        self._left = _MOST_STEPS
        gnu, sysv = dynamic.value(DT_GNU_HASH), dynamic.value(DT_HASH)
        if gnu is not None:
            self._read_gnu(gnu)
        elif sysv is not None:
            self._read_sysv(sysv)

    def _read_gnu(self, address: int) -> None:
        head = self._image.read_vaddr(address, 16)
        if len(head) < 16:
            self._image.warn("the hash table is cut short")
            return
        buckets, self._first, words, self._shift = self._image.unpack("IIII", head)
        if max(buckets, words) > _MOST_WORDS or words == 0 or words & (words - 1):
            self._image.warn(f"a hash table of {buckets} buckets and {words} filter words")
            return
        word, size = ("Q", 8) if self._wide else ("I", 4)
        data = self._image.read_vaddr(address + 16, words * size + buckets * 4)
        if len(data) < words * size + buckets * 4:
            self._image.warn("the hash table is cut short")
            return
        self._bloom = self._image.numbers(word, data[: words * size])
        self._buckets = self._image.numbers("I", data[words * size :])
        self._chains = address + 16 + len(data)
        self._mask, self._low = words - 1, self._image.bits - 1
        self._is_gnu = True

    def _read_sysv(self, address: int) -> None:
        # 64-bit s390 and Alpha have hash words of 8 bytes (their psABIs).
        eight = self._wide and self._image.header.machine in (EM_S390, _EM_ALPHA)
        word, self._word = ("Q", 8) if eight else ("I", 4)
        head = self._image.read_vaddr(address, 2 * self._word)
        if len(head) < 2 * self._word:
            self._image.warn("the hash table is cut short")
            return
        count = self._image.unpack(word, head)[0]
        if count > _MOST_WORDS:
            self._image.warn(f"a hash table of {count} buckets")
            return
        data = self._image.read_vaddr(address + 2 * self._word, count * self._word)
        if len(data) == count * self._word:
            self._buckets = self._image.numbers(word, data)
            self._chains = address + 2 * self._word + len(data)

    def may_hold(self, name: HashedName) -> bool:
        """False when the Bloom filter says that no symbol has that name."""
        if not self._is_gnu:
            return True
        value, low = name.gnu, self._low
        word = self._bloom[value // (low + 1) & self._mask]
        return word >> (value & low) & word >> (value >> self._shift & low) & 1 == 1

    def holding(self, names: Mapping[_Key, HashedName]) -> list[_Key]:
        """The keys of those names for which may_hold is true."""
        if not self._is_gnu:
            return list(names)
        bloom, mask, shift, low, bits = (
            self._bloom, self._mask, self._shift, self._low, self._low + 1,
        )  # fmt: skip
        return [
            key
            for key, (_, value, _) in names.items()
            if (word := bloom[value // bits & mask]) >> (value & low)
            & word >> (value >> shift & low)
            & 1
        ]

    def find(self, name: HashedName) -> Iterator[Entry]:
        """The entries of that name, in the order of their chain; undefined ones that are hashed
        among them."""
        if not self._buckets or self._symbols is None:
            return
        if not self.may_hold(name):
            return
        numbers = self._gnu(name.gnu) if self._is_gnu else self._sysv(name.sysv)
        for step, number in enumerate(numbers):
            if not self._goes_on(step):
                return
            entry = self._read(number, name.name)
            if entry is not None:
                yield entry

    def _goes_on(self, step: int) -> bool:
        """Whether a chain may be followed further: it may be a loop, or without an end."""
        if step < _USUAL_STEPS:
            return True
        self._left -= 1
        if self._left < 0:
            self._image.warn("the hash table's chains are too long to follow")
        return self._left >= 0

    def _gnu(self, value: int) -> Iterator[int]:
        """Numbers of the symbols with that hash."""
        number = self._buckets[value % len(self._buckets)]
        if number < self._first or number == 0:
            return
        for step in count():
            if not self._goes_on(step):
                return
            data = self._image.read_vaddr(self._chains + 4 * (number - self._first), 64)
            for word in self._image.numbers("I", data[: len(data) // 4 * 4]):
                if (word ^ value) & ~1 == 0:
                    yield number
                if word & 1:
                    return
                number += 1
            if len(data) < 64:
                return

    def _sysv(self, value: int) -> Iterator[int]:
        """Numbers of the symbols in that hash's chain, whatever their names."""
        number = self._buckets[value % len(self._buckets)]
        layout = "Q" if self._word == 8 else "I"
        while number:
            yield number
            data = self._image.read_vaddr(self._chains + self._word * number, self._word)
            if len(data) < self._word:
                return
            number = self._image.unpack(layout, data)[0]

    def _read(self, number: int, name: bytes) -> Entry | None:
        assert self._symbols is not None
        data = self._image.read_vaddr(self._symbols + self._entry * number, self._entry)
        if len(data) < self._entry:
            return None
        if self._wide:
            start, info, other, section, value, size = self._image.unpack("IBBHQQ", data)
        else:
            start, value, size, info, other, section = self._image.unpack("IIIBBH", data)
        if self._strings[start : start + len(name) + 1] != name + b"\0":
            return None
        versym: int | None = None
        if self._versym is not None:
            raw = self._image.read_vaddr(self._versym + 2 * number, 2)
            versym = self._image.unpack("H", raw)[0] if len(raw) == 2 else None
        return Entry(number, info, other, section, value, size, versym)
