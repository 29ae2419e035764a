"""What `symprobe check` is asked: the options that say what to check, and those that are rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from symprobe.cli.complete import symbol_names
from symprobe.contract.rules import Rule, RuleKind, hardening_rules, make_rule
from symprobe.errors import PatternError

Targets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="TARGET...",
        help="Path, name, directory (every ELF file below) or glob. Default with --contract: "
        "the directory of the contract.",
    ),
]
Contracts = Annotated[
    list[str] | None,
    typer.Option("--contract", metavar="FILE", help="Rules from a TOML contract."),
]
WriteContract = Annotated[
    bool, typer.Option("--write-contract", help="Print a contract that says what TARGETs are now.")
]
Require = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SYMBOL",
        help="Is defined and exported. Repeatable, as most are.",
        autocompletion=symbol_names,
    ),
]
Forbid = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SYMBOL",
        help="Is neither exported nor imported.",
        autocompletion=symbol_names,
    ),
]
Imported = Annotated[
    bool, typer.Option("--imported", help="--require and --forbid are about imports.")
]
Exported = Annotated[bool, typer.Option("--exported", help="--forbid is about exports.")]
MaxVersion = Annotated[
    list[str] | None, typer.Option(metavar="VERSION", help="No newer one is required: GLIBC_2.31.")
]
NoMissing = Annotated[
    bool, typer.Option("--no-missing", help="The loader finds all libraries and versions.")
]
NoUnresolved = Annotated[
    bool, typer.Option("--no-unresolved", help="Some library defines every symbol.")
]
Linkages = Annotated[
    str | None,
    typer.Option(metavar="KIND,...", help="static, static-pie, dynamic-pie, ... (see info)."),
]
Hardening = Annotated[
    str | None,
    typer.Option(
        metavar="WORD,...",
        help="relro (full), partial-relro, nx, pie, canary, fortify, ibt, shstk, bti, pac, "
        "no-textrel.",
    ),
]
Soname = Annotated[str | None, typer.Option(metavar="NAME", help="DT_SONAME is NAME.")]
NoRpath = Annotated[bool, typer.Option("--no-rpath", help="Neither RPATH nor RUNPATH.")]
Probe = Annotated[
    list[str] | None,
    typer.Option(
        metavar="SYMBOL",
        help="A probe has a place, and no copy is inlined.",
        autocompletion=symbol_names,
    ),
]


@dataclass(frozen=True)
class Asked:
    """The options as they were given."""

    require: Sequence[str]
    forbid: Sequence[str]
    imported: bool
    exported: bool
    max_version: Sequence[str]
    no_missing: bool
    no_unresolved: bool
    linkage: str | None
    hardening: str | None
    soname: str | None
    no_rpath: bool
    probe: Sequence[str]

    def rules(self) -> list[Rule]:
        """The rules that they are. Errors: PatternError."""
        if self.imported and self.exported:
            raise PatternError("--imported and --exported exclude each other")
        required = RuleKind.REQUIRE_IMPORTED if self.imported else RuleKind.REQUIRE
        forbidden = RuleKind.FORBID
        if self.imported or self.exported:
            forbidden = RuleKind.FORBID_IMPORTED if self.imported else RuleKind.FORBID_EXPORTED
        repeatable = (
            (required, self.require),
            (forbidden, self.forbid),
            (RuleKind.MAX_VERSION, self.max_version),
            (RuleKind.PROBE, self.probe),
        )
        rules = [make_rule(kind, value) for kind, values in repeatable for value in values]
        rules += [make_rule(RuleKind.NO_MISSING)] if self.no_missing else []
        rules += [make_rule(RuleKind.NO_UNRESOLVED)] if self.no_unresolved else []
        rules += [make_rule(RuleKind.LINKAGE, self.linkage)] if self.linkage is not None else []
        rules += hardening_rules(self.hardening) if self.hardening is not None else []
        rules += [make_rule(RuleKind.SONAME, self.soname)] if self.soname is not None else []
        rules += [make_rule(RuleKind.NO_RPATH)] if self.no_rpath else []
        return rules
