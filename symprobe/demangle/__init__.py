"""Names as people read them: C++ as `nm -C` spells it, Rust without its hash, all others untouched.

C++ (`_Z`, Itanium C++ ABI, and GCC's old `_GLOBAL__I_`): `__cxa_demangle` of libstdc++, the same
code as libiberty/cp-demangle.c in binutils.  It is called (cxx.py) without the wrapper of the
`cxxfilt` package, which takes twice as long a name and whose import runs `ldconfig` twice (20 ms).

Rust (v0 `_R`, and legacy `_ZN…17h<hash>E`): the rustc-demangle crate, which rustc's own tools
use, by way of `pyderust`.  It bounds its depth and its output by itself.

What `nm -C` does around the demanglers (bfd_demangle in bfd/bfd.c, rust_demangle in
libiberty/rust-demangle.c) is done here: leading `.` and `$`, and a version from `@` on, are put
aside and back; what follows the `.` behind a Rust name (`.llvm.123`, `.cold`) is dropped.

Names come from strangers, and `__cxa_demangle` trusts them.  It refuses names above 1,024 bytes,
which bounds its stack; but each substitution can double the text, each pack expansion multiply it,
and that of GCC 11 and 12 never returns from a name with an unresolved name (`sr`) that it can't
take.  Names that can do none of this are *tame*; for the others a child process is forked,
which may take LONGEST_CALL for each.  A list of names may grow to GROWTH times its size as a whole.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from functools import cache
from itertools import compress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from symprobe.demangle.cxx import Cxx

GROWTH, GROWTH_FLOOR = 8, 8 << 20
"""A list of names may become GROWTH times as long, or GROWTH_FLOOR characters if that is more:
the files of a Linux system stay below 3, single names below 31."""

LONGEST_CALL = 0.03
"""Seconds of processor time for one name that is not tame; real ones take 0.0001."""

_MOST_DEATHS = 8  # names that may take longer before all that are not tame stay raw
_LARGEST_TEXT = 1 << 20  # characters of one name that is not tame
_STUCK = 5_000  # milliseconds without an answer after which the child is killed
_CHUNK = 256  # names between two looks at what is left of the growth
_STARTS = ("_Z", "_R", "_GLOBAL_")
_FIRST = (*_STARTS, ".", "$")


class Allowance:
    """What the demanglers may still do for one list of names.

    left: characters to write.  deaths: how often a name took longer than LONGEST_CALL.
    """

    def __init__(self, left: int) -> None:
        self.left = left
        self.deaths = 0

    @classmethod
    def of(cls, names: Iterable[str]) -> Allowance:
        return cls(max(GROWTH_FLOOR, GROWTH * sum(map(len, names))))

    @property
    def used_up(self) -> bool:
        return self.left <= 0 or self.deaths >= _MOST_DEATHS

    def take(self, text: str | None) -> str | None:
        if text:
            self.left -= len(text)
        return text


def is_mangled(name: str) -> bool:
    """Whether any demangler could take the name (a cheap test; it may still stay raw)."""
    return name.lstrip(".$").startswith(_STARTS)


def demangle(name: str) -> str:
    """The demangled name, or the name itself when no demangler takes it.

    name: as in the string table, with or without `@VERSION`; bytes that are not UTF-8 are
    surrogate escapes, in the answer too.  Never raises.
    """
    return demangle_many((name,))[0]


def demangle_many(names: Iterable[str], allowance: Allowance | None = None) -> list[str]:
    """`demangle` for many names, in their order; what exceeds the growth allowed stays raw.

    allowance: of these names; what they took of it is gone afterwards.
    """
    result = list(names)
    if allowance is None:
        allowance = Allowance.of(result)
    others = _demangle_tame(result, allowance)
    parts = {i: _parts(result[i]) for i in others}
    texts = {i: _rust(core, allowance) for i, (_, core, _) in parts.items()}
    rest = [i for i, text in texts.items() if text is None]
    texts.update(zip(rest, _careful_cxx([parts[i][1] for i in rest], allowance), strict=True))
    for i, text in texts.items():
        if text is not None:
            prefix, _, version = parts[i]
            result[i] = f"{prefix}{text}{version}"
    return result


def _demangle_tame(names: list[str], allowance: Allowance) -> list[int]:
    """Put texts in the places of tame C++ names without prefix or version, at full speed; gives
    the places of the others that a demangler may take.

    Few names at a time, so that they stay in the processor's cache from step to step.
    """
    others: list[int] = []
    for start in range(0, len(names), _CHUNK):
        chunk = names[start : start + _CHUNK]
        texts = _tame_texts(chunk, allowance)
        names[start : start + _CHUNK] = texts
        same = [i for i, (old, new) in enumerate(zip(chunk, texts, strict=True)) if old is new]
        others += [start + i for i in same if chunk[i].startswith(_FIRST)]
    return others


def _tame_texts(names: list[str], allowance: Allowance) -> list[str]:
    """The texts of the tame C++ names among some; the others as they are."""
    joined = "\0".join(names)
    if "_Z" not in joined or allowance.left <= 0:
        return names
    from symprobe.demangle.tame import is_tame, suspects

    try:
        encoded = joined.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return names
    parts = encoded.split(b"\0")
    if len(parts) != len(names):  # a name holds a NUL
        return names
    tame = [part[:2] == b"_Z" for part in parts]
    for i in suspects(encoded, parts):
        tame[i] = tame[i] and is_tame(names[i])
    cxx = _cxx() if any(tame) else None
    if cxx is None:
        return names
    texts = cxx.tame(list(compress(parts, tame)))
    allowance.left -= sum(map(len, texts))
    following = iter(texts)
    return [
        (next(following) or name) if own else name for own, name in zip(tame, names, strict=True)
    ]


def _parts(name: str) -> tuple[str, str, str]:
    """A name as bfd_demangle takes it apart: prefix, core, version."""
    core = name.lstrip(".$")
    prefix = name[: len(name) - len(core)]
    core, at, version = core.partition("@")
    return prefix, core, at + version


def _rust(name: str, allowance: Allowance) -> str | None:
    if not name.startswith("_R") and "17h" not in name:
        return None
    from symprobe.demangle.rust import text_of

    return text_of(name, allowance)


def _careful_cxx(names: list[str], allowance: Allowance) -> list[str | None]:
    """C++ names without prefix or version, whatever they hold."""
    from symprobe.demangle.tame import is_tame

    texts: list[str | None] = [None] * len(names)
    encoded = [(i, raw) for i, name in enumerate(names) if (raw := _encoded(name))]
    cxx = _cxx() if encoded else None
    if cxx is None:
        return texts
    wild = []
    for i, raw in encoded:
        if not is_tame(names[i]):
            wild.append((i, raw))
        elif allowance.left > 0:
            texts[i] = allowance.take(cxx.any(raw))
    while wild and not allowance.used_up:
        try:
            answers = _in_child(cxx, [raw for _, raw in wild], allowance.left)
        except OSError:  # too many files are open
            break
        for (i, _), text in zip(wild, answers, strict=False):
            texts[i] = allowance.take(text) or None
        allowance.deaths += len(answers) < len(wild)
        wild = wild[len(answers) + 1 :]  # it died of the next one
    return texts


def _encoded(name: str) -> bytes | None:
    """The bytes of a name that the C++ demangler may be given."""
    from symprobe.demangle.tame import LONGEST_NAME

    if not name.startswith(("_Z", "_GLOBAL_")) or len(name) > LONGEST_NAME or "\0" in name:
        return None
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return None


def _in_child(cxx: Cxx, names: list[bytes], largest: int) -> list[str]:
    """The texts of the names up to the first that takes too long; empty for one not taken."""
    reader, writer = os.pipe()
    try:
        child = os.fork()
    except OSError:
        child = -1  # too many processes: no answer
    if child == 0:
        try:
            _answer(cxx, names, largest, writer)
        finally:
            os._exit(0)
    os.close(writer)
    answer = bytearray()
    with open(reader, "rb", buffering=0) as pipe:
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        while (alive := poll.poll(_STUCK)) and (block := pipe.read(1 << 16)):
            answer += block
    if child > 0:
        if not alive:
            os.kill(child, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)
    return [text.decode("utf-8", "surrogateescape") for text in answer.split(b"\0")[:-1]]


def _answer(cxx: Cxx, names: list[bytes], largest: int, writer: int) -> None:
    """In the child: each text with a NUL behind it, until the timer ends the process."""
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    with open(writer, "wb") as pipe:
        for name in names:
            signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_CALL)
            text = (cxx.any(name) or "").encode("utf-8", "surrogateescape")
            if len(text) <= min(largest, _LARGEST_TEXT):
                pipe.write(text)
                largest -= len(text)
            pipe.write(b"\0")
            pipe.flush()


@cache
def _cxx() -> Cxx | None:
    from symprobe.demangle.cxx import find

    return find()
