"""Assertions about ELF files, for tests in pytest or any other framework.

    from symprobe.testing import assert_exports, assert_max_version

    def test_plugin() -> None:
        assert_exports("build/plugin.so", "plugin_init", "plugin_exit")
        assert_max_version("build/plugin.so", "GLIBC_2.31")

Each raises AssertionError with one line a broken promise, and SymprobeError when the file can't be
read. SYMBOLs are written as on the command line: names, NAME@VERSION, demangled, globs, /regex/.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Union

from symprobe.contract.check import Candidate, check, rules_for
from symprobe.contract.contractfile import Clause, read_contract
from symprobe.contract.rules import Rule, RuleKind, hardening_rules, make_rule
from symprobe.contract.subject import Surroundings
from symprobe.errors import FileError, PatternError
from symprobe.model import FilePath

__all__ = [
    "assert_contract",
    "assert_exports",
    "assert_hardened",
    "assert_imports",
    "assert_linkage",
    "assert_loads",
    "assert_max_version",
    "assert_not_exported",
    "assert_not_imported",
    "assert_probe",
    "assert_soname",
    "assert_without",
]

Path = Union[str, "os.PathLike[str]"]


def assert_exports(path: Path, *symbols: str) -> None:
    """Each SYMBOL is defined and exported.

    >>> assert_exports("/bin/bash", "read_builtin")
    >>> assert_exports("/bin/bash", "read_biultin")
    Traceback (most recent call last):
    AssertionError: /bin/bash: require read_biultin: not there, but read_builtin, ...
    """
    _assert(path, _each(RuleKind.REQUIRE, symbols))


def assert_imports(path: Path, *symbols: str) -> None:
    """Each SYMBOL is asked of other files."""
    _assert(path, _each(RuleKind.REQUIRE_IMPORTED, symbols))


def assert_without(path: Path, *symbols: str) -> None:
    """No SYMBOL is exported or imported."""
    _assert(path, _each(RuleKind.FORBID, symbols))


def assert_not_exported(path: Path, *symbols: str) -> None:
    """No SYMBOL is exported."""
    _assert(path, _each(RuleKind.FORBID_EXPORTED, symbols))


def assert_not_imported(path: Path, *symbols: str) -> None:
    """No SYMBOL is asked of other files."""
    _assert(path, _each(RuleKind.FORBID_IMPORTED, symbols))


def assert_max_version(path: Path, *versions: str) -> None:
    """No newer version of the same family is required: `GLIBC_2.31`, `GLIBCXX_3.4.28`."""
    _assert(path, _each(RuleKind.MAX_VERSION, versions))


def assert_loads(
    path: Path, *, library_path: str | None = None, root: str = "", symbols: bool = False
) -> None:
    """The loader finds every library in every version needed.

    library_path: as LD_LIBRARY_PATH, which is not looked at.  root: what is `/` for the loader.
    symbols: also, some library defines every symbol.
    """
    rules = [make_rule(RuleKind.NO_MISSING)]
    if symbols:
        rules.append(make_rule(RuleKind.NO_UNRESOLVED))
    _assert(path, rules, Surroundings(library_path=library_path, root=root))


def assert_linkage(path: Path, *linkages: str) -> None:
    """The file is of one of these kinds: `static`, `dynamic-pie`, ... as `symprobe info` says."""
    _assert(path, [make_rule(RuleKind.LINKAGE, ",".join(linkages))])


def assert_hardened(path: Path, *words: str) -> None:
    """`relro` (full), `nx`, `pie`, `canary`, `fortify`, ..."""
    _assert(path, hardening_rules(",".join(words)))


def assert_soname(path: Path, name: str) -> None:
    """The soname is that one."""
    _assert(path, [make_rule(RuleKind.SONAME, name)])


def assert_probe(path: Path, *symbols: str) -> None:
    """A probe on each SYMBOL has a place, and no copy of it is inlined."""
    _assert(path, _each(RuleKind.PROBE, symbols))


def assert_contract(contract: Path, *paths: Path) -> None:
    """Each file holds what the TOML contract says of it."""
    clauses = read_contract(os.fspath(contract))
    if not paths:
        raise PatternError("no file given")
    for path in paths:
        rules = rules_for(clauses, os.fspath(path))
        if not rules:
            raise PatternError(f"no [[file]] of {os.fspath(contract)} applies to {os.fspath(path)}")
        _assert(path, rules)


def _each(kind: RuleKind, values: Iterable[str]) -> list[Rule]:
    return [make_rule(kind, value) for value in values]


def _assert(path: Path, rules: Iterable[Rule], around: Surroundings | None = None) -> None:
    rules = tuple(rules)
    if not rules:
        raise PatternError("nothing to assert")
    text = os.fspath(path)
    candidate = Candidate(FilePath.plain(text), True)
    (report,) = check([candidate], [Clause("*", rules)], around or Surroundings())
    if report.error:
        raise FileError(report.error, file=text)
    broken = [f"{text}: {o.rule}: {o.detail}" for o in report.outcomes if not o.held]
    if broken:
        raise AssertionError("\n".join(broken))
