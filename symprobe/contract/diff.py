"""diff: what a new build of a library exports otherwise than the old one, and whom that breaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from symprobe.contract.rules import version_parts
from symprobe.contract.subject import UNLINKED, Subject
from symprobe.demangle import demangle_many
from symprobe.errors import FileError, PatternError
from symprobe.model import Kind, Symbol, TextEnum

_CODE = (Kind.FUNC, Kind.IFUNC, Kind.NOTYPE)
_DATA = (Kind.OBJECT, Kind.TLS, Kind.COMMON)


class What(TextEnum):
    """What of a symbol changed."""

    KIND = "kind"
    SIZE = "size"
    """Of an object: programs that have a copy of it, or reach into it, break."""
    VERSION = "version"
    DEFAULT = "default-version"
    """Whether it is the version that new programs are linked to."""
    BINDING = "binding"


@dataclass(frozen=True)
class Change:
    """One thing about a symbol that is in both. compatible: programs linked to the old one still
    run with the new one."""

    symbol: Symbol
    what: What
    old: str
    new: str
    compatible: bool


@dataclass(frozen=True)
class Pair:
    """A fact of both files that differs; '' where one has none."""

    old: str
    new: str


@dataclass(frozen=True)
class Difference:
    """old, new: the paths shown.  machine, soname: None where they are the same.  needed_removed,
    needed_added: DT_NEEDED names.  required: the highest version of a family that is asked for."""

    old: str
    new: str
    removed: tuple[Symbol, ...]
    added: tuple[Symbol, ...]
    changed: tuple[Change, ...]
    machine: Pair | None
    soname: Pair | None
    needed_removed: tuple[str, ...]
    needed_added: tuple[str, ...]
    required: tuple[Pair, ...]

    @property
    def compatible(self) -> bool:
        """Whether programs linked to the old file run with the new one, as far as names tell."""
        broken = self.removed or self.machine or self.soname
        return not broken and all(change.compatible for change in self.changed)

    @property
    def same(self) -> bool:
        """Whether there is nothing to tell."""
        facts = (self.machine, self.soname, self.needed_removed, self.needed_added, self.required)
        return not (self.removed or self.added or self.changed or any(facts))


def diff(old: Subject, new: Subject) -> Difference:
    """How two builds of a library (or object, archive, program) differ for who uses them.

    Errors: FileError when the names of one can't be told.
    """
    for subject in (old, new):
        if subject.no_names:
            raise FileError(subject.no_names, file=subject.file.shown)
    before, after = _by_name(old), _by_name(new)
    changed = [c for key in before if key in after for c in _changes(before[key], after[key])]
    gone = {key: s for key, s in before.items() if key not in after}
    come = {key: s for key, s in after.items() if key not in before}
    moved = _moved(gone, come)
    needed = [_needed(subject) for subject in (old, new)]
    removed, added = _readable(gone.values()), _readable(come.values())
    return Difference(
        old.file.shown,
        new.file.shown,
        removed,
        added,
        tuple(sorted(moved + _readable_changes(changed), key=lambda c: _order(c.symbol))),
        _pair(_machine(old), _machine(new)),
        _pair(_soname(old), _soname(new)),
        tuple(name for name in needed[0] if name not in needed[1]),
        tuple(name for name in needed[1] if name not in needed[0]),
        tuple(_required(old, new)),
    )


_Key = tuple[str, "str | None"]


def _by_name(subject: Subject) -> dict[_Key, Symbol]:
    return {(s.name, s.version): s for s in subject.exported(None)}


def _moved(gone: dict[_Key, Symbol], come: dict[_Key, Symbol]) -> list[Change]:
    """Takes out what went in one version and came in another, and tells of it as one change."""
    went: dict[str, list[_Key]] = {}
    for key in gone:
        went.setdefault(key[0], []).append(key)
    came: dict[str, list[_Key]] = {}
    for key in come:
        came.setdefault(key[0], []).append(key)
    changes = []
    for name, keys in went.items():
        if len(keys) != 1 or len(came.get(name, ())) != 1:
            continue
        old, new = gone.pop(keys[0]), come.pop(came[name][0])
        # A program that asked for no version is given the one there is.
        compatible = old.version is None
        (symbol,) = _readable([new])
        changes.append(
            Change(symbol, What.VERSION, old.version or "none", new.version or "none", compatible)
        )
        changes += _readable_changes(_changes(old, new, versions=False))
    return changes


def _changes(old: Symbol, new: Symbol, *, versions: bool = True) -> list[Change]:
    """How a symbol of one name differs."""
    found = []
    if old.kind != new.kind:
        same_use = any({old.kind, new.kind} <= set(kinds) for kinds in (_CODE, _DATA[::2]))
        found.append(Change(new, What.KIND, old.kind, new.kind, same_use))
    if old.kind in _DATA and new.kind in _DATA and old.size != new.size and old.size and new.size:
        found.append(Change(new, What.SIZE, str(old.size), str(new.size), False))
    if old.bind != new.bind:
        found.append(Change(new, What.BINDING, old.bind, new.bind, True))
    if versions and old.default_version != new.default_version:
        words = ("not the default", "the default")
        said = words[old.default_version], words[new.default_version]
        found.append(Change(new, What.DEFAULT, *said, True))
    return found


def _readable(symbols: Iterable[Symbol]) -> tuple[Symbol, ...]:
    """Demangled, in the order of their names."""
    ordered = sorted(symbols, key=_order)
    names = demangle_many([s.name for s in ordered])
    return tuple(s._replace(demangled=n) for s, n in zip(ordered, names, strict=True))


def _readable_changes(changes: list[Change]) -> list[Change]:
    names = demangle_many([c.symbol.name for c in changes])
    return [
        Change(c.symbol._replace(demangled=n), c.what, c.old, c.new, c.compatible)
        for c, n in zip(changes, names, strict=True)
    ]


def _order(symbol: Symbol) -> tuple[str, str]:
    return symbol.name, symbol.version or ""


def _pair(old: str, new: str) -> Pair | None:
    return None if old == new else Pair(old, new)


def _machine(subject: Subject) -> str:
    image = next((b.image for b in subject.binaries()), None)
    return "" if image is None else f"{image.machine} {image.bits} bit"


def _soname(subject: Subject) -> str:
    dynamic = None if subject.linkage in UNLINKED else subject.binary.dynamic
    return (dynamic.soname or "") if dynamic is not None else ""


def _needed(subject: Subject) -> list[str]:
    dynamic = None if subject.linkage in UNLINKED else subject.binary.dynamic
    return dynamic.needed if dynamic is not None else []


def _required(old: Subject, new: Subject) -> list[Pair]:
    before, after = highest_versions(old), highest_versions(new)
    families = dict.fromkeys([*before, *after])
    pairs = (_pair(before.get(f, ""), after.get(f, "")) for f in families)
    return [pair for pair in pairs if pair is not None]


def highest_versions(subject: Subject) -> dict[str, str]:
    """The highest version that a file asks for, of each family."""
    found: dict[str, tuple[tuple[int, ...], str]] = {}
    if subject.linkage in UNLINKED:
        return {}
    for need in subject.binary.versions.requirements:
        try:
            family, number = version_parts(need.version)
        except PatternError:
            continue
        if not need.version.endswith(
            tuple("0123456789")
        ):  # GLIBC_ABI_DT_RELR: the release it means
            version = family + ".".join(map(str, number))
        else:
            version = need.version
        found[family] = max((number, version), found.get(family, ((), "")))
    return {family: version for family, (_, version) in sorted(found.items())}
