"""The spellings under which a person may know a function.

Source: the Itanium C++ ABI's mangling and how libiberty spells it; rustc's symbol mangling;
GCC's clone suffixes (cgraphclones.cc), LLVM's `.llvm.`.
"""

from __future__ import annotations

import re

_CLONE = re.compile(
    r"\.(?:cold|part|isra|constprop|lto_priv|localalias|llvm|clone|warm|hot|unlikely)\b[\w.]*$"
)
_RUST_HASH = re.compile(r"17h([0-9a-f]{16})E")
_STRUCTOR = re.compile(r"(?:[A-Za-z_0-9]|E)(C[1-5]|D[0-25])(?:B\d\w+)?E")
_RUST_TEXT = re.compile(r"'(?:[^'\\]|\\.[^']*)'|\"(?:[^\"\\]|\\.)*\"|->")
"""What may hold a `<` or `>` that is no bracket: constants, the arrow of a function's type."""
_CLONE_NOTE = re.compile(r" \[clone [^\]]*\]")
_ABI_TAG = re.compile(r"\[abi:[^\]]*\]")
_SPACES = re.compile(r"\s*([^\w\s$.])\s*")

STRUCTORS = {
    "C1": "complete object constructor",
    "C2": "base object constructor",
    "C3": "complete object allocating constructor",
    "C4": "unified constructor",
    "C5": "constructor group",
    "D0": "deleting destructor, which calls the complete object destructor",
    "D1": "complete object destructor",
    "D2": "base object destructor",
    "D5": "destructor group",
}


def normal(text: str) -> str:
    """A C++ spelling with insignificant spaces removed: `f(char const *, int)` as
    `f(char const*,int)`."""
    return _SPACES.sub(r"\1", text.strip())


def spellings(name: str, demangled: str) -> set[str]:
    """Everything that names the symbol exactly, in normal form: raw, demangled with and without
    parameters, without return type, without template arguments, without ABI tags; Rust with its
    hash, without generic arguments."""
    if name == demangled:
        return {name}
    full = normal(demangled)
    found = {name, full, normal(_CLONE_NOTE.sub("", demangled))}
    base = without_parameters(demangled)
    if base is not None:
        plain = without_return_type(base)
        found |= {normal(base), normal(plain), normal(without_template_arguments(plain))}
    found |= {normal(_ABI_TAG.sub("", text)) for text in list(found)}
    if is_rust(name):
        found.add(normal(without_generics(demangled)))
    hashed = _RUST_HASH.search(name)
    if hashed is not None:
        found.add(f"{full}::h{hashed[1]}")
    return found


def without_parameters(demangled: str) -> str | None:
    """`ns::f` of `ns::f(int) const`; None when there is no parameter list at the end."""
    text = demangled
    if not text.endswith(")"):
        text = _CLONE_NOTE.sub("", text)
    if not text.endswith(")"):
        text = re.sub(r"(?: const| volatile| ?&{1,2})+$", "", text)
    if not text.endswith(")"):
        return None
    depth = 0
    for place in range(len(text) - 1, -1, -1):
        if text[place] == ")":
            depth += 1
        elif text[place] == "(":
            depth -= 1
            if depth == 0:
                return text[:place] or None
    return None


def without_return_type(base: str) -> str:
    """`ns::f<int>` of `void ns::f<int>`: the return type that template functions are shown with."""
    depth = 0
    start = 0
    for place, char in enumerate(base):
        if char in "<(":
            depth += 1
        elif char in ">)":
            depth -= 1
        elif char == " " and depth == 0:
            if base[:place].endswith("operator"):
                break
            start = place + 1
    return base[start:]


def without_template_arguments(base: str) -> str:
    """`ns::f` of `ns::f<int>`: the template, of which every instance is meant."""
    if not base.endswith(">") or "operator" in base:
        return base
    depth = 0
    for place in range(len(base) - 1, -1, -1):
        depth += (base[place] == ">") - (base[place] == "<")
        if not depth:
            return base[:place] or base
    return base


def without_generics(demangled: str) -> str:
    """`a::f` of Rust's `a::f::<u8>` (v0) and `a::f<u8>` (legacy): every instance is meant."""
    text = _RUST_TEXT.sub(lambda found: "_" * len(found[0]), demangled)
    if not text.endswith(">"):
        return demangled
    depth = 0
    for place in range(len(text) - 1, -1, -1):
        depth += (text[place] == ">") - (text[place] == "<")
        if not depth:
            return demangled[:place].removesuffix("::") or demangled
    return demangled


def is_rust(name: str) -> bool:
    """Whether a raw name that can be demangled is one of Rust's."""
    return name.startswith("_R") or _RUST_HASH.search(name) is not None


def clone_parent(name: str) -> str | None:
    """The raw name that a clone was made of: `f` of `f.part.0`, `f.constprop.0.cold`."""
    if "." not in name:
        return None
    parent = name
    while (found := _CLONE.search(parent)) is not None and found.start() > 0:
        parent = parent[: found.start()]
    return parent if parent != name else None


def is_cold(name: str) -> bool:
    """Whether a clone is only the unlikely part of its parent: jumped to, never called."""
    return ".cold" in name or ".unlikely" in name


def structor(name: str, demangled: str) -> str | None:
    """Which of its class's constructors or destructors a raw name is, in words."""
    found = _STRUCTOR.search(name) if name.startswith("_ZN") else None
    base = without_parameters(demangled) if found is not None else None
    if found is None or base is None:
        return None
    # A method may be called C1: the last component has to be the class's name, or ~ and it.
    scope, _, last = re.sub(r"<.*>|\[abi:[^]]*\]", "", base).rpartition("::")
    if last.lstrip("~") != scope.rpartition("::")[2]:
        return None
    return f"{STRUCTORS[found[1]]} ({found[1]})"
