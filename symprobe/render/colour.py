"""Colours for lines that are read on a terminal: what they are about, and what is wrong with it.

Lines are painted as they are, escaped already; no colour carries anything that the text does not
say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_BOLD, _DIM, _RED, _GREEN, _YELLOW, _CYAN = ("\x1b[1m", "\x1b[2m", *(f"\x1b[3{n}m" for n in "1236"))
_RESET = "\x1b[0m"
_RULES = (
    (r"(broken|BROKEN|INCOMPATIBLE|removed|incomplete|missing|rejected)\b", _RED),
    (r"(held|compatible|same|added|ok)\b", _GREEN),
    (r"(changed|warning)\b", _YELLOW),
    (r"(defines)\b", _GREEN),
    (r"(imports)\b", _CYAN),
    (r"(\S.*:)(  \(build ID [0-9a-f]+\))?$", _BOLD),
    # A row of `ls`: all but the name, which is last.
    (r"([0-9a-f]{8,16} +\d+ \S+ +\S+ +\S+ +)\S", _DIM),
    (r" +\d+ \w+ +\w+ +(UND) +\S", _YELLOW),
    (r".*(not found)\b", _RED),
)
_PATTERNS = tuple((re.compile(pattern), colour) for pattern, colour in _RULES)


def painted(lines: Iterable[str]) -> Iterator[str]:
    """The lines with colours. A text may hold many lines."""
    return (_painted(line) for text in lines for line in text.split("\n"))


def _painted(line: str) -> str:
    for pattern, colour in _PATTERNS:
        found = pattern.match(line)
        if found is not None:
            start, end = found.span(1)
            return f"{line[:start]}{colour}{line[start:end]}{_RESET}{line[end:]}"
    return line
