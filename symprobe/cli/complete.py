"""Shell completion of symbol names: those of the TARGET typed before."""

from typing import Any

from symprobe.binary import open_binaries
from symprobe.cli.targets import target
from symprobe.errors import SymprobeError
from symprobe.grep import Grep

_MOST = 200
_INERT = r"[\w.:@+,/%][\w.:@+,/%~-]*"
"""Names that mean nothing to any shell: bash puts what is chosen into the line as it stands, and
zsh evaluates the list itself, where typer's quoting of `\\$(…)` does not hold."""


def symbol_names(ctx: Any, incomplete: str) -> list[str]:
    """Names in the TARGETs of the command line that begin with what is typed; nothing when a
    TARGET can't be read. C++ names are offered without their parameters."""
    import re  # here: every command's start imports this module

    # Behind an option that still lacks its value, typer leaves the arguments unparsed in args.
    targets = ctx.params.get("targets") or ctx.params.get("target") or ctx.args
    if isinstance(targets, str):
        targets = (targets,)
    inert = re.compile(_INERT).fullmatch
    found: set[str] = set()
    for text in targets:
        try:
            for binary in open_binaries(target(text).file):
                grep = Grep(incomplete, fixed=True) if incomplete else None
                found.update(
                    name
                    for symbol in binary.symbols(grep)
                    for name in (symbol.name, symbol.demangled.partition("(")[0])
                    if name.startswith(incomplete) and inert(name)
                )
        except SymprobeError:
            continue
    return sorted(found)[:_MOST]
