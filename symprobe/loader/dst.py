"""Dynamic string tokens: $ORIGIN, $LIB and $PLATFORM in names and directory lists.

Source: _dl_dst_substitute, is_dst and is_trusted_path_normalize in elf/dl-load.c of glibc.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import NamedTuple

_TOKEN = r"\$(?:\{(ORIGIN|PLATFORM|LIB)\}|(ORIGIN|PLATFORM|LIB)(?![A-Za-z0-9_]))"
"""Compiled when a text holds a `$` at all, which is seldom."""


class Tokens(NamedTuple):
    """The values of the tokens for one object; None: it has none, and what uses it is dropped.

    secure: $ORIGIN counts only as the first component.  trusted: system directories below which
    a program's expanded $ORIGIN must lead in secure mode (empty: no such check).
    """

    origin: str | None
    lib: str
    platform: Callable[[], str | None]
    secure: bool = False
    trusted: tuple[str, ...] = ()

    def expand(self, text: str) -> str | None:
        """The text with all tokens replaced; None when one has no value (or is not allowed)."""
        if "$" not in text:
            return text
        parts: list[str] = []
        end, has_origin = 0, False
        for match in re.finditer(_TOKEN, text):
            name = match[1] or match[2]
            value = self._value(name)
            if name == "ORIGIN":
                has_origin = True
                if self.secure and not _is_first_component(text, match):
                    value = None
            if value is None:
                return None
            parts += (text[end : match.start()], value)
            end = match.end()
        result = "".join(parts) + text[end:]
        if has_origin and self.secure and self.trusted and not _is_below(result, self.trusted):
            return None
        return result

    def _value(self, name: str) -> str | None:
        if name == "ORIGIN":
            return self.origin
        return self.lib if name == "LIB" else self.platform()


def has_token(text: str) -> bool:
    """Whether a text holds a token that a loader knows."""
    return "$" in text and re.search(_TOKEN, text) is not None


def _is_first_component(text: str, match: re.Match[str]) -> bool:
    return match.start() == 0 and text[match.end() : match.end() + 1] in ("", "/")


def _is_below(path: str, directories: tuple[str, ...]) -> bool:
    normal = os.path.normpath(path).replace("//", "/").rstrip("/") + "/"
    return normal.startswith(directories)
