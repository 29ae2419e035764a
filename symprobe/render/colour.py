"""Colours for lines that are read on a terminal: what they are about, and what is wrong with it.

Lines are painted as they are, escaped already; no colour carries anything that the text does not
say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice

_BOLD, _DIM, _RED, _GREEN, _YELLOW, _CYAN = ("\x1b[1m", "\x1b[2m", *(f"\x1b[3{n}m" for n in "1236"))
_RESET = "\x1b[0m"
_FOR_MACHINES = ("{", "[", "<", "#", ":", "digraph")
"""What the first line of a document begins with: JSON, TOML, XML, Markdown, commands of GitHub."""
_RULES = (
    (r"(broken|BROKEN|INCOMPATIBLE|removed|incomplete|missing|rejected)\b", _RED),
    (r"(held|compatible|same|added|ok)\b", _GREEN),
    (r"(changed|warning)\b", _YELLOW),
    (r"(defines)\b", _GREEN),
    (r"(imports)\b", _CYAN),
    (r"(\S.*:$)", _BOLD),
    # A row of `ls`: all but the name, which is last.
    (r"([0-9a-f]{8,16} +\d+ \S+ +\S+ +\S+ +)\S", _DIM),
    (r" +\d+ \w+ +\w+ +(UND) +\S", _YELLOW),
    (r".*(not found)\b", _RED),
)
_PATTERNS = tuple((re.compile(pattern), colour) for pattern, colour in _RULES)


def painted(lines: Iterable[str]) -> Iterator[str]:
    """The lines with colours; a document for machines as it is. A text may hold many lines."""
    lines = iter(lines)
    first = list(islice(lines, 1))
    whole = chain(first, lines)
    if first and first[0].startswith(_FOR_MACHINES):
        return whole
    return (_painted(line) for text in whole for line in text.split("\n"))


def _painted(line: str) -> str:
    for pattern, colour in _PATTERNS:
        found = pattern.match(line)
        if found is not None:
            start, end = found.span(1)
            return f"{line[:start]}{colour}{line[start:end]}{_RESET}{line[end:]}"
    return line
