"""What all tests share: the fixtures built from recipes, and what this machine must be able to do.

On a developer's machine a test whose tool is missing is skipped, with the tool's name; in CI
(CI=true) it fails: a green run there means that everything ran.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from fixtures.build import FixtureUnavailableError, build
from symprobe.errors import TraceError
from symprobe.trace import bccload, privileges

PROBING = (
    *("tests/trace/", "tests/resolve/emit/", "tests/resolve/test_instructions"),
    "tests/test_examples.py",
)
"""Tests that put in probes: in one worker, so that none counts what another one does."""
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of what a script starts with nohup, or &
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else what we start ignores it too
IN_CI = os.environ.get("CI", "").lower() in ("1", "true")


def unavailable(reason: str) -> NoReturn:
    """End the test: it can't run here. A failure in CI, else a skip."""
    if IN_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def absent(name: str) -> NoReturn:
    """Skip the test, in CI too: a large program that no package of the set-up brings is only one
    more sample, and others have its place."""
    pytest.skip(f"{name} is not on this machine")


def need_module(name: str) -> Any:
    """The module of an optional package; ends the test where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        unavailable(str(error))


def need_tracing() -> None:
    """End the test where this machine can't trace."""
    if lacking := privileges.missing(privileges.effective()):
        unavailable(f"tracing needs {lacking}")
    try:
        bccload.load()
    except TraceError as error:
        unavailable(str(error))


@pytest.fixture(scope="session")
def fixture() -> Callable[[str], Path]:
    """`fixture("hello-static")`: the path of a fixture, built when it is out of date."""

    def path_of(name: str) -> Path:
        try:
            return build(name)
        except FixtureUnavailableError as error:
            unavailable(str(error))

    return path_of


@pytest.fixture
def written(tmp_path: Path) -> Callable[[bytes], Path]:
    """`written(file.to_bytes())`: bytes as a file, for the tools that judge."""

    def path_of(data: bytes) -> Path:
        path = tmp_path / f"written-{len(list(tmp_path.iterdir()))}"
        path.write_bytes(data)
        return path

    return path_of


@pytest.hookimpl(tryfirst=True)  # before xdist looks for the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give all tests that probe to the same worker (pytest-xdist, --dist loadgroup)."""
    for item in items:
        if item.nodeid.startswith(PROBING):
            item.add_marker(pytest.mark.xdist_group("trace"))
