"""`--where`: a condition on a call, as the user writes it and as C text for the BPF program.

condition  = term { ("||" | "or") term }
term       = factor { ("&&" | "and") factor }
factor     = ("!" | "not") factor | "(" condition ")" | comparison
comparison = operand ("==" | "!=" | "<" | "<=" | ">" | ">=") operand
operand    = argN[:TYPE] | NAME[:TYPE] | retval[:TYPE] | pid | tid | uid | comm | number | "text"
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from symprobe.errors import PatternError
from symprobe.trace.arguments import Argument, Signatures, parse_argument
from symprobe.trace.valuetype import value_type

MOST_TEXT = 64
MOST_LENGTH = 4096
MOST_DEPTH = 32

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>-?(?:0[xX][0-9a-fA-F]+|\d+)(?!\w))
      | (?P<name>[A-Za-z_]\w*(?::[a-z]\w*(?::\d+)?)?)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<operator>\|\||&&|==|!=|<=|>=|[<>!()])
    )""",
    re.VERBOSE,
)
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_WORDS = {"and": "&&", "or": "||", "not": "!"}
_PLAIN = {
    "pid": "(u64)SHOWN_TGID",
    "tid": "(u64)SHOWN_TID",
    "uid": "(bpf_get_current_uid_gid() & 0xffffffff)",
}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0"}


@dataclass(frozen=True)
class Where:
    """The condition in two parts, C expressions; empty: nothing to ask there.

    functions: C text that they need.  arguments: whether arguments are asked for.
    """

    at_entry: str = ""
    at_return: str = ""
    functions: str = ""
    arguments: bool = False


@dataclass(frozen=True)
class _Code:
    """C text of a condition, and when what it asks for can be known."""

    text: str
    entry: bool = False
    at_return: bool = False


@dataclass(frozen=True)
class _Operand:
    """A literal (value), or something that is read (expression)."""

    shown: str
    expression: str = ""
    value: int | bytes | None = None
    argument: Argument | None = None
    entry: bool = False
    at_return: bool = False


def compile_where(text: str, signatures: Signatures) -> Where:
    """The C text for a condition. PatternError: what can't be understood, or asked."""
    if len(text) > MOST_LENGTH:
        raise PatternError(f"--where: longer than {MOST_LENGTH} characters")
    return _Parser(text, signatures).parse()


@dataclass
class _Parser:
    source: str
    signatures: Signatures
    _tokens: list[tuple[str, str]] = field(default_factory=list)
    _at: int = 0
    _depth: int = 0
    _functions: list[str] = field(default_factory=list)

    def parse(self) -> Where:
        self._tokens = list(self._split())
        parts = self._condition()
        if self._at < len(self._tokens):
            raise self._error(f"{self._tokens[self._at][1]} is not expected there")
        entry = [part.text for part in parts if not part.at_return]
        back = [part.text for part in parts if part.at_return]
        for part in parts:
            if part.entry and part.at_return:
                raise self._error(
                    "arguments are known at the entry, retval at the return: join them by 'and'"
                )
        arguments = any(part.entry for part in parts)
        return Where(" && ".join(entry), " && ".join(back), "\n".join(self._functions), arguments)

    def _split(self) -> list[tuple[str, str]]:
        found, at = [], 0
        end = len(self.source.rstrip())
        while at < end:
            match = _TOKEN.match(self.source, at)
            if match is None or match.lastgroup is None:
                raise self._error(f"{self.source[at:].strip()[:20]!r} can't be understood")
            kind, token = match.lastgroup, match[match.lastgroup]
            if kind == "name" and token in _WORDS:
                kind, token = "operator", _WORDS[token]
            found.append((kind, token))
            at = match.end()
        return found

    def _condition(self) -> list[_Code]:
        """The parts of it that all must hold."""
        terms = [self._term()]
        while self._take("||"):
            terms.append(self._term())
        if len(terms) == 1:
            return terms[0]
        return [_joined(" || ", [_joined(" && ", term) for term in terms])]

    def _term(self) -> list[_Code]:
        parts = self._factor()
        while self._take("&&"):
            parts = parts + self._factor()
        return parts

    def _factor(self) -> list[_Code]:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise self._error("too deeply nested")
        try:
            if self._take("!"):
                whole = _joined(" && ", self._factor())
                return [_Code(f"!{whole.text}", whole.entry, whole.at_return)]
            if self._take("("):
                inside = self._condition()
                if not self._take(")"):
                    raise self._error("a ) is missing")
                return inside
            return [self._comparison()]
        finally:
            self._depth -= 1

    def _comparison(self) -> _Code:
        left = self._operand()
        operator = self._next("operator")
        if operator not in _MIRRORED:
            raise self._error(f"a comparison is missing behind {left.shown}")
        right = self._operand()
        if left.value is not None and right.value is None:
            left, right, operator = right, left, _MIRRORED[operator]
        if left.value is not None:
            raise self._error("a comparison needs something that changes: argN, retval, comm, pid")
        text = self._compared(left, operator, right)
        return _Code(f"({text})", left.entry or right.entry, left.at_return or right.at_return)

    def _operand(self) -> _Operand:
        kind, token = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        if kind not in ("number", "text", "name"):
            raise self._error(f"{token or 'the end'} stands where a value belongs")
        self._at += 1
        if kind == "number":
            value = int(token, 0) if "x" in token.lower() else int(token)
            if not -(1 << 63) <= value < 1 << 64:
                raise self._error(f"{token} has more than 64 bits")
            return _Operand(token, value=value)
        if kind == "text":
            return _Operand(token, value=_unquoted(token))
        if token in _PLAIN:
            return _Operand(token, _PLAIN[token])
        if token == "comm":
            return _Operand(token)
        name, _, chosen = token.partition(":")
        if name == "retval":
            result = self.signatures.result(value_type(chosen) if chosen else None)
            return _Operand(token, result.expression, argument=result, at_return=True)
        argument = self.signatures.argument(parse_argument(token))
        return _Operand(token, argument.expression, argument=argument, entry=True)

    def _compared(self, left: _Operand, operator: str, right: _Operand) -> str:
        if left.shown == "comm" or isinstance(right.value, bytes):
            return self._texts(left, operator, right)
        if right.shown == "comm":
            raise self._error('comm is compared with a text, as in comm == "bash"')
        for side in (left, right):
            if side.argument is not None and side.argument.type.is_float:
                raise self._error(f"{side.shown}: float and double can't be compared")
            if side.argument is not None and side.argument.type.is_text:
                raise self._error(f'{side.shown}: a text is compared with a text in quotes, ""')
        if right.value is None:
            return f"{left.expression} {operator} {right.expression}"
        number = right.value
        assert isinstance(number, int)
        signed = left.argument is not None and left.argument.type.is_signed
        if signed and number < 1 << 63:
            # no C literal is that negative number
            literal = "(-9223372036854775807LL - 1)" if number == -(1 << 63) else f"{number}LL"
            return f"{left.expression} {operator} {literal}"
        if number < 0:
            raise self._error(f"{left.shown} is never negative")
        return f"(u64){left.expression} {operator} {number}ULL"

    def _texts(self, left: _Operand, operator: str, right: _Operand) -> str:
        if not isinstance(right.value, bytes) or operator not in ("==", "!="):
            raise self._error(f"{left.shown} can only be == or != a text in quotes")
        no = "" if operator == "==" else "!"
        text = right.value
        if left.shown == "comm":
            if len(text) > 15:
                raise self._error("a comm has at most 15 bytes")
            words = [int.from_bytes(text.ljust(16, b"\0")[at : at + 8], "little") for at in (0, 8)]
            return f"{no}comm_is({words[0]}ULL, {words[1]}ULL)"
        if left.argument is None or not left.argument.type.may_be_address:
            raise self._error(f"{left.shown} is a number")
        if len(text) > MOST_TEXT:
            raise self._error(f"a text has at most {MOST_TEXT} bytes")
        name = f"text_is_{len(self._functions)}"
        self._functions.append(_text_function(name, text))
        return f"{no}{name}({left.argument.raw})"

    def _take(self, operator: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == ("operator", operator):
            self._at += 1
            return True
        return False

    def _next(self, kind: str) -> str:
        if self._at < len(self._tokens) and self._tokens[self._at][0] == kind:
            self._at += 1
            return self._tokens[self._at - 1][1]
        return ""

    def _error(self, what: str) -> PatternError:
        return PatternError(
            f"--where {self.source}: {what}", next_step="see 'symprobe trace --help'"
        )


def _joined(word: str, parts: list[_Code]) -> _Code:
    text = word.join(part.text for part in parts)
    return _Code(
        f"({text})", any(part.entry for part in parts), any(part.at_return for part in parts)
    )


def _unquoted(token: str) -> bytes:
    inside = re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), token[1:-1])
    return inside.encode("utf-8", "surrogateescape")


def _text_function(name: str, text: bytes) -> str:
    """A C function that compares what stands at an address, with its end, with the text."""
    same = " && ".join(f"text[{at}] == {byte}" for at, byte in enumerate(text)) or "1"
    read = "bpf_probe_read_user_str(text, sizeof(text), (void *)address)"
    lines = (
        f"static inline int {name}(u64 address)",
        "{",
        f"unsigned char text[{len(text) + 2}] = {{}};",
        "long length;",
        f"WITH_PAGES(length, sizeof(text), address, {read})",
        f"return length == {len(text) + 1} && {same};",
        "}",
    )
    return "\n".join(lines)
