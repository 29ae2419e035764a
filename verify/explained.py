"""Differences from readelf that are no fault of ours, each by a rule that the file must prove.

docs/verification.md says more of each. What no rule explains is a finding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from symprobe.errors import MalformedError
from tests.support.compare_readelf import Item, Sides
from tests.support.readelf import run, visible

CLASSES = {
    "name outside": "a name outside its string table: readelf shows <corrupt>, we leave the row "
    "out and warn",
    "twice": "the same entry twice, with another visibility: one row",
    "versions": "readelf takes versions from where the dynamic section says, we from the section "
    "headers, as nm and eu-readelf do; this file's don't agree",
    "bsd archive": "readelf can't read the names of BSD archives",
    "no tables": "readelf sees no table where eu-readelf, nm or the loader's view has one",
    "archive ends": "an archive ends within a member: both read what is there, we also say so",
    "heading": "the table's section has no readable name: the same rows under another heading",
    "nameless section": "a section whose name is outside the table of names: its symbol is "
    "<corrupt> for readelf, without a name for us",
    "damaged": "another row of a table that readelf complains of too",
}

_ARCHIVE_ENDS = f"the archive is cut short: {MalformedError.default_next_step}"


def explained(path: str, sides: Sides) -> tuple[Counter[str], list[str]]:
    """(differences by class, those without an explanation as lines)."""
    counts: Counter[str] = Counter()
    ours, theirs = set(sides.ours - sides.theirs), set(sides.theirs - sides.ours)
    if any("outside its string table" in clause for clause in sides.warnings):
        corrupt = {item for item in theirs if item[2].name.startswith("<corrupt>")}
        counts["name outside"] += len(corrupt)
        theirs -= corrupt
    everything = {_but(item, visibility="") for item in sides.ours}
    again = {item for item in theirs if _but(item, visibility="") in everything}
    counts["twice"] += len(again)
    theirs -= again
    if _is_bsd_archive(path):
        counts["bsd archive"] += len(ours)
        ours = set()
    if ours and not sides.theirs:
        counts["no tables"] += len(ours)
        ours = set()
    complaints = run("readelf", "-W", "--syms", "--dyn-syms", path, errors=True)
    if ours | theirs and (complaints or sides.warnings or _agreed(path, ours)):
        by_name = _matched(ours, theirs, lambda item: _but(item, name=_bare(item[2].name)))
        counts["versions"] += len(by_name)
        ours -= by_name
        theirs -= by_name
    if complaints:
        for name, key in _ALIKE.items():
            alike = _matched(ours, theirs, key)
            counts[name] += len(alike)
            ours -= alike
            theirs -= alike
    if complaints or sides.warnings:
        counts["damaged"] += len(ours | theirs)
        ours, theirs = set(), set()
    refused = sides.refused
    if refused.endswith(_ARCHIVE_ENDS) and not ours | theirs:
        counts["archive ends"] += 1
        refused = ""
    rest = Sides(ours, theirs, refused).lines
    return +counts, rest


def _but(item: Item, **fields: str) -> Item:
    return item[0], item[1], item[2]._replace(**fields)


def _without_corrupt(item: Item) -> Item:
    return _but(item, name=item[2].name.replace("<corrupt>", ""))


def _without_heading(item: Item) -> Item:
    return item[0], "", _without_corrupt(item)[2]


_ALIKE = {"nameless section": _without_corrupt, "heading": _without_heading}


def _bare(name: str) -> str:
    """Without its version."""
    return name.partition("@")[0]


def _matched(ours: set[Item], theirs: set[Item], key: Callable[[Item], Item]) -> set[Item]:
    """The items of both sides whose key the other side has too."""
    keys = {key(item) for item in ours} & {key(item) for item in theirs}
    return {item for item in ours | theirs if key(item) in keys}


def _agreed(path: str, ours: set[Item]) -> bool:
    """Whether eu-readelf has the versions that we have and readelf has not."""
    said = {
        visible(word).replace("@@", "@")
        for line in run("eu-readelf", "-s", path).split("\n")
        for word in line.split(" ")
    }
    return all(item[2].name.replace("@@", "@") in said for item in ours)


def _is_bsd_archive(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(11) == b"!<arch>\n#1/"
