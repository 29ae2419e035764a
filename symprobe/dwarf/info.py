"""DebugInfo: what DWARF says of functions and addresses of one binary.

Made for one question about a binary with hundreds of megabytes of DWARF: an index or the ranges
of the units find the unit, one pass over it finds the function, and only its entries are read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from os.path import basename
from typing import TypeVar

from symprobe.dwarf import constants as dw
from symprobe.dwarf.address import Addresses
from symprobe.dwarf.entries import Entries, Entry
from symprobe.dwarf.file import DwarfFile, Values
from symprobe.dwarf.function import (
    chain_of,
    declared_inline,
    flag_of,
    language,
    number_of,
    signature,
    text_of,
)
from symprobe.dwarf.inlined import Found, Same, Search
from symprobe.dwarf.kept import Kept
from symprobe.dwarf.search import refers_across
from symprobe.dwarf.types import Types, split_scopes, squeezed
from symprobe.dwarf.units import Unit
from symprobe.dwarf.values import FunctionInfo, InlinedCopy
from symprobe.elf.constants import PF_X
from symprobe.elf.image import Image
from symprobe.errors import SymprobeError
from symprobe.model import VAddr

DEFAULT_BUDGET = 16 << 20
"""Bytes of other units that are read to count inlined copies: about a second."""
_SCOPE_UNIT_BYTES = 4 << 20
_MOST_COPIES = 8
_LONGEST_REASON = 120
_LINKAGE = ("DW_AT_linkage_name", "DW_AT_MIPS_linkage_name")
UNNAMED = "(anonymous namespace)"
_T = TypeVar("_T")


class DebugInfo:
    """The debug information of a binary. Nothing here raises for what the file holds: what can't
    be read becomes a clause in `notes`, and the answer None.

    image: of the binary itself, whose addresses are asked for.  file: the DWARF, of that file or
    of its separate debug file.
    """

    def __init__(self, image: Image, file: DwarfFile, found_by: str) -> None:
        self._image = image
        self._file = file
        self.found_by = found_by
        """own, build-id, debuglink: how the file with the DWARF was found."""
        self.notes: list[str] = []
        self._entries = Entries(file)
        self._addresses = Addresses(file)
        self._kept = Kept()

    @property
    def path(self) -> str:
        """The file that holds the DWARF."""
        return self._file.image.source.path.shown

    # -- questions

    def function(
        self, name: str, vaddr: VAddr, *, budget: int = DEFAULT_BUDGET, registers: bool = True
    ) -> FunctionInfo | None:
        """The function whose code begins at (else holds) that address.

        name: the symbol's, which decides between several functions at one address.  budget: bytes
        of other units to read for inlined copies; 0: those of its own unit only.  registers:
        whether those of the parameters are wanted, which are in a section of their own.
        """
        return self._guarded(lambda: self._function(name, vaddr, budget, registers))

    def inlined_only(self, name: str, *, budget: int = DEFAULT_BUDGET) -> FunctionInfo | None:
        """What is known of a name without looking at its address: a linkage name, a name in C, or
        one with its scopes (`shapes::Point::sum`, no parameters; all overloads together).

        Its `vaddr` is None when there are inlined copies only, or no code at all.
        """
        return self._guarded(lambda: self._by_name(name, budget))

    def inlined_count(self, name: str, vaddr: VAddr) -> int:
        """Inlined copies within the function's own unit: cheap, a lower bound."""
        info = self.function(name, vaddr, budget=0)
        return 0 if info is None else info.inlined

    def line_of(self, vaddr: VAddr) -> tuple[str, int] | None:
        """(file, line) of the instruction at that address; line 0: of no line in particular."""
        return self._guarded(lambda: self._line_of(vaddr))

    def _guarded(self, question: Callable[[], _T | None]) -> _T | None:
        """The answer, or None and a note. All exceptions: pyelftools raises AttributeError,
        KeyError, AssertionError, UnicodeDecodeError and more on broken data."""
        self._entries.ask()
        try:
            return question()
        except SymprobeError as error:
            self._note(f"debug information: {error.what}")
        except Exception as error:
            reason = f"{type(error).__name__} {error}".splitlines()[0][:_LONGEST_REASON]
            self._note(f"debug information can't be understood: {reason}")
        return None

    def _note(self, clause: str) -> None:
        if clause not in self.notes and len(self.notes) < 100:
            self.notes.append(clause)

    # -- answers

    def _function(self, name: str, vaddr: int, budget: int, registers: bool) -> FunctionInfo | None:
        units = self._addresses.units_at(vaddr)
        for note in self._addresses.notes:
            self._note(note)
        for unit in sorted(units, key=lambda unit: (unit.end - unit.offset, unit.offset)):
            if self._split(unit):
                continue
            places = self._kept.index(self._file, unit).at(vaddr)
            chains = [chain_of(self._entries, self._entries.at(p, unit)) for p in places]
            chosen = next((c for c in chains if _named(c, name)), chains[0] if chains else None)
            if chosen is not None:
                found = self._search(chosen, budget)
                return self._describe(chosen, found, name, registers=registers)
        return None

    def _split(self, unit: Unit) -> bool:
        for attribute in (dw.DW_AT_DWO_NAME, dw.DW_AT_GNU_DWO_NAME):
            if name := self._file.top_text(unit, attribute):
                self._note(f"split DWARF: the entries are in {name}, which is not followed")
                return True
        return False

    def _by_name(self, name: str, budget: int) -> FunctionInfo | None:
        *scopes, last = split_scopes(name)

        def in_scopes(file: DwarfFile, unit: Unit, entry: int, _: Values) -> bool:
            place = self._entries.at(entry | self._entries.side(file), unit)
            return not scopes or [squeezed(scope) for scope in self._scopes(place)] == scopes

        search = self._new_search(in_scopes, budget, scoped=bool(scopes))
        found = search.run(last.encode("utf-8", "surrogateescape"), [], None)
        if not found.members:
            return None
        chain = chain_of(self._entries, self._entries.at(found.members[0]))
        return self._describe(chain, found, name)

    def _line_of(self, vaddr: int) -> tuple[str, int] | None:
        for unit in self._addresses.units_at(vaddr):
            if dw.DW_AT_STMT_LIST in self._file.top(unit):
                found = self._kept.table(self._file, unit).line_of(vaddr)
                if found is not None:
                    return found
        return None

    def _describe(
        self, chain: list[Entry], found: Found, symbol: str, *, registers: bool = True
    ) -> FunctionInfo:
        types = Types(self._entries, language(chain[0]), self._scopes)
        low = self._low(chain[0])
        machine, clone = self._image.machine, "." in symbol
        entry = low if registers else None
        takes = signature(self._entries, types, chain, entry, machine, clone=clone)
        name = text_of(chain, "DW_AT_name")
        linkage = text_of(chain, *_LINKAGE)
        file, line = self._declared(chain)
        if not line and low is not None:  # made by the compiler, or by Go's: its first line
            file, line = self._line_of(low) or (file, line)
        qualified = "::".join([*self._scopes(chain[-1]), name])
        copies = tuple(
            InlinedCopy(self._caller(copy.caller), VAddr(copy.vaddr))
            for copy in found.copies[:_MOST_COPIES]
        )
        return FunctionInfo(
            name=qualified if name else linkage or symbol,
            linkage_name=linkage or None,
            vaddr=None if low is None else VAddr(low),
            file=file,
            line=line,
            parameters=takes.parameters,
            return_type=takes.return_type,
            return_size=takes.return_size,
            return_encoding=takes.return_encoding,
            variadic=takes.variadic,
            prototyped=types.prototyped(chain),
            declared_inline=declared_inline(chain),
            inlined=len(found.copies),
            inlined_complete=found.complete,
            copies=copies,
            notes=tuple(self.notes),
        )

    # -- parts of answers

    def _low(self, entry: Entry) -> int | None:
        """The function's entry point; None when it has no code (of its own, that was kept)."""
        index = self._kept.index(entry.file, entry.unit)
        for low, _, place in index.code:  # the first range holds the entry point
            if place == entry.offset:
                return low if self._executable(low) else None
        return None

    def _executable(self, vaddr: int) -> bool:
        """Whether an address is code. By p_memsz: a debug file alone has no p_filesz."""
        loads = self._image.loads
        return any(s.flags & PF_X and s.vaddr <= vaddr < s.vaddr + s.memsz for s in loads)

    def _declared(self, chain: list[Entry]) -> tuple[str, int]:
        line = number_of(chain, "DW_AT_decl_line")
        number = number_of(chain, "DW_AT_decl_file")
        if number is None or line is None:
            return "", 0
        holder = number[1]
        return self._kept.table(holder.file, holder.unit).path(number[0]), line[0]

    def _caller(self, entry: int) -> str:
        """The name of the function that a copy is part of; a C++ function's linkage name."""
        if not entry:
            return ""
        chain = chain_of(self._entries, self._entries.at(entry))
        return text_of(chain, *_LINKAGE) or text_of(chain, "DW_AT_name")

    def _scopes(self, entry: Entry) -> list[str]:
        """Names of the namespaces and classes around an entry, the outermost first."""
        size = entry.unit.end - entry.unit.offset
        if size > _SCOPE_UNIT_BYTES and not self._kept.has(entry.file, entry.unit):
            return []
        names = []
        for place in self._kept.index(entry.file, entry.unit).scopes_of(entry.offset):
            scope = self._entries.near(entry, place)
            definition = self._entries.follow(scope, "DW_AT_signature") or scope
            declared = self._entries.follow(definition, "DW_AT_specification") or definition
            names.append(text_of([scope, definition], "DW_AT_name") or UNNAMED)
            if declared is not scope:  # with type units the scopes are around the declaration
                return [*self._scopes(declared), *names[::-1]]
        return names[::-1]

    # -- copies

    def _search(self, chain: list[Entry], budget: int) -> Found:
        members = [entry.offset | self._entries.side(entry.file) for entry in chain]
        own = chain[0].unit
        linkage = _linkage(chain)
        text = linkage or text_of(chain, "DW_AT_name")
        local = self._local(chain)
        name = text.encode("utf-8", "surrogateescape")
        searched = None if local or not text or not budget else name
        found = self._new_search(self._same(chain), budget).run(searched, members, own)
        return found._replace(complete=found.complete and (local or searched is not None))

    def _local(self, chain: list[Entry]) -> bool:
        """Whether no other unit can have copies: the function is of the unit's own source file,
        and no unit refers to entries of others, as they do after link-time optimisation."""
        source = self._file.top_text(chain[0].unit, dw.DW_AT_NAME)
        if not source or basename(self._declared(chain)[0]) != basename(source):
            return False
        if any(entry.unit != chain[0].unit for entry in chain):
            return False
        # With link-time optimisation GCC itself splits code and description to different units.
        producer = self._file.top_text(chain[0].unit, dw.DW_AT_PRODUCER)
        return (producer.startswith("GNU ") and "-flto" not in producer) or not self._across

    @cached_property
    def _across(self) -> bool:
        return refers_across(self._file)

    def _same(self, chain: list[Entry]) -> Same:
        """Whether a function of that name is the function itself: external too, or of the same
        line of a file of the same name."""
        file, line = self._declared(chain)
        external = flag_of(chain, "DW_AT_external")

        def same(other: DwarfFile, unit: Unit, _: int, values: Values) -> bool:
            if external and dw.DW_AT_EXTERNAL in values:
                return True
            number = values.get(dw.DW_AT_DECL_FILE)
            if number is None or values.get(dw.DW_AT_DECL_LINE, (0, 0))[1] != line:
                return False
            path = self._kept.table(other, unit).path(int(number[1]))
            return basename(path) == basename(file)

        return same

    def _new_search(self, same: Same, budget: int, *, scoped: bool = False) -> Search:
        index, code = self._kept.index, self._executable
        return Search(self._file, index, same, code, budget, scoped=scoped)


def _linkage(chain: list[Entry]) -> str:
    """The linkage name that all entries of the function share: of its declaration, for a
    constructor the one (C4) behind those of its variants."""
    return text_of(chain[::-1], *_LINKAGE)


def _named(chain: list[Entry], symbol: str) -> bool:
    """Whether a function is the one of that symbol, whatever clone of it (`foo.isra.0`)."""
    names = {entry.text(attribute) for entry in chain for attribute in ("DW_AT_name", *_LINKAGE)}
    return symbol in names or symbol.partition(".")[0] in names - {""}
