"""Text that is safe on a terminal, whatever the file holds."""

from __future__ import annotations


def escape(text: str) -> str:
    """The text with everything that is not plainly printable written out.

    Control characters, line and paragraph separators, bidi overrides and other
    format characters become \\x1b or \\u202e; a byte that was not UTF-8 becomes \\xff. What is
    escaped this way has its own backslashes doubled, so that it can't be
    confused with a name that holds the escape itself.
    """
    if text.isprintable():
        return text
    return "".join(_escaped(char) for char in text)


def _escaped(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a surrogate escape: one byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def path_line(path: str, links: tuple[str, ...]) -> str:
    """A file with its chain of symbolic links: `/lib64/libc.so.6 -> libc-2.17.so`."""
    return " -> ".join(escape(part) for part in (path, *links))
