"""symprobe.testing: each assertion passes where its command does, and says why where not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe import testing
from symprobe.errors import SymprobeError
from tests.support.run import SCHEMAS

Fixture = Callable[[str], Path]


def test_what_holds(fixture: Fixture, tmp_path: Path) -> None:
    library, program = fixture("libversioned.so"), fixture("hello-pie")
    testing.assert_exports(library, "renamed@LIBV_1.0", "since_*")
    testing.assert_imports(program, "__libc_start_main")
    testing.assert_without(str(program), "gets")
    testing.assert_not_exported(program, "main")
    testing.assert_not_imported(library, "printf")
    testing.assert_max_version(program, "GLIBC_2.36")
    testing.assert_loads(program, symbols=True)
    testing.assert_linkage(program, "dynamic-pie", "static-pie")
    testing.assert_hardened(program, "nx", "pie")
    testing.assert_soname(library, "libversioned.so")
    testing.assert_probe(program, "main")
    contract = tmp_path / "c.toml"
    contract.write_text('[[file]]\npath = "hello-*"\nforbid = "gets"\n')
    testing.assert_contract(contract, program)


def test_what_does_not(fixture: Fixture, tmp_path: Path) -> None:
    program = fixture("versioned-user")
    with pytest.raises(AssertionError, match="require no_such: not there") as caught:
        testing.assert_exports(program, "no_such", "nor_this")
    assert len(str(caught.value).splitlines()) == 2
    with pytest.raises(AssertionError, match=r"libversioned\.so not found"):
        testing.assert_loads(_alone(program, tmp_path))
    with pytest.raises(AssertionError, match="dynamic-pie"):
        testing.assert_linkage(program, "static")
    with pytest.raises(SymprobeError, match="no such file"):
        testing.assert_exports("/no/such/file", "x")
    with pytest.raises(SymprobeError, match="unknown linkage"):
        testing.assert_linkage(program, "statik")
    with pytest.raises(SymprobeError):
        testing.assert_exports(program)


def _alone(path: Path, directory: Path) -> Path:
    copy = directory / path.name
    copy.write_bytes(path.read_bytes())
    return copy


def test_in_a_test_of_a_user(fixture: Fixture, tmp_path: Path) -> None:
    (tmp_path / "test_release.py").write_text(
        "from symprobe.testing import assert_exports\n"
        f"LIBRARY = {str(fixture('libversioned.so'))!r}\n"
        "def test_good(): assert_exports(LIBRARY, 'renamed')\n"
        "def test_bad(): assert_exports(LIBRARY, 'gone')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(SCHEMAS.parents[1])},
    )  # fmt: skip
    assert "1 failed, 1 passed" in done.stdout
    assert "libversioned.so: require gone: not there" in done.stdout
