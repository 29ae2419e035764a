"""The examples of the documentation run: docstrings, the Python of README and docs/, --json."""

from __future__ import annotations

import doctest
import importlib
import json
import re
from pathlib import Path

import jsonschema
import pytest

import symprobe
import symprobe.testing
from symprobe.cli.app import COMMANDS
from symprobe.errors import SymprobeError
from tests.conftest import need_tracing
from tests.support.run import SCHEMAS, symprobe_json

ROOT = Path(__file__).parents[1]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
NAMES = [name for name in symprobe.__all__ if not name.endswith("Error")]


def modules() -> list[str]:
    """The modules with examples."""
    paths = sorted((ROOT / "symprobe").rglob("*.py"))
    found = [path for path in paths if ">>> " in path.read_text()]
    names = [path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in found]
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("name", modules())
def test_examples_of_docstrings(name: str) -> None:
    if name.startswith("symprobe.trace."):
        need_tracing()
    module = importlib.import_module(name)
    failed, tried = doctest.testmod(module, optionflags=FLAGS, verbose=False)
    assert tried > 0
    assert failed == 0


@pytest.mark.parametrize("name", NAMES)
def test_what_is_public_has_an_example(name: str) -> None:
    """The objects as they come from `from symprobe import …`, loaded lazily."""
    value = getattr(symprobe, name)
    value = getattr(value, name, value)  # `resolve` may be the package of that name
    examples = doctest.DocTestFinder(recurse=False).find(value, name)[0].examples
    assert examples, f"{name} has no example"


def test_what_is_public_is_told_of() -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    missing = [n for n in (*symprobe.__all__, *symprobe.testing.__all__) if f"`{n}" not in page]
    assert not missing
    for name in symprobe.testing.__all__:
        assert getattr(symprobe.testing, name).__doc__
    errors = [getattr(symprobe, name) for name in symprobe.__all__ if name.endswith("Error")]
    assert all(issubclass(error, SymprobeError) and error.__doc__ for error in errors)


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_python_of_the_pages(page: Path) -> None:
    """The blocks of one page, one after the other: what one defines, the next may use."""
    text = page.read_text()
    if "Tracer(" in text:
        need_tracing()
    names: dict[str, object] = {"__name__": "example"}
    for found in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        where = f"{page.name}, line {text.count(chr(10), 0, found.start()) + 1}"
        if ">>> " in found[1]:
            example = doctest.DocTestParser().get_doctest(found[1], names, where, where, 0)
            runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
            assert runner.run(example, clear_globs=False).failed == 0
            names = example.globs
        else:
            exec(compile(found[1], where, "exec"), names)


# -- the JSON documents

EXAMPLES = {
    "ls": ["libc.so.6", "--grep", "^exit$"],
    "info": ["/bin/sh", "libc.so.6"],
    "deps": ["/bin/ls", "--who", "malloc", "--why", "libc.so.6", "--unresolved"],
    "resolve": ["libc.so.6", "exit", "nosuch", "--as", "bpftrace"],
    "trace": ["libc.so.6", "exit", "--by", "comm", "-d", "0.1"],
    "check": ["/bin/sh", "--require", "nosuch", "--no-missing"],
    "diff": ["/bin/ls", "/bin/cat"],
    "find": ["exit", "/bin/sh", "/bin/ls"],
    "doctor": [],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_holds_to_its_schema(command: str) -> None:
    """And the schema is one that can fail: it wants each key that scripts rely on."""
    if command == "trace":
        need_tracing()
    document = symprobe_json(command, *EXAMPLES[command])
    assert document["schema"] == f"symprobe/{command}/1"
    schema = json.loads((SCHEMAS / f"{command}.json").read_text())
    for key in document:
        if key in schema["required"]:
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate({k: v for k, v in document.items() if k != key}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document | {"unknown_key": 1}, schema)


def test_no_schema_is_of_another_command() -> None:
    names = {path.stem for path in SCHEMAS.glob("*.json")}
    assert names == {*COMMANDS, "trace-event"}
