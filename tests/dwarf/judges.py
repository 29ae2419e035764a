"""What others say of the same files: gdb, elfutils, nm, and pyelftools reading everything."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symprobe.dwarf import DebugInfo, debug_info
from symprobe.elf.image import Image
from symprobe.elf.source import FileSource
from symprobe.model import FilePath

GDB = ("gdb", "-batch", "-nx", "-iex", "set debuginfod enabled off", "-iex", "set confirm off")

ASK_GDB = """
import gdb, json
for address in {addresses}:
    block, function = gdb.block_for_pc(address), None
    while block is not None:
        # The outermost that begins here: not the function of an inlined copy, nor the function
        # that a local class stands in.
        if block.function is not None and (function is None or function.start != address
                                           or block.start == address):
            function = block
        block = block.superblock
    if function is None:
        continue
    symbol = function.function
    print("ANSWER " + json.dumps(dict(
        address=address, line=symbol.line, file=symbol.symtab.filename,
        returns=str(symbol.type.target()),
        parameters=[(s.name, str(s.type)) for s in function if s.is_argument])))
"""


@dataclass(frozen=True)
class Described:
    """A function as gdb describes it: line modulo 2^16, which is all that gdb keeps."""

    line: int
    file: str
    returns: str
    parameters: tuple[tuple[str, str], ...]


def opened(path: Path, roots: tuple[str, ...] = ()) -> tuple[Image, DebugInfo]:
    """The image of a file that has debug information, and that information."""
    image = Image(FileSource(FilePath.plain(str(path))))
    info = debug_info(image, roots)
    assert info is not None, image.warnings
    return image, info


def run(*command: str, text: str = "") -> str:
    return subprocess.run(
        command, input=text, capture_output=True, text=True, errors="replace", check=False
    ).stdout


def functions(path: Path) -> dict[int, str]:
    """Address -> name of the functions that nm knows, but for those of the C runtime."""
    found = {}
    for line in run("nm", "--defined-only", str(path)).splitlines():
        address, kind, name = line.split(maxsplit=2)
        if kind in "tTwW" and int(address, 16):
            found[int(address, 16)] = name
    return found


def gdb_describes(path: Path, addresses: Iterable[int]) -> dict[int, Described]:
    """Address -> what gdb says of the function there, where it has debug information."""
    script = ASK_GDB.format(addresses=sorted(addresses))
    output = run(*GDB, "-ex", f"python\n{script}", str(path))
    answers = {}
    for line in output.splitlines():
        if line.startswith("ANSWER "):
            said: dict[str, Any] = json.loads(line.removeprefix("ANSWER "))
            answers[said["address"]] = Described(
                said["line"],
                said["file"],
                said["returns"],
                tuple((name, kind) for name, kind in said["parameters"]),
            )
    return answers


def same_type(ours: str, theirs: str) -> bool:
    """Whether two spellings are the same type: gdb puts const elsewhere inside template
    arguments, says class before some names, and has its own names for integers there. Pointers of
    older rustc it spells as in C."""
    if ours.startswith(_RUST_POINTERS) and "*" in theirs:
        return _words(ours) == _words(theirs)
    return _plain(ours) == _plain(theirs)


_RUST_POINTERS = ("&", "*mut ", "*const ", "fn(", "unsafe ", "extern ")
_OF_POINTERS = {
    "mut",
    "fn",
    "unsafe",
    "extern",
    "C",
    "struct",
    "enum",
    "union",
    "const",
    "dyn",
    "void",
}


def _words(text: str) -> list[str]:
    return sorted(word for word in re.findall(r"\w+", text) if word not in _OF_POINTERS)


def _plain(text: str) -> list[str]:
    text = re.sub(r"\b(long|short)( long)?( unsigned)? int\b", r"\3 \1\2", text)
    text = text.replace("_Bool", "bool").replace("(void)", "()")
    words = re.findall(r"\w+|[^\w\s]", text.replace("UL", "ul"))
    return sorted(word for word in words if word not in ("class", "struct", "enum", "const"))


def all_copies(path: Path) -> dict[str, set[int]]:
    """Linkage name (or name) of the function -> addresses of its inlined copies: every entry of
    every unit read by pyelftools."""
    from elftools.elf.elffile import ELFFile

    found: dict[str, set[int]] = defaultdict(set)

    def beside(name: bytes | str) -> Any:
        return open(path.parent / Path(os.fsdecode(name)).name, "rb")

    with open(path, "rb") as file:
        info = ELFFile(file, beside).get_dwarf_info()
        ranges = info.range_lists()
        for unit in info.iter_CUs():
            top = unit.get_top_DIE().attributes
            base = top["DW_AT_low_pc"].value if "DW_AT_low_pc" in top else 0
            for die in unit.iter_DIEs():
                if die.tag == "DW_TAG_inlined_subroutine" and die.cu is unit:
                    lows = list(_lows(die, unit, ranges, base))
                    if lows and min(lows):
                        found[_name(die)].add(min(lows))
    return found


def _lows(die: Any, unit: Any, ranges: Any, base: int) -> Iterable[int]:
    if "DW_AT_ranges" in die.attributes:
        place = die.attributes["DW_AT_ranges"].value
        for entry in ranges.get_range_list_at_offset(place, cu=unit):
            if hasattr(entry, "base_address"):
                base = entry.base_address
            elif entry.begin_offset != entry.end_offset:
                yield entry.begin_offset + (0 if entry.is_absolute else base)
    elif "DW_AT_low_pc" in die.attributes:
        yield die.attributes["DW_AT_low_pc"].value


def _name(die: Any) -> str:
    """The deepest linkage name of what the entry refers to: of a constructor, C4's."""
    linkage = name = b""
    while True:
        for key in ("DW_AT_abstract_origin", "DW_AT_specification"):
            if key in die.attributes:
                die = die.get_DIE_from_attribute(key)
                break
        else:
            return (linkage or name).decode()
        if "DW_AT_linkage_name" in die.attributes:
            linkage = die.attributes["DW_AT_linkage_name"].value
        elif "DW_AT_MIPS_linkage_name" in die.attributes:
            linkage = die.attributes["DW_AT_MIPS_linkage_name"].value
        if "DW_AT_name" in die.attributes:
            name = die.attributes["DW_AT_name"].value
