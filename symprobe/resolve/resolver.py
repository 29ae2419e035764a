"""resolve(): SYMBOL arguments on one binary to a Resolution.

A symbol that is only imported is followed to the library that the loader would bind it to; an
IFUNC to the implementation that runs here; what can't be probed is rejected with its reason.
What few questions need is imported where it is used: a plain name is answered in the time that
starting takes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from symprobe.binary import Binary
from symprobe.errors import SymprobeError
from symprobe.model import FilePath, Kind, Symbol
from symprobe.probe import ProbeTarget, Reason, Rejected, Resolution
from symprobe.resolve.match import Match, imports_functions, match
from symprobe.resolve.merge import merged, without_twins
from symprobe.resolve.names import is_cold
from symprobe.resolve.spec import ALL_VERSIONS, PLT, Spec, SpecKind, parse
from symprobe.resolve.targets import Builder

if TYPE_CHECKING:
    from symprobe.resolve.bulk import Columns
    from symprobe.resolve.provider import Provider

_ONLY_RESOLVER = "this is the IFUNC's resolver, called once a process, not the function itself"


class Options(NamedTuple):
    """exact_entry: no cheap attach points.  pid: the live process whose slots tell what an IFUNC
    stands for.  provider: who provides what the binary only imports; None: don't follow.

    >>> from symprobe.resolve.provider import provider_of
    >>> bash = Binary("/bin/bash")
    >>> resolve(bash, "exit").rejected[0].detail
    'undefined in /bin/bash, defined in a library that it needs'
    >>> answer = resolve(bash, "exit", options=Options(provider=provider_of(bash.path)))
    >>> answer.targets[0].file.shown
    '/...libc.so.6'
    """

    exact_entry: bool = False
    pid: int | None = None
    provider: "Provider | None" = None


def resolve(binary: Binary, *symbols: str, options: Options | None = None) -> Resolution:
    """Where probes on these SYMBOLs of a binary go; targets unique by inode and file offset.

    Errors: PatternError for a SYMBOL that can't be understood. What can't be found or
    probed is in `rejected`.

    >>> answer = resolve(Binary("/bin/bash"), "read_builtin", "read_biultin")
    >>> [target.names for target in answer.targets]
    [('read_builtin',)]
    >>> [(each.name, str(each.reason)) for each in answer.rejected]
    [('read_biultin', 'not-found')]
    """
    return Resolver(binary, options or Options()).resolve([parse(text) for text in symbols])


def all_functions(binary: Binary) -> "tuple[Columns, tuple[Rejected, ...]] | None":
    """The answer to `*` as columns, and what can't be probed; None where resolve() is to be asked:
    for IFUNCs, whose places are not their own, or for a binary without functions."""
    from symprobe.resolve.bulk import all_columns

    found = all_columns(binary)
    return None if found is None else (found[0], without_twins(found[1]))


class Resolver:
    """Resolves SYMBOLs on one binary."""

    def __init__(self, binary: Binary, options: Options) -> None:
        self._binary = binary
        self._options = options
        self._builder = Builder(binary, exact_entry=options.exact_entry)
        self._targets: list[ProbeTarget] = []
        self._rejected: dict[Rejected, None] = {}

    def resolve(self, specs: Sequence[Spec]) -> Resolution:
        """All specs, one after the other, merged."""
        unmatched = []
        for spec in specs:
            targets, rejected = self._one(spec)
            if not targets:
                unmatched.append(spec.text)
            self._targets += targets
            self._rejected.update(dict.fromkeys(rejected))
        told = without_twins(self._rejected)
        return Resolution(tuple(merged(self._targets)), told, tuple(unmatched))

    def _one(self, spec: Spec) -> tuple[list[ProbeTarget], list[Rejected]]:
        if spec.kind is SpecKind.ADDRESS and spec.vaddr is not None:
            return _split([self._builder.at_address(spec.vaddr, spec.text)])
        if spec.version == PLT:
            return self._plt(spec)
        if spec.kind is SpecKind.GLOB and spec.name == "*" and not spec.delta:
            return self._all(spec)
        found = match(self._binary, spec)
        if not found.symbols:
            return [], [self._nothing(spec, found)]
        return self._matched(spec, found)

    def _all(self, spec: Spec) -> tuple[list[ProbeTarget], list[Rejected]]:
        from symprobe.resolve.bulk import all_targets

        version = None if spec.version == ALL_VERSIONS else spec.version
        targets, rejected, ifuncs = all_targets(self._binary, version)
        self._add_ifuncs(ifuncs, [], targets, rejected)
        if not targets and not rejected:
            rejected.append(self._nothing(spec, Match((), pattern=True)))
        return targets, rejected

    def _matched(self, spec: Spec, found: Match) -> tuple[list[ProbeTarget], list[Rejected]]:
        defined = [s for s in found.symbols if s.defined]
        if not defined:
            return self._imported(spec, found.symbols)
        notes: list[str] = []
        if found.other_versions:
            notes.append(f"other versions: {', '.join(found.other_versions)} (all with @*)")
        if found.clone_only:
            called = [s for s in defined if not is_cold(s.name)]
            defined = called or defined
            notes.append(f"{spec.name} itself is not there, only clones of it")
        ifuncs = [] if spec.delta else [s for s in defined if s.kind == Kind.IFUNC]
        plain = [s for s in defined if s.kind != Kind.IFUNC] if ifuncs else defined
        targets, rejected = self._builder.build(plain, delta=spec.delta, notes=notes)
        if not found.pattern:
            targets = self._explained(targets, plain, found.clones)
        self._add_ifuncs(ifuncs, notes, targets, rejected)
        return targets, rejected

    def _add_ifuncs(
        self,
        ifuncs: Sequence[Symbol],
        notes: list[str],
        targets: list[ProbeTarget],
        rejected: list[Rejected],
    ) -> None:
        unknown: list[Symbol] = []
        whys: dict[str, None] = {}
        for place in _by_place(ifuncs):
            found = self._ifunc(place, notes)
            if isinstance(found, str):
                unknown += place
                whys |= {found: None} if found else {}
                continue
            targets += found[0]
            rejected += found[1]
        if unknown:
            made, refused = self._resolvers_only(unknown, [*notes, *whys])
            targets += made
            rejected += refused

    @staticmethod
    def _explained(
        targets: list[ProbeTarget], symbols: Sequence[Symbol], clones: Sequence[Symbol]
    ) -> list[ProbeTarget]:
        """With notes on what a single name hides: others of the same name, clones."""
        if len(targets) > 1 and len({s.name for s in symbols}) == 1:
            note = f"one of {len(targets)} functions of this name"
            targets = [t._replace(notes=(*t.notes, note)) for t in targets]
        places = {t.vaddr for t in targets}
        notes = tuple(
            f"{'its cold part' if is_cold(s.name) else 'clone'} {s.name} is at {s.vaddr:#x}"
            + ("" if is_cold(s.name) else ": calls of it are not seen here")
            for s in clones
            if s.vaddr not in places
        )
        return [t._replace(notes=t.notes + notes) for t in targets]

    def _ifunc(
        self, symbols: list[Symbol], notes: list[str]
    ) -> tuple[list[ProbeTarget], list[Rejected]] | str:
        """The implementation that an IFUNC stands for here; where it is not known, what went wrong,
        empty for nothing."""
        from symprobe.resolve.ifunc import own_implementation, process_implementation

        head = symbols[0]
        offset = None
        why = wrong = ""
        try:
            if self._options.pid is not None:
                offset = process_implementation(self._options.pid, self._binary, head)
                why = f"as process {self._options.pid} has it bound"
            if offset is None:
                offset = next(
                    filter(None, (own_implementation(self._binary, s) for s in symbols)), None
                )
                why = "as this machine's loader binds it"
        except (SymprobeError, OSError) as error:
            wrong = f"its slots can't be read: {error}"
        vaddr = self._binary.image.vaddr_of(offset) if offset is not None else None
        if vaddr is None:
            return wrong
        note = f"IFUNC implementation, {why}; its resolver is at {head.vaddr:#x}"
        inside = self._builder.at_address(vaddr, head.versioned_name)
        if isinstance(inside, Rejected):
            detail = f"its implementation here is {inside.name}: {inside.detail}"
            return [], [Rejected(s.versioned_name, inside.reason, detail) for s in symbols]
        names = {s.versioned_name: s.readable_name for s in symbols}
        names |= dict(zip(inside.names, inside.demangled, strict=True))
        return [
            inside._replace(
                names=tuple(names),
                demangled=tuple(names.values()),
                kind=Kind.IFUNC,
                version=head.version,
                notes=(*notes, note, *inside.notes),
            )
        ], []

    def _resolvers_only(
        self, symbols: Sequence[Symbol], notes: list[str]
    ) -> tuple[list[ProbeTarget], list[Rejected]]:
        """The resolvers of IFUNCs, named as such."""
        from symprobe.resolve.ifunc import Candidates

        candidates = Candidates(self._binary, symbols)
        made, rejected = self._builder.build(symbols, notes=[*notes, _ONLY_RESOLVER])
        live = "; with pid:N the implementation of a live process is found"
        targets = []
        for target in made:
            others = candidates.of(target.names)
            advice = f"; candidates: {', '.join(others)}" if others else live
            told = [f"{n}{advice}" if n is _ONLY_RESOLVER else n for n in target.notes]
            targets.append(target._replace(notes=tuple(told)))
        return targets, rejected

    def _imported(
        self, spec: Spec, symbols: Sequence[Symbol]
    ) -> tuple[list[ProbeTarget], list[Rejected]]:
        """Follow names that are only undefined here to the files that provide them."""
        rejected: list[Rejected] = []
        own, provider = self._binary.path.shown, self._options.provider
        provided: dict[FilePath, list[Spec]] = {}
        for name, version in dict.fromkeys((s.name, s.version) for s in symbols):
            text = f"{name}@{version}" if version else name
            found = provider(name, version) if provider is not None else None
            if found is not None:
                path, there = found
                asked = Spec(text, SpecKind.RAW, name, there, spec.delta)
                provided.setdefault(path, []).append(asked)
                continue
            detail = f"undefined in {own}, and no library that it needs defines it"
            if provider is None:
                detail = f"undefined in {own}, defined in a library that it needs"
            rejected.append(Rejected(text, Reason.UNDEFINED, detail))
        targets: list[ProbeTarget] = []
        for path, specs in provided.items():
            other = Resolver(Binary(path), Options(self._options.exact_entry, self._options.pid))
            result = other.resolve(specs)
            note = f"imported by {own}, which the loader binds to {path.shown}"
            targets += [t._replace(notes=(note, *t.notes)) for t in result.targets]
            rejected += result.rejected
        return targets, rejected

    def _plt(self, spec: Spec) -> tuple[list[ProbeTarget], list[Rejected]]:
        from symprobe.resolve.plt import plt_slots

        slots = plt_slots(self._binary)
        vaddr = slots.get(spec.name)
        if vaddr is None:
            detail = f"no PLT slot of {self._binary.path.shown} is for {spec.name}"
            return [], [Rejected(spec.text, Reason.NOT_FOUND, detail)]
        made = self._builder.at_address(vaddr, spec.text)
        if isinstance(made, Rejected):
            return [], [made]
        note = "PLT slot: counts the calls that this file makes, not those of others"
        return [
            made._replace(
                names=(spec.text,), demangled=(spec.text,), notes=(note,), return_probe=False
            )
        ], []

    def _nothing(self, spec: Spec, found: Match) -> Rejected:
        file = self._binary.path.shown
        if found.other_versions:
            what = f"{file} has it only as {', '.join(found.other_versions)}"
            return Rejected(spec.text, Reason.VERSION_NOT_FOUND, what)
        if spec.kind is not SpecKind.NAME:
            detail = f"no function of {file} matches"
            if spec.name == "*" and imports_functions(self._binary):
                detail = f"{file} defines no function by name; '?*' means those that it imports"
            return Rejected(spec.text, Reason.NOT_FOUND, detail)
        detail = f"not in {file}"
        from symprobe.resolve.near import near_names

        near = near_names(self._binary, spec.name)
        if near:
            detail += f"; near names: {', '.join(near)}"
        elif self._binary.symtab is None and not self._binary.debug_files:
            detail += ", which is stripped: its debug file would have the names"
        return Rejected(spec.text, Reason.NOT_FOUND, detail)


def _split(
    made: Sequence[ProbeTarget | Rejected],
) -> tuple[list[ProbeTarget], list[Rejected]]:
    return (
        [m for m in made if isinstance(m, ProbeTarget)],
        [m for m in made if isinstance(m, Rejected)],
    )


def _by_place(symbols: Sequence[Symbol]) -> list[list[Symbol]]:
    places: dict[int, list[Symbol]] = {}
    for symbol in symbols:
        places.setdefault(symbol.vaddr, []).append(symbol)
    return list(places.values())
