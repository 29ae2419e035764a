"""The constants of a loader, read from the bytes of its own file.

Where a loader looks is compiled into it, and differs between distributions (Debian's multiarch,
Fedora's lib64, Nix's store): its file says so, for another root too. Sources: elf/dl-load.c
(system_dirs), elf/dl-cache.c, elf/dl-hwcaps*.c, elf/dl-usage.c (the version) of glibc;
ldso/dynlink.c of musl.
"""

from typing import NamedTuple

from symprobe.loader.candidate import HeaderRules
from symprobe.loader.cpu import LEVELS
from symprobe.loader.machine import Machine
from symprobe.loader.values import Flavor

_MOST_BYTES = 16 << 20
"""Of a loader's file that are looked at; real ones have 0.2 to 1 MB."""
_LONGEST = 1024
_CODEC = ("utf-8", "surrogateescape")
MUSL_DIRECTORIES = ("/lib", "/usr/local/lib", "/usr/lib")


class LoaderConstants(NamedTuple):
    """system_directories: each ends in a slash.  lib: $LIB.  hwcaps: glibc-hwcaps levels that it
    knows, the best first.  version: glibc's, None when its file doesn't say (before 2.26 or so).
    musl_path: musl's file of directories, without its prefix.  read: whether a file was read, or
    these are the usual ones."""

    flavor: Flavor
    system_directories: tuple[str, ...]
    cache_path: str = "/etc/ld.so.cache"
    preload_path: str = "/etc/ld.so.preload"
    lib: str = "lib"
    hwcaps: tuple[str, ...] = ()
    version: tuple[int, int] | None = None
    musl_path: str = ""
    header_rules: HeaderRules = HeaderRules.GLIBC
    read: bool = True

    @property
    def has_legacy_hwcaps(self) -> bool:
        """glibc up to 2.36 looks into tls/, x86_64/ and the like too."""
        return self.version is not None and self.version < (2, 37)


def constants_in(data: bytes, machine: Machine, directories: tuple[str, ...]) -> LoaderConstants:
    """The constants in a loader's bytes; what is not found there is as usual.

    directories: the usual system directories, if the file names none.
    """
    data = data[:_MOST_BYTES]
    if b"musl libc" in data:
        return _musl_constants(data, machine)
    own = _system_directories(data)
    directories = own or directories
    return LoaderConstants(
        Flavor.GLIBC,
        directories,
        _string_with(data, b"/ld.so.cache\0") or "/etc/ld.so.cache",
        _string_with(data, b".preload\0") or "/etc/ld.so.preload",
        _lib(data, directories),
        _levels(data, machine),
        _version(data),
        header_rules=_header_rules(data, directories),
        read=bool(own),
    )


def _musl_constants(data: bytes, machine: Machine) -> LoaderConstants:
    path = _string_with(data, b".path\0") or ""  # "%.*s/etc/ld-musl-x86_64.path"
    directories = _string_with(data, b":/usr/local/lib:")
    return LoaderConstants(
        Flavor.MUSL,
        tuple(directories.split(":")) if directories else MUSL_DIRECTORIES,
        musl_path=path[path.find("/etc/") :] if "/etc/" in path else _musl_path(machine),
        header_rules=HeaderRules.MUSL,
    )


def _string_at(data: bytes, place: int) -> str:
    """The string of printable characters around a place that lies within one."""
    start = place
    while start > 0 and 0x20 < data[start - 1] < 0x7F and place - start < _LONGEST:
        start -= 1
    end = data.find(b"\0", place, place + _LONGEST)
    return _text(data[start : end if end >= 0 else place + _LONGEST])


def _string_with(data: bytes, part: bytes) -> str | None:
    """The first string that holds `part`; a NUL in it is the string's end."""
    place = data.find(part)
    return _string_at(data, place) if place >= 0 else None


def _levels(data: bytes, machine: Machine) -> tuple[str, ...]:
    """The colon list of glibc-hwcaps levels."""
    known = LEVELS.get(machine.name)
    if known is None:
        return ()
    prefix = known[-1].rstrip("0123456789").encode()  # x86-64-v, z, power
    place = -1
    while (place := data.find(b"\0" + prefix, place + 1)) >= 0:
        text = data[place + 1 : data.find(b"\0", place + 1)]
        names = text.split(b":")
        if all(name.startswith(prefix) and name[len(prefix) :].isdigit() for name in names):
            found = tuple(map(_text, names))
            if known[-1] in found:
                return found
    return ()


def _version(data: bytes) -> tuple[int, int] | None:
    """`release version 2.36`, which loaders since 2.33 print with --version."""
    place = data.find(b"release version ")
    if place < 0:
        return None
    major, _, rest = data[place + 16 : place + 32].partition(b".")
    minor = rest.split(b".")[0].split(b"\0")[0].strip()
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None


def _system_directories(data: bytes) -> tuple[str, ...]:
    """The longest run of absolute directories, each ended by a slash and NUL, that has a `lib`."""
    best: list[str] = []
    run: list[str] = []
    following, end = -1, data.find(b"/\0")
    while end >= 0:
        text = _string_at(data, end)
        text = text[text.index("/") :]  # what stands before the first one may be printable too
        if len(text) > 1:
            run = [*run, text] if end + 1 - len(text) == following else [text]
            following = end + 2
            if len(run) > len(best) and any("/lib" in directory for directory in run):
                best = run
        end = data.find(b"/\0", end + 2)
    return tuple(best)


def usual_constants(
    flavor: Flavor, machine: Machine, directories: tuple[str, ...]
) -> LoaderConstants:
    """What a loader whose file is not there would most likely do."""
    if flavor is Flavor.MUSL:
        return LoaderConstants(
            flavor,
            MUSL_DIRECTORIES,
            musl_path=_musl_path(machine),
            header_rules=HeaderRules.MUSL,
            read=False,
        )
    return LoaderConstants(
        flavor,
        directories,
        lib=_lib(b"", directories),
        hwcaps=LEVELS.get(machine.name, ()),
        header_rules=_header_rules(b"", directories),
        read=False,
    )


def _header_rules(data: bytes, directories: tuple[str, ...]) -> HeaderRules:
    """Debian's glibc names itself in its version (since 2.33), or by its directories."""
    named = b"(Debian GLIBC" in data or b"(Ubuntu GLIBC" in data
    multiarch = any("-linux-gnu" in directory for directory in directories)
    return HeaderRules.DEBIAN if named or multiarch else HeaderRules.GLIBC


def _lib(data: bytes, directories: tuple[str, ...]) -> str:
    """$LIB: the string of its own that is the tail of a system directory; else that tail."""
    tails = [directory.strip("/") for directory in directories]
    tails += [tail.removeprefix("usr/") for tail in tails]
    named = [tail for tail in tails if b"\0" + tail.encode(*_CODEC) + b"\0" in data]
    if named:
        return max(named, key=len)
    first = tails[0] if tails else "lib"
    return first if first.startswith("lib") else first.rsplit("/", 1)[-1]


def _musl_path(machine: Machine) -> str:
    return f"/etc/ld-musl-{machine.musl_name}.path"


def _text(data: bytes) -> str:
    return data.decode(*_CODEC)
