"""From the entries of one function to what a person wants to know of it."""

from typing import NamedTuple

from symprobe.dwarf import constants as dw
from symprobe.dwarf.entries import Entries, Entry
from symprobe.dwarf.location import Convention, described
from symprobe.dwarf.types import Types
from symprobe.dwarf.values import Encoding, Parameter
from symprobe.errors import SymprobeError

_LONGEST_CHAIN = 8
_MOST_PARAMETERS = 256
DW_INL_DECLARED = (2, 3)


class Signature(NamedTuple):
    """Parameters, return type with size and encoding, whether it ends in `...`."""

    parameters: tuple[Parameter, ...]
    return_type: str
    return_size: int | None
    return_encoding: Encoding | None
    variadic: bool


def chain_of(entries: Entries, entry: Entry) -> list[Entry]:
    """The entry and those that it takes its attributes from: code, abstract instance,
    declaration in a class."""
    chain = [entry]
    while len(chain) < _LONGEST_CHAIN:
        last = chain[-1]
        try:
            found = entries.follow(last, "DW_AT_abstract_origin")
            found = found or entries.follow(last, "DW_AT_specification")
        except SymprobeError:  # in a supplementary file that is not here
            break
        if found is None:
            break
        chain.append(found)
    return chain


def text_of(chain: list[Entry], *names: str) -> str:
    """The first of these string attributes that an entry of the chain has."""
    for entry in chain:
        for name in names:
            if text := entry.text(name):
                return text
    return ""


def number_of(chain: list[Entry], name: str) -> tuple[int, Entry] | None:
    """A number, and the entry of the chain that says it (file numbers count in its own unit)."""
    for entry in chain:
        number = entry.number(name)
        if number is not None:
            return number, entry
    return None


def flag_of(chain: list[Entry], name: str) -> bool:
    return any(entry.value(name) for entry in chain)


def declared_inline(chain: list[Entry]) -> bool:
    """DW_AT_inline is DW_INL_declared_inlined or _not_inlined: the source says inline."""
    return any(entry.number("DW_AT_inline") in DW_INL_DECLARED for entry in chain)


def signature(
    entries: Entries,
    types: Types,
    chain: list[Entry],
    low: int | None,
    machine: str,
    *,
    clone: bool,
) -> Signature:
    """What the function takes and returns. low: its entry, None when the registers of parameters
    are not wanted.  clone: a compiler's own copy, `foo.isra.0`, which takes its parameters
    elsewhere than the ABI says.

    Errors: MalformedError, and whatever pyelftools raises on broken data.
    """
    result = _typed(entries, types, chain)
    convention = Convention(machine if types.c_family and not clone else "")
    convention.returns(result.size, result.encoding, result.by_reference)
    sources, variadic = _parameters(entries, chain)
    external = flag_of(chain, "DW_AT_external")
    parameters, results = [], []
    for source in sources:
        taken = _typed(entries, types, source)
        if types.go and flag_of(source, "DW_AT_variable_parameter"):
            results.append(taken.text)  # Go describes its results as parameters
            continue
        assigned = convention.next(*taken[1:4], long_double=taken.long_double)
        register = None
        if low is not None:
            said, register = _described(source[0], low, machine)
            # Without optimisation DWARF knows only the place on the stack, set up a few
            # instructions later; with it, nothing of an unused parameter. Compilers keep the
            # ABI's order in both cases, unless they know all callers.
            if not said and (external or "DW_AT_location" in source[0]):
                register = assigned
        name = text_of(source, "DW_AT_name")
        parameters.append(Parameter(name, taken.text, taken.size, taken.encoding, register))
    if types.go:
        returned = results[0] if len(results) == 1 else f"({', '.join(results)})" * bool(results)
    else:
        returned = "" if types.assembler else result.text
    return Signature(tuple(parameters), returned, result.size, result.encoding, variadic)


def _parameters(entries: Entries, chain: list[Entry]) -> tuple[list[list[Entry]], bool]:
    """Each parameter as its own chain (code, abstract instance), and whether `...` ends them.

    The abstract instance has them all, the code only those that optimisation left; but only the
    code says where they are.
    """
    own = [(p, chain_of(entries, p)) for p in _some(entries, chain[0])]
    by_origin = {link[1].offset: link for _, link in own if len(link) > 1}
    for entry in chain[1:] + chain[:1] if "DW_AT_abstract_origin" in chain[0] else chain:
        found = _some(entries, entry)
        if not found:
            continue
        named = [p for p in found if p.tag == "DW_TAG_formal_parameter"]
        links = [by_origin.get(p.offset) or chain_of(entries, p) for p in named]
        return links, len(named) < len(found)
    return [], False


def _some(entries: Entries, function: Entry) -> list[Entry]:
    found = []
    for parameter in entries.parameters(function):
        found.append(parameter)
        if len(found) >= _MOST_PARAMETERS:
            break
    return found


class _Typed(NamedTuple):
    text: str
    size: int | None
    encoding: Encoding | None
    by_reference: bool | None
    long_double: bool = False


def _typed(entries: Entries, types: Types, chain: list[Entry]) -> _Typed:
    """The type that an entry of the chain has; `?` for one in a file that is not here."""
    holder = next((entry for entry in chain if "DW_AT_type" in entry), None)
    try:
        kind = None if holder is None else entries.follow(holder, "DW_AT_type")
        behind = types.peeled(kind)
        long_double = behind is not None and behind.text("DW_AT_name") == "long double"
        by_reference = types.by_reference(kind)
        return _Typed(types.spell(kind), *types.measure(kind), by_reference, long_double)
    except SymprobeError:
        return _Typed("?", None, None, None)


def _described(parameter: Entry, low: int, machine: str) -> tuple[bool, str | None]:
    """(whether DWARF gives the place at the first instruction, the register when it is one)."""
    if "DW_AT_location" not in parameter:
        return False, None
    listed = not isinstance(parameter.value("DW_AT_location"), list)
    try:
        register = described(parameter, low, machine)
        return listed or register is not None, register
    except SymprobeError:
        return False, None


def language(entry: Entry) -> int:
    """DW_LANG_* of the entry's unit, 0 when it doesn't say."""
    return entry.file.base(entry.unit, dw.DW_AT_LANGUAGE)
