"""Arguments and results of the functions traced: what the user names, its type, its C text.

Without debug information a number is what the psABI passes in its place; with it parameters have
names, types and registers of their own. Only what travels in general registers and on the stack can
be read: no BPF program sees the vector registers that carry float and double on 64-bit machines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symprobe.errors import PatternError
from symprobe.trace.valuetype import AUTO, ValueType, type_of, value_type

if TYPE_CHECKING:
    from symprobe.dwarf import FunctionInfo, Parameter

_REGISTERS = {
    name: number
    for names in (("rdi", "rsi", "rdx", "rcx", "r8", "r9"), tuple(f"x{n}" for n in range(8)))
    for number, name in enumerate(names)
}
_WHOLE = {"signed", "unsigned", "pointer", "bool", "char"}
_FLOAT, _STRUCT = "float", "struct"
"""Values of symprobe.dwarf's Encoding, which is loaded when debug information is read."""
_FLOATS_IN_REGISTERS = 8
_SPEC = re.compile(r"(?P<what>[A-Za-z_]\w*|\d+)(?::(?P<type>\w+(?::\w+)?))?")


@dataclass(frozen=True)
class Spec:
    """What the user has written: a parameter's number or name, and perhaps its type."""

    what: int | str
    type: ValueType | None = None

    @property
    def label(self) -> str:
        return f"arg{self.what}" if isinstance(self.what, int) else self.what


@dataclass(frozen=True)
class Argument:
    """A value that can be read. expression: its C text, before the type."""

    label: str
    type: ValueType
    raw: str
    at_return: bool = False

    @property
    def expression(self) -> str:
        return self.type.number(self.raw)


def parse_argument(text: str) -> Spec:
    """`N[:TYPE]`, `argN[:TYPE]` or `NAME[:TYPE]`. PatternError: anything else."""
    match = _SPEC.fullmatch(text)
    if match is None:
        raise PatternError(f"{text}: not an argument", next_step="write N[:TYPE] or NAME[:TYPE]")
    what, kind = match["what"], match["type"]
    number = what[3:] if what.startswith("arg") and what[3:].isdigit() else what
    return Spec(
        int(number) if number.isdigit() else what, None if kind is None else value_type(kind)
    )


@dataclass(frozen=True)
class Signatures:
    """What is known of the functions traced, one entry each.

    functions: from the debug information, None without.  all_32_bit: they are i386 code, whose
    arguments are all on the stack.
    """

    functions: tuple[FunctionInfo | None, ...]
    all_32_bit: bool = False

    def argument(self, spec: Spec) -> Argument:
        """Where a parameter is, for all functions alike. PatternError says why it can't be read."""
        places = {self._place(spec, function) for function in self.functions}
        if len(places) != 1:
            raise PatternError(
                f"{spec.label}: is not the same in all functions", next_step="trace one at a time"
            )
        place, kind = places.pop()
        chosen = spec.type or kind
        self._check_float(spec.label, chosen)
        reader = "wide_argument" if chosen.name == "double" else "argument"
        return Argument(spec.label, chosen, f"{reader}(ctx, {place})")

    def result(self, chosen: ValueType | None) -> Argument:
        """The value returned."""
        if chosen is None:
            kinds = {_result_type(function) for function in self.functions}
            if len(kinds) > 1:
                raise PatternError(
                    "retval: is not of the same type in all functions",
                    next_step="give one, such as --retval:int, or trace one at a time",
                )
            chosen = kinds.pop()
        if chosen.is_float:
            raise PatternError(
                "retval: a float or double is returned in a register that BPF programs can't read",
                next_step="choose another type, such as --retval:hex",
            )
        return Argument("retval", chosen, "result(ctx)", at_return=True)

    def _place(self, spec: Spec, function: FunctionInfo | None) -> tuple[int, ValueType]:
        """The number that the parameter has among those passed as integers, and its type."""
        if function is None:
            if isinstance(spec.what, str):
                raise PatternError(
                    f"{spec.what}: there is no debug information that knows a parameter's name",
                    next_step="use its number, counted from 0",
                )
            return spec.what, AUTO
        names = [parameter.name for parameter in function.parameters]
        if isinstance(spec.what, str):
            if spec.what not in names:
                raise PatternError(
                    f"{spec.what}: {function.name} has no such parameter",
                    next_step=f"it has {', '.join(filter(None, names)) or 'none'}",
                )
            index = names.index(spec.what)
        else:
            index = spec.what
            if index >= len(names):  # variadic, K&R, or more than the source says
                return index, AUTO
        parameter = function.parameters[index]
        kind = type_of(parameter.type, parameter.byte_size, parameter.encoding)
        if spec.type is None:
            self._check_struct(spec.label, parameter)
        self._check_float(spec.label, kind)
        return self._position(spec.label, function, index), kind

    def _position(self, label: str, function: FunctionInfo, index: int) -> int:
        """Among the parameters passed as integers; on i386, where all are on the stack, in words.

        Debug information names the register; where it does not, the psABI's order does, as long
        as nothing stands before the parameter whose place depends on more than its size.
        """
        parameter, before = function.parameters[index], function.parameters[:index]
        hidden = function.return_encoding == _STRUCT  # the address for what is returned
        if self.all_32_bit:
            return hidden + sum(max(1, ((each.byte_size or 4) + 3) // 4) for each in before)
        if parameter.register in _REGISTERS:
            return _REGISTERS[parameter.register]
        floats = sum(each.encoding == _FLOAT for each in before)
        sure = all(map(_one_register, (*before, parameter))) and not hidden
        if parameter.register is not None or not sure or floats > _FLOATS_IN_REGISTERS:
            raise PatternError(
                f"{label}: where {function.name} is given it is not known",
                next_step="ask for another argument",
            )
        return index - floats

    def _check_float(self, label: str, kind: ValueType) -> None:
        if kind.is_float and not self.all_32_bit:
            raise PatternError(
                f"{label}: a {kind.name} is passed in a register that BPF programs can't read",
                next_step="only 32-bit programs pass it in memory",
            )

    @staticmethod
    def _check_struct(label: str, parameter: Parameter) -> None:
        if parameter.encoding == _STRUCT:
            raise PatternError(
                f"{label}: is a {parameter.type} by value", next_step="give a type, such as :hex"
            )


def _result_type(function: FunctionInfo | None) -> ValueType:
    """The type that a function returns, AUTO when it is not known. PatternError: none."""
    if function is None:
        return AUTO
    if function.return_type == "void":
        raise PatternError(f"retval: {function.name} returns nothing")
    if function.return_encoding == _STRUCT:
        raise PatternError(
            f"retval: {function.name} returns a {function.return_type} by value",
            next_step="give a type, such as --retval:hex",
        )
    return type_of(function.return_type, function.return_size, function.return_encoding)


def _one_register(parameter: Parameter) -> bool:
    """Whether it takes one register, general or vector, or one word of the stack behind them."""
    size = parameter.byte_size or 0
    return 0 < size <= 8 and (parameter.encoding in _WHOLE or parameter.encoding == _FLOAT)
