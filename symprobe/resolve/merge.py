"""Several answers to one: each place and each refusal is told once."""

from collections.abc import Iterable, Sequence
from operator import itemgetter

from symprobe.probe import ProbeTarget, Rejected

_OFFSET = itemgetter(ProbeTarget._fields.index("offset"))


def merged(targets: Sequence[ProbeTarget]) -> Iterable[ProbeTarget]:
    """Targets unique by inode and offset, each with all the names that it was found under."""
    if len(set(map(_OFFSET, targets))) == len(targets):  # all functions of a binary, say
        return targets
    places: dict[tuple[tuple[int, int], int], ProbeTarget] = {}
    for target in targets:
        known = places.setdefault((target.inode, target.offset), target)
        if known is target:
            continue
        names = dict(
            zip(known.names + target.names, known.demangled + target.demangled, strict=True)
        )
        notes = tuple(dict.fromkeys(known.notes + target.notes))
        places[target.inode, target.offset] = known._replace(
            names=tuple(names), demangled=tuple(names.values()), notes=notes
        )
    return places.values()


def without_twins(rejected: Iterable[Rejected]) -> tuple[Rejected, ...]:
    """Without the bare name where the same is said of it with its version: `.symtab` and debug
    files have the names of `.dynsym` once more, most of them without a version."""
    several = tuple(rejected)
    versioned = {r._replace(name=r.name.partition("@")[0]) for r in several if "@" in r.name}
    return tuple(r for r in several if r not in versioned)
