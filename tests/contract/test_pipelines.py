"""What pipelines of others are given: the action's script, its description, the hooks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
Fixture = Callable[[str], Path]


def action(directory: Path, **inputs: str | Path) -> subprocess.CompletedProcess[str]:
    """The step of action.yml, with symprobe as it is here."""
    program = directory / "symprobe-here"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m symprobe "$@"\n')
    program.chmod(0o755)
    return subprocess.run(
        ["bash", ROOT / "scripts" / "action.sh", program],
        capture_output=True, text=True, check=False, cwd=directory,
        env={**os.environ, **{key: str(value) for key, value in inputs.items()}},
    )  # fmt: skip


def test_the_action(fixture: Fixture, tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    shutil.copy(fixture("libversioned.so"), tmp_path / "dist" / "lib.so")
    done = action(tmp_path, TARGETS="dist/*.so", RULES="--require renamed --forbid 'a b'")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "::notice title=symprobe check::held: 2 rules on 1 file\n"
    sarif = tmp_path / "report.sarif"
    done = action(tmp_path, TARGETS="dist", RULES="--require gone", SARIF=sarif)
    assert done.returncode == 1
    assert "::error file=dist/lib.so,title=require gone::not there" in done.stdout
    assert len(json.loads(sarif.read_text())["runs"][0]["results"]) == 1
    (tmp_path / "symprobe.toml").write_text('[[file]]\npath = "lib.so"\nrequire = "renamed"\n')
    assert action(tmp_path, CONTRACT="symprobe.toml").returncode == 0
    assert action(tmp_path, TARGETS="nothing/*").returncode == 2


def test_the_descriptions_name_what_is_there() -> None:
    """The inputs that action.yml passes on are those that its script reads."""
    described = (ROOT / "action.yml").read_text()
    script = (ROOT / "scripts" / "action.sh").read_text()
    for name in ("TARGETS", "CONTRACT", "RULES", "SARIF"):
        assert f"{name}: ${{{{ inputs.{name.lower()} }}}}" in described
        assert f"${{{name}:-}}" in script or f'"${name}"' in script
    hooks = (ROOT / ".pre-commit-hooks.yaml").read_text()
    assert hooks.count("entry: symprobe check") == 2


def test_the_hook_on_files_that_were_staged(fixture: Fixture, tmp_path: Path) -> None:
    """pre-commit runs the entry with the arguments and the names of the files."""
    shutil.copy(fixture("libversioned.so"), tmp_path / "lib.so")
    (tmp_path / "symprobe.toml").write_text('[[file]]\npath = "*.so"\nrequire = "renamed"\n')
    command = [sys.executable, "-m", "symprobe", "check", "--contract", "symprobe.toml", "lib.so"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True)
    assert done.returncode == 0
