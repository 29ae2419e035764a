"""Which object would define a symbol: the loader's lookup, object by object of its scope.

Source: do_lookup_x and check_match in elf/dl-lookup.c of glibc, find_sym2 in ldso/dynlink.c of
musl.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from symprobe.elf.constants import EM_MIPS, PT_DYNAMIC, SHN_ABS
from symprobe.elf.dynamic import Dynamic, read_dynamic
from symprobe.elf.hashlookup import Entry, HashedName, HashTable, hashed
from symprobe.elf.image import Image
from symprobe.elf.source import FileSource
from symprobe.errors import SymprobeError
from symprobe.loader.values import Dependency, DependencyGraph, Flavor, FoundBy
from symprobe.loader.versiontable import version_names
from symprobe.model import FilePath

_STT_TLS, _STB_LOCAL = 6, 0
_DEFINING_TYPES = frozenset((0, 1, 2, 5, 6, 10))
"""NOTYPE, OBJECT, FUNC, COMMON, TLS, GNU_IFUNC."""
_BINDS_OF_SCOPE = frozenset((1, 2, 10))
"""GLOBAL, WEAK (as good as GLOBAL to ld.so), GNU_UNIQUE."""
_STO_MIPS_PLT = 8
_HIDDEN = 0x8000


class Binding(NamedTuple):
    """Where a name leads. dependency: the library, None: the program itself.  number: the entry
    of its .dynsym.  version: of the definition, None without one.  default: whether it is the
    default version (@@)."""

    name: str
    dependency: Dependency | None
    file: FilePath
    number: int
    version: str | None
    default: bool
    vaddr: int
    size: int
    type: int
    """STT_*."""
    bind: int
    """STB_*."""


class SymbolFile:
    """The symbols of one file, as the loader looks them up."""

    def __init__(self, file: FilePath) -> None:
        self.file = file
        self.image = Image(FileSource(file))
        dynamic = None
        if self.image.segment(PT_DYNAMIC) is not None:
            dynamic = read_dynamic(self.image)
        self.dynamic = dynamic or Dynamic((), b"")
        self.table = HashTable(self.image, self.dynamic)
        self._versions: dict[int, str] | None = None

    @property
    def versions(self) -> dict[int, str]:
        """Version names by index."""
        if self._versions is None:
            self._versions = version_names(self.image, self.dynamic)
        return self._versions

    def glibc_match(
        self, name: HashedName, version: str | None, *, exact_first: bool, newest: bool = False
    ) -> Entry | None:
        """The entry that ld.so would take here. exact_first: glibc from 2.42 on prefers the exact
        version over an unversioned definition whatever their order.  newest: as dlsym() looks up
        a name without a version; a relocation of an old object takes the oldest one."""
        fallback: Entry | None = None
        candidates = 0
        for entry in self.table.find(name):
            if not self._defines(entry):
                continue
            if entry.versym is None:
                return entry
            index, hidden = entry.versym & ~_HIDDEN, entry.versym & _HIDDEN
            if version is None:
                if index < (2 if newest else 3):
                    return entry
                if not hidden:
                    candidates += 1
                    fallback = fallback or entry
            elif self.versions.get(index) == version:
                return entry
            elif index not in self.versions and not hidden:
                if not exact_first:
                    return entry
                candidates += 1
                fallback = fallback or entry
        return fallback if candidates == 1 else None

    def musl_match(self, name: HashedName) -> Entry | None:
        """The entry that musl would take here: the first that is not of a hidden version."""
        for entry in self.table.find(name):
            if entry.versym is not None and entry.versym & _HIDDEN:
                continue
            return entry if self._defines(entry) and entry.info >> 4 in _BINDS_OF_SCOPE else None
        return None

    def is_libc(self) -> bool:
        """Whether musl takes the file for a second libc, and itself in its place."""
        names = ("__libc_start_main", "stdin")
        return all(self.musl_match(hashed(name)) is not None for name in names)

    def _defines(self, entry: Entry) -> bool:
        kind = entry.info & 15
        if entry.value == 0 and entry.section != SHN_ABS and kind != _STT_TLS:
            return False
        if entry.section == 0:
            is_mips_plt = entry.other & _STO_MIPS_PLT
            if not (self.image.header.machine == EM_MIPS and is_mips_plt):
                return False
        return kind in _DEFINING_TYPES


class Scope:
    """The lookup scope of a graph; its files are opened when a lookup reaches them."""

    def __init__(self, graph: DependencyGraph) -> None:
        self._graph = graph
        self._files: list[tuple[Dependency | None, SymbolFile]] = []
        self._next = 0
        self._is_musl = graph.flavor is Flavor.MUSL
        self._exact_first = graph.version is None or graph.version >= (2, 42)

    def binding(
        self, name: str, version: str | None = None, *, newest: bool = False
    ) -> Binding | None:
        """The definition that the loader would bind a reference to, or None. newest: what dlsym()
        finds for a name without a version, its default one."""
        wanted = hashed(name)
        for dependency, file in self._objects():
            if not file.table.may_hold(wanted):
                continue
            entry = self._match(file, wanted, version, newest)
            if entry is not None:
                return _binding(name, dependency, file, entry)
        if self._is_musl and name.endswith("64"):
            return self._without_64(name)
        return None

    def undefined(self, names: Iterable[tuple[str, str | None]]) -> set[tuple[str, str | None]]:
        """Those (name, version) that binding() finds nothing for: many names at once."""
        pending = {key: hashed(key[0]) for key in names}
        for _, file in self._objects():
            for key in file.table.holding(pending):
                if self._match(file, pending[key], key[1]) is not None:
                    del pending[key]
        return {key for key in pending if not self._is_musl or self.binding(*key) is None}

    def _match(
        self, file: SymbolFile, name: HashedName, version: str | None, newest: bool = False
    ) -> Entry | None:
        if self._is_musl:
            return file.musl_match(name)
        entry = file.glibc_match(name, version, exact_first=self._exact_first, newest=newest)
        return entry if entry is not None and _is_visible(entry) else None

    def _without_64(self, name: str) -> Binding | None:
        """musl from 1.2.4 on takes its own open for an old object's open64."""
        found = self.binding(name[:-2])
        provider = found.dependency if found is not None else None
        itself = provider is not None and provider.found_by is FoundBy.INTERPRETER
        return found if itself else None

    def files(self) -> Iterator[tuple[Dependency | None, SymbolFile]]:
        """The objects in lookup order, None standing for the program; those that can't be read
        are left out."""
        return iter(self._objects())

    def _objects(self) -> Iterable[tuple[Dependency | None, SymbolFile]]:
        if self._next == len(self._graph.scope):
            return self._files
        return self._opening()

    def _opening(self) -> Iterator[tuple[Dependency | None, SymbolFile]]:
        """All objects; one lookup may open what another one, still under way, comes to later."""
        place = 0
        while place < len(self._files) or self._open_next():
            yield self._files[place]
            place += 1

    def _open_next(self) -> bool:
        """Open the next file of the scope that can be read; False: there is none."""
        while self._next < len(self._graph.scope):
            dependency = self._graph.scope[self._next].dependency
            self._next += 1
            file = self._graph.file if dependency is None else dependency.file
            if file is None:
                continue
            try:
                self._files.append((dependency, SymbolFile(file)))
            except SymprobeError:  # gone since the graph was made
                continue
            return True
        return False


def binding(graph: DependencyGraph, name: str, version: str | None = None) -> Binding | None:
    """The definition that the loader would bind a reference to, or None.

    version: of the reference, None for one without a version (an old object, or musl).
    """
    return Scope(graph).binding(name, version)


def _is_visible(entry: Entry) -> bool:
    """Neither hidden nor internal, and of a binding that counts."""
    return entry.other & 3 not in (1, 2) and entry.info >> 4 in _BINDS_OF_SCOPE


def _binding(name: str, dependency: Dependency | None, file: SymbolFile, entry: Entry) -> Binding:
    version, default = None, False
    if entry.versym is not None:
        version = file.versions.get(entry.versym & ~_HIDDEN)
        default = version is not None and not entry.versym & _HIDDEN
    return Binding(
        name,
        dependency,
        file.file,
        entry.number,
        version,
        default,
        entry.value,
        entry.size,
        entry.info & 15,
        entry.info >> 4,
    )
