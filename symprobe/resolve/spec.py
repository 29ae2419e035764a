"""What a SYMBOL on the command line says: a name, a pattern, a place in a function, an address."""

import re
from enum import Enum
from typing import NamedTuple

from symprobe.errors import PatternError
from symprobe.model import VAddr


class SpecKind(Enum):
    """NAME: one name, raw or demangled.  GLOB: holds `*`, `?` or `[`.  REGEX: between slashes.
    ADDRESS: a number, as objdump prints it.  RAW: what parse() never gives, a name as the string
    table has it, which means nothing else."""

    NAME = "name"
    RAW = "raw"
    GLOB = "glob"
    REGEX = "regex"
    ADDRESS = "address"


ALL_VERSIONS = "*"
PLT = "plt"


class Spec(NamedTuple):
    """One SYMBOL argument, taken apart.

    text: as typed.  name: the name, the glob, the regular expression.  version: after `@`,
    `*` for every version, None when none was given; `plt` asks for the PLT slot.  delta: bytes
    behind the function's start.  vaddr: for ADDRESS.
    """

    text: str
    kind: SpecKind
    name: str
    version: str | None = None
    delta: int = 0
    vaddr: VAddr | None = None


_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{1,16}")
_DELTA = re.compile(r"(.+)\+(0[xX][0-9a-fA-F]+|[0-9]+)", re.DOTALL)
_VERSIONED = re.compile(r"([^@]+)@@?([A-Za-z_*][\w.*+-]*)", re.DOTALL)


def parse(text: str) -> Spec:
    """A SYMBOL argument as a Spec. Errors: PatternError."""
    if not text or "\0" in text:
        raise PatternError("an empty SYMBOL", next_step="give a name, a glob, /regex/ or 0xADDRESS")
    if _ADDRESS.fullmatch(text):
        return Spec(text, SpecKind.ADDRESS, text, vaddr=VAddr(int(text, 16)))
    if len(text) > 2 and text.startswith("/") and text.endswith("/"):
        return Spec(text, SpecKind.REGEX, text[1:-1])
    name, delta = text, 0
    moved = _DELTA.fullmatch(text)
    # `operator+1` is no C++ name, so a number behind a plus is a distance unless it ends one.
    if moved is not None and not moved[1].endswith("operator"):
        name, delta = moved[1], int(moved[2], 0) if moved[2][:2] in ("0x", "0X") else int(moved[2])
    version: str | None = None
    versioned = _VERSIONED.fullmatch(name)
    if versioned is not None:
        name, version = versioned[1], versioned[2]
    kind = SpecKind.GLOB if any(char in name for char in "*?[") else SpecKind.NAME
    return Spec(text, kind, name, version, delta)
