"""The house's rules: who imports whom, what is imported late, who may print, what is too long."""

from __future__ import annotations

import ast
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "symprobe"
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60
ORDER = (
    "errors", "aside", "model", "probe", "elf", "demangle", "prefilter", "grep", "debuginfo",
    "binary",
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


def sources() -> Iterator[Path]:
    """All Python of the project."""
    for folder in ("symprobe", "tests", "scripts", "bench", "fixtures", "fuzz", "verify"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def test_no_file_is_too_long() -> None:
    lines = {path: path.read_text().count("\n") for path in sources()}
    lines |= {path: path.read_text().count("\n") for path in PACKAGE.rglob("*.[ch]")}
    assert len(lines) > 100
    assert not {str(path) for path, count in lines.items() if count > MOST_LINES}


def test_no_function_is_too_long() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (node.end_lineno or 0) - node.lineno >= MOST_LINES_OF_A_FUNCTION
    ]
    assert not wrong


def test_nothing_is_defined_and_never_used() -> None:
    """Each function, class and constant of the package is named somewhere else too."""
    words = Counter(
        word
        for path in sources()
        if path != Path(__file__)
        for word in re.findall(r"\w+", path.read_text())
    )
    wrong = [
        f"{module}:{line} {name}"
        for module, tree in modules()
        for name, line in _defined(tree)
        if words[name] == 1 and name not in HOOKS
    ]
    assert not wrong


HOOKS = {
    "address_family", "collect", "daemon_threads", "do_GET", "do_HEAD", "handle_error",
    "list_commands", "log_message", "readinto", "seekable", "server_version", "sys_version",
}  # fmt: skip
"""What http.server, io, prometheus_client and typer call by their names."""


def _defined(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Functions, methods and classes, and what a module or a class assigns."""
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            if not (node.name.startswith("__") or _is_command(node)):
                yield node.name, node.lineno
            if not isinstance(node, ast.ClassDef):
                continue
        if isinstance(node, (ast.ClassDef, ast.Module)):
            for line in node.body:
                places = line.targets if isinstance(line, ast.Assign) else ()
                places = (line.target,) if isinstance(line, ast.AnnAssign) else places
                for place in places:
                    if isinstance(place, ast.Name) and not place.id.startswith("__"):
                        yield place.id, line.lineno


def _is_command(node: ast.AST) -> bool:
    return any("app." in ast.unparse(each) for each in getattr(node, "decorator_list", ()))


def test_tests_that_probe_share_a_worker(request: pytest.FixtureRequest) -> None:
    """Else they count each other's calls: --dist loadgroup puts the group into the test's name."""
    probing = [item for item in request.session.items if item.get_closest_marker("xdist_group")]
    if os.environ.get("PYTEST_XDIST_WORKER"):
        assert all(item.nodeid.endswith("@trace") for item in probing)
