"""The house's rules: who imports whom, what is imported late, who may print."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "symprobe"
ORDER = (
    "errors", "model", "probe", "elf", "demangle", "prefilter", "grep", "debuginfo", "binary",
    "linkage", "dwarf", "hardening", "facts", "loader", "process", "target", "resolve", "trace",
    "contract", "render", "cli",
)  # fmt: skip
"""An import goes from a later one to an earlier one, never back."""
LATE = {"bcc", "lief", "elftools", "rich", "cxxfilt", "capstone", "prometheus_client", "pyarrow"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")
        yield name.removesuffix(".__init__"), ast.parse(path.read_text())


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module, node.lineno


def rank(module: str) -> int:
    return ORDER.index(module.partition(".")[0])


def test_imports_go_down_the_list() -> None:
    wrong = []
    for name, tree in modules():
        if name in ("__init__", "__main__", "testing"):
            continue
        for target, line in imported(tree):
            inner = target.removeprefix("symprobe.")
            if inner != target and rank(inner) > rank(name):
                wrong.append(f"{name}:{line} imports {inner}")
    assert not wrong


def test_heavy_packages_are_imported_inside_functions() -> None:
    wrong = []
    for name, tree in modules():
        for node in tree.body:
            for target, line in imported(node) if not isinstance(node, FUNCTIONS) else ():
                if target.partition(".")[0] in LATE and not _for_types_only(node):
                    wrong.append(f"{name}:{line} imports {target}")
    assert not wrong


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def test_only_the_command_line_prints_exits_and_reads_the_environment() -> None:
    wrong = []
    for name, tree in modules():
        if name.partition(".")[0] in ("cli", "__main__"):
            continue
        for node in ast.walk(tree):
            text = ast.unparse(node) if isinstance(node, (ast.Call, ast.Attribute)) else ""
            if name == "trace.bccload" and "environ" in text:
                continue  # BCC, a C library, takes its settings from there and nowhere else
            if text.startswith(("print(", "sys.exit(", "sys.stdout", "sys.stderr", "os.environ")):
                wrong.append(f"{name}:{node.lineno} {text[:60]}")  # type: ignore[attr-defined]
    assert not wrong


def test_tests_that_probe_share_a_worker(request: pytest.FixtureRequest) -> None:
    """Else they count each other's calls: --dist loadgroup puts the group into the test's name."""
    probing = [item for item in request.session.items if item.get_closest_marker("xdist_group")]
    if os.environ.get("PYTEST_XDIST_WORKER"):
        assert all(item.nodeid.endswith("@trace") for item in probing)
