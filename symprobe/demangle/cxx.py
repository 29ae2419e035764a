"""`__cxa_demangle` of this machine's libstdc++, for many names at once.

PyDLL keeps the interpreter's lock: a call takes a microsecond, and threads may share the buffer.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import repeat

_BUFFER = 1 << 20
"""Bytes for the text of one tame name, which needs a quarter of them at most."""


class Cxx:
    """The demangler. Names without NUL; nothing for one that is not taken."""

    def __init__(self, library: ctypes.PyDLL) -> None:
        process = ctypes.PyDLL(None)
        malloc, self._free = process["malloc"], process["free"]
        malloc.argtypes, malloc.restype = (ctypes.c_size_t,), ctypes.c_void_p
        self._free.argtypes, self._free.restype = (ctypes.c_void_p,), None
        # Two objects for one function: what a result is made into belongs to the object. Neither
        # has argtypes: arguments that are converted once make a call a third shorter.
        self._into_buffer, self._allocating = library["__cxa_demangle"], library["__cxa_demangle"]
        self._into_buffer.restype, self._allocating.restype = ctypes.c_char_p, ctypes.c_void_p
        self._size = ctypes.c_size_t(_BUFFER)
        self._buffer = ctypes.c_void_p.from_param(malloc(_BUFFER)), ctypes.byref(self._size)

    def tame(self, names: Sequence[bytes]) -> list[str]:
        """The texts of tame names, empty for one not taken; the library would free the buffer for
        one that it can't hold."""
        found = map(self._into_buffer, names, *map(repeat, self._buffer), repeat(None))
        texts = b"\0".join([text or b"" for text in found])
        return texts.decode("utf-8", "surrogateescape").split("\0") if names else []

    def any(self, name: bytes) -> str | None:
        """The text of one name, however long."""
        pointer = self._allocating(name, None, None, None)
        if not pointer:
            return None
        try:
            return ctypes.string_at(pointer).decode("utf-8", "surrogateescape")
        finally:
            self._free(pointer)


def find() -> Cxx | None:
    """The C++ demangler of this machine; None when it has none."""
    try:
        return Cxx(ctypes.PyDLL("libstdc++.so.6"))
    except OSError:
        pass
    try:
        import cxxfilt  # finds a library that is not called libstdc++.so.6

        return Cxx(ctypes.PyDLL(cxxfilt.find_any_library("stdc++", "c++")))
    except Exception:  # cxxfilt.LibraryNotFound, or an OSError from its import
        return None
