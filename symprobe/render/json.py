"""The one JSON document of a command."""

from __future__ import annotations

from typing import Any

from symprobe.render.text import escape


def document(command: str, body: dict[str, Any]) -> str:
    """The document with its schema name; numbers as numbers, no surrogates."""
    import json  # here, because render modules are loaded for text too

    # ASCII, so that it is the same, and valid, whatever the locale.
    return json.dumps({"schema": f"symprobe/{command}/1", **body})


def put_text(target: dict[str, Any], key: str, text: str | None) -> None:
    """Set `key`; a text that held bytes that are not UTF-8 is escaped, with the bytes in hex
    under `key`_hex beside it."""
    if text is None or text.isascii():
        target[key] = text
        return
    try:
        text.encode()
        target[key] = text
    except UnicodeEncodeError:
        target[key] = escape(text)
        target[f"{key}_hex"] = text.encode("utf-8", "surrogateescape").hex()


def texts(values: tuple[str, ...] | list[str]) -> list[str]:
    """A list of texts without surrogates."""
    return [v if v.isascii() or not _has_surrogates(v) else escape(v) for v in values]


def _has_surrogates(text: str) -> bool:
    return any(0xD800 <= ord(c) <= 0xDFFF for c in text)
