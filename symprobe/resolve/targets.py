"""Symbols of one binary to probe targets: one for each place, with every name it has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from symprobe.binary import Binary
from symprobe.model import FileOffset, Kind, Symbol, VAddr
from symprobe.probe import ProbeTarget, Reason, Rejected
from symprobe.resolve.branches import unshared
from symprobe.resolve.code import Code, entry_of, executable_segments
from symprobe.resolve.instructions import cheap_point, entry_cost, on_boundary, refused, unsafe
from symprobe.resolve.match import CODE_KINDS
from symprobe.resolve.names import clone_parent, is_cold, structor

_MOST_SHIFTED = 2000
"""Cheap attach points are looked for in so many functions; beyond, probes go to the entry."""
_LONGEST_INSTRUCTION = 16


class _Place:
    """What is gathered for one address before it becomes a target."""

    def __init__(
        self, vaddr: VAddr, asked: list[Symbol], delta: int = 0, notes: Iterable[str] = ()
    ) -> None:
        self.vaddr = vaddr
        self.asked = asked
        self.delta = delta
        self.notes = list(notes)
        self.aliases: list[Symbol] = []
        self.resolves: list[str] = []
        """IFUNCs for which the function here is what chooses the code."""

    @property
    def symbols(self) -> list[Symbol]:
        return self.asked + self.aliases if self.aliases else self.asked


class Builder:
    """Makes targets of the symbols of one binary.

    exact_entry: no cheap attach points.
    """

    def __init__(self, binary: Binary, *, exact_entry: bool) -> None:
        self._binary = binary
        self._image = binary.image
        self._machine = binary.image.machine
        self._exact = exact_entry
        self._code = Code(binary.image)

    def build(
        self, symbols: Sequence[Symbol], *, delta: int = 0, notes: Iterable[str] = ()
    ) -> tuple[list[ProbeTarget], list[Rejected]]:
        """Targets and rejections of these symbols, by address.

        delta: bytes behind each function's start.  notes: for every target.
        """
        rejected: list[Rejected] = []
        places: dict[int, _Place] = {}
        for symbol in symbols:
            reason = self._not_code(symbol)
            if reason is not None:
                rejected.append(reason)
                continue
            vaddr = VAddr(entry_of(self._image, symbol) + delta)
            place = places.setdefault(vaddr, _Place(vaddr, [], delta, notes))
            place.asked.append(symbol)
        self._add_aliases(places, delta)
        targets: list[ProbeTarget] = []
        points: dict[VAddr, int] = {}
        if not self._exact and not delta and len(places) <= _MOST_SHIFTED:
            points = self._cheap_points(places.values())
        for place in places.values():
            made = self._target(place, cheap=points.get(place.vaddr))
            if isinstance(made, ProbeTarget):
                targets.append(made)
            else:  # under each name that it was asked for
                asked = dict.fromkeys(s.versioned_name for s in place.asked)
                rejected += [made._replace(name=n) for n in (asked if not delta else [made.name])]
        return targets, rejected

    def at_address(self, vaddr: VAddr, text: str) -> ProbeTarget | Rejected:
        """The target at a link-time address, named after the function that holds it."""
        inside = self._containing(vaddr)
        if inside is None:
            return self._target(_Place(vaddr, [], 0, ["no symbol covers this address"]), text=text)
        delta = vaddr - entry_of(self._image, inside[0])
        place = _Place(vaddr, inside, delta)
        points = {} if delta or self._exact else self._cheap_points([place])
        return self._target(place, cheap=points.get(vaddr), text=text)

    def _containing(self, vaddr: VAddr) -> list[Symbol] | None:
        """The functions that hold an address: those that begin there, else the nearest before."""
        exact = [s for s in self._binary.symbols_at({vaddr}) if s.kind in CODE_KINDS]
        if exact:
            return exact
        inside = [s for s in self._code_symbols if s.vaddr <= vaddr < s.vaddr + max(s.size, 1)]
        if not inside:
            return None
        start = max(s.vaddr for s in inside)
        return [s for s in inside if s.vaddr == start]

    @cached_property
    def _code_symbols(self) -> list[Symbol]:
        return [s for s in self._binary.symbols(kinds=CODE_KINDS) if s.defined]

    def _not_code(self, symbol: Symbol) -> Rejected | None:
        name = symbol.versioned_name
        if not symbol.defined:
            detail = "undefined here: another file defines it"
            return Rejected(name, Reason.UNDEFINED, detail)
        executable = self._image.is_executable(entry_of(self._image, symbol))
        if symbol.kind in CODE_KINDS or (symbol.kind == Kind.NOTYPE and executable):
            return None
        what = f"an {symbol.kind}" if symbol.kind == Kind.OBJECT else f"of kind {symbol.kind}"
        detail = f"it is {what} in {symbol.section}: a probe needs code"
        return Rejected(name, Reason.NOT_CODE, detail)

    def _add_aliases(self, places: dict[int, _Place], delta: int) -> None:
        """Every other name of the same places, also those that were not asked for."""
        wanted = {s.vaddr for place in places.values() for s in place.symbols}
        for symbol in self._binary.symbols_at(wanted):
            place = places.get(entry_of(self._image, symbol) + delta)
            if place is None:
                continue
            if symbol.kind == Kind.IFUNC and all(s.kind != Kind.IFUNC for s in place.asked):
                place.resolves.append(symbol.versioned_name)  # its calls are not calls of this
                continue
            named = symbol.kind in CODE_KINDS or (symbol.kind == Kind.NOTYPE and symbol.name)
            if named and not symbol.name.startswith("$"):
                place.aliases.append(symbol)

    def _target(
        self, place: _Place, *, cheap: int | None = None, text: str = ""
    ) -> ProbeTarget | Rejected:
        symbols = place.symbols
        head = min(place.asked, key=preference) if symbols else None
        suffix = f"+{place.delta:#x}" if place.delta else ""
        name = (head.versioned_name + suffix) if head is not None else text
        offset = self._image.offset_of(place.vaddr)
        size = max((s.size for s in symbols), default=0)
        reason = self._refusal(place, offset, size)
        if reason is not None:
            return Rejected(name, *reason)
        assert offset is not None
        code = self._code.at(place.vaddr, _LONGEST_INSTRUCTION)
        no = refused(code, self._machine)
        if no is not None:
            return Rejected(name, Reason.REFUSED_INSTRUCTION, no)
        wrong = unsafe(code, self._machine)
        if wrong is not None and cheap is None:
            return Rejected(name, Reason.UNSAFE_INSTRUCTION, wrong)
        names = dict.fromkeys(s.versioned_name + suffix for s in symbols)
        ordered = (name, *(n for n in names if n != name))
        texts = {s.versioned_name + suffix: s.readable_name + suffix for s in symbols}
        kind = head.kind if head is not None else Kind.NOTYPE
        return ProbeTarget(
            file=self._binary.path,
            inode=self._image.source.inode,
            build_id=self._binary.build_id,
            offset=offset,
            vaddr=place.vaddr,
            names=ordered,
            demangled=tuple(texts.get(n, n) for n in ordered),
            kind=kind,
            size=size,
            version=head.version if head is not None else None,
            cheap_offset=None if cheap is None else FileOffset(offset + cheap),
            cost=entry_cost(code, self._machine),
            return_probe=not self._binary.is_go and not place.delta and wrong is None,
            notes=tuple(place.notes + self._notes(place, head, size, cheap)),
        )

    def _refusal(
        self, place: _Place, offset: FileOffset | None, size: int
    ) -> tuple[Reason, str] | None:
        if offset is None:
            return Reason.NO_FILE_OFFSET, f"no byte of the file is loaded at {place.vaddr:#x}"
        if not self._image.is_executable(place.vaddr):
            return Reason.NOT_EXECUTABLE, f"{place.vaddr:#x} is in no executable segment"
        if not place.delta or not place.symbols:
            return None
        if size and place.delta >= size:
            what = f"the function has {size} bytes, {place.delta:#x} is outside of it"
            return Reason.OUTSIDE_FUNCTION, what
        start = VAddr(place.vaddr - place.delta)
        body = self._code.at(start, max(size, place.delta + _LONGEST_INSTRUCTION))
        boundary = on_boundary(body, place.delta, self._machine)
        if boundary is False:
            what = "an instruction begins before it and ends behind it: the probe would corrupt it"
            return Reason.NOT_INSTRUCTION_BOUNDARY, what
        if boundary is None:
            place.notes.append("not verified to be the start of an instruction: install capstone")
        return None

    def _cheap_points(self, places: Iterable[_Place]) -> dict[VAddr, int]:
        """How far behind their entries functions can be counted at less cost, and as exactly."""
        points: dict[VAddr, int] = {}
        for place in places:
            size = max(symbol.size for symbol in place.symbols)
            code = self._code.at(place.vaddr, size) if size else b""
            distance = cheap_point(code, self._machine)
            if distance is not None:
                points[place.vaddr] = distance
        if not points:
            return {}
        between = {v + step for v, distance in points.items() for step in range(1, distance + 1)}
        labels = {symbol.vaddr for symbol in self._binary.symbols_at(between)}
        return unshared(executable_segments(self._image), points, labels)

    def _notes(self, place: _Place, head: Symbol | None, size: int, cheap: int | None) -> list[str]:
        notes = []
        if place.resolves:
            notes.append(f"the resolver of the IFUNC {place.resolves[0]}, called once a process")
        if cheap is not None:
            notes.append(f"counted at +{cheap:#x}, where the kernel emulates the instruction")
        if head is None:
            return notes
        if size == 0 and not place.delta:
            notes.append("its size is not known (0 in the symbol table)")
        for symbol in place.symbols:
            if symbol.note and symbol.note not in notes:
                notes.append(symbol.note)
        parent = clone_parent(head.name)
        if parent is not None:
            part = "the cold part of" if is_cold(head.name) else "a clone of"
            notes.append(f"{part} {parent}")
        variants = dict.fromkeys(structor(s.name, s.demangled) for s in place.symbols)
        known = [variant for variant in variants if variant is not None]
        if known:
            notes.append(" and ".join(known))
        if self._binary.is_go:
            notes.append("Go: no return probes, they would break the growing of stacks")
        return notes


def preference(symbol: Symbol) -> tuple[bool, bool, bool, int, int, str]:
    """The name to show first: of code, then as `name_preference`."""
    local, versioned = symbol.bind == "local", symbol.version is not None
    other_version = versioned and not symbol.default_version
    return symbol.kind not in CODE_KINDS, *name_preference(symbol.name, local, other_version)


def name_preference(
    name: str, local: bool, other_version: bool
) -> tuple[bool, bool, int, int, str]:
    """Global before local, default version first, without underscores."""
    return local, other_version, len(name) - len(name.lstrip("_")), len(name), name
