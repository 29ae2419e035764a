"""What one call reads: every file once, whatever asks for it.

Several thousand programs share their libraries: a Session keeps parsed files by inode, the
outcome of each place tried, the loader's constants and its cache.
"""

import errno
import os
from collections.abc import Callable
from typing import NamedTuple

from symprobe.elf.source import FileSource
from symprobe.errors import FileError, SymprobeError
from symprobe.loader.cache import LoaderCache, read_cache
from symprobe.loader.candidate import HeaderRules, Opened, check_header
from symprobe.loader.constants import LoaderConstants, constants_in
from symprobe.loader.cpu import LEVELS, Cpu, below, cpu_of
from symprobe.loader.library import Library, read_library
from symprobe.loader.machine import Machine, native_machine
from symprobe.loader.root import Root
from symprobe.loader.values import Attempt, FoundBy, Outcome
from symprobe.model import FilePath

_MOST_ATTEMPTS = 100_000
"""Places tried for one file: beyond all real ones, against search paths without end."""


class Found(NamedTuple):
    """What came of the search for one name. opened: of the place where it ended (None: nowhere);
    path: that place; tried: every place, in order."""

    opened: Opened | None
    path: str
    by: FoundBy | None
    of: str
    tried: tuple[Attempt, ...]

    @property
    def library(self) -> Library | None:
        return self.opened.library if self.opened is not None else None


class Session:
    """Files as seen below one root, remembered.

    hwcaps: glibc-hwcaps levels, each with those below it; None: what this machine's processor
    has, for programs that it can run, and none for others.
    """

    def __init__(self, root: str = "", hwcaps: tuple[str, ...] | None = None) -> None:
        self.root = Root(root)
        self._hwcaps = hwcaps
        self._opened: dict[tuple[str, Machine, HeaderRules], Opened] = {}
        self._libraries: dict[tuple[int, int], tuple[bytes, Library | SymprobeError]] = {}
        self._constants: dict[tuple[int, int], LoaderConstants] = {}
        self._caches: dict[tuple[str, bool], LoaderCache | None] = {}
        self._cpuinfo: str | None = None
        self.attempts = 0
        """Places tried; whoever starts on a new file sets it back."""
        self.found: dict[tuple[object, ...], Found] = {}
        """Searches that were done, by all that they depend on."""
        self.traced: dict[str, tuple[str, tuple[str, ...]]] = {}
        """(realpath, links) by path."""

    def open(self, path: str, machine: Machine, rules: HeaderRules) -> Opened:
        """What a loader of that machine gets when it opens a path."""
        key = (path, machine, rules)
        known = self._opened.get(key)
        if known is None:
            self.count(path)
            known = self._opened[key] = self._open(path, machine, rules)
        return known

    def count(self, path: str) -> None:
        """One more place is tried. Errors: FileError when there have been too many."""
        self.attempts += 1
        if self.attempts > _MOST_ATTEMPTS:
            raise FileError(f"more than {_MOST_ATTEMPTS} places would be searched", file=path)

    def _open(self, path: str, machine: Machine, rules: HeaderRules) -> Opened:
        try:
            file, fd = self.root.open(path)
        except OSError as error:
            return _not_opened(error)
        except FileError as error:
            return Opened(Outcome.FATAL, _NOT_REGULAR.get(error.what, error.what))
        source = FileSource(file, fd)
        try:
            head, library = self._read(source)
        finally:
            source.close()
        refusal = check_header(head, machine, rules)
        if refusal is not None:
            return refusal
        if isinstance(library, SymprobeError):
            return Opened(Outcome.FATAL, library.what)
        return Opened(Outcome.FOUND, library=library, file=file)

    def library(self, source: FileSource) -> Library:
        """What a loader reads of a file. Errors: MalformedError."""
        library = self._read(source)[1]
        if isinstance(library, SymprobeError):
            raise library
        return library

    def _read(self, source: FileSource) -> tuple[bytes, Library | SymprobeError]:
        known = self._libraries.get(source.inode)
        if known is None:
            result: Library | SymprobeError
            try:
                result = read_library(source)
            except SymprobeError as error:
                result = error
            known = self._libraries[source.inode] = source.read_available(0, 64), result
        return known

    def constants(self, file: FilePath, machine: Machine) -> LoaderConstants:
        """The constants of the loader in that file. Errors: FileError."""
        source = FileSource(file)
        try:
            known = self._constants.get(source.inode)
            if known is None:
                data = source.read_available(0, source.size)
                known = constants_in(data, machine, self.usual_directories(machine))
                self._constants[source.inode] = known
        finally:
            source.close()
        return known

    def usual_directories(self, machine: Machine) -> tuple[str, ...]:
        """System directories where no loader's file tells them: Debian's if they are there."""
        triplet = _TRIPLETS.get(machine.name)
        if triplet is not None and self.root.is_directory(f"/usr/lib/{triplet}"):
            return (f"/lib/{triplet}/", f"/usr/lib/{triplet}/", "/lib/", "/usr/lib/")
        wide = ("/lib64/", "/usr/lib64/") if machine.bits == 64 else ()
        return (*wide, "/lib/", "/usr/lib/")

    def cache(self, path: str, machine: Machine) -> LoaderCache | None:
        """The loader's cache; None when there is none. Errors: FileError."""
        key = (path, machine.big_endian)
        if key not in self._caches:
            self._caches[key] = None
            try:
                file = self.root.locate(path)
            except OSError:
                return None
            self._caches[key] = read_cache(file, big_endian=machine.big_endian)
        return self._caches[key]

    def cpu(self, machine: Machine) -> Cpu:
        """The processor for programs of that machine."""
        if self._hwcaps is not None:
            wanted = {level for name in self._hwcaps for level in below(machine.name, name)}
            return Cpu(tuple(level for level in LEVELS.get(machine.name, ()) if level in wanted))
        native = native_machine().name
        if machine.name != native and (native, machine.name) not in _ALSO_NATIVE:
            return Cpu(known=False)
        if self._cpuinfo is None:
            try:
                with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
                    self._cpuinfo = file.read(16384)
            except OSError:
                self._cpuinfo = ""
        return cpu_of(native, self._cpuinfo)

    def cpu_for(self, machine: Machine) -> Callable[[], Cpu]:
        """As cpu(), to be called when it matters."""
        return lambda: self.cpu(machine)

    def trace(self, path: str) -> tuple[str, tuple[str, ...]]:
        """(realpath, links) of a file that was opened."""
        known = self.traced.get(path)
        if known is None:
            try:
                known = self.root.trace(path)
            except OSError:
                known = path, ()
            self.traced[path] = known
        return known

    def read_text(self, path: str) -> str | None:
        """A small configuration file, or None when it can't be read."""
        try:
            # As rtld.c does it: what most often is not there is not even opened.
            if not os.access(self.root.locate(path).opened, os.R_OK):
                return None
            _, fd = self.root.open(path)
        except (OSError, FileError):
            return None
        with os.fdopen(fd, "rb") as file:
            try:
                return file.read(1 << 20).decode("utf-8", "surrogateescape")
            except OSError:
                return None


_ALSO_NATIVE = {("x86_64", "i386"), ("x86_64", "x32")}
_TRIPLETS = {
    "x86_64": "x86_64-linux-gnu", "x32": "x86_64-linux-gnux32", "i386": "i386-linux-gnu",
    "aarch64": "aarch64-linux-gnu", "arm": "arm-linux-gnueabihf", "s390x": "s390x-linux-gnu",
    "powerpc64": "powerpc64-linux-gnu", "powerpc64le": "powerpc64le-linux-gnu",
    "riscv64": "riscv64-linux-gnu", "mips": "mips-linux-gnu", "mipsel": "mipsel-linux-gnu",
}  # fmt: skip
_NOT_REGULAR = {
    "is a directory": "cannot read file data: Is a directory",
    "is a FIFO": "is a FIFO: the loader would wait for its other end",
}


def _not_opened(error: OSError) -> Opened:
    number = error.errno or 0
    if number in (errno.ENOENT, errno.ENOTDIR):
        return Opened(Outcome.MISSING, "", number)
    return Opened(Outcome.UNREADABLE, os.strerror(number), number)
