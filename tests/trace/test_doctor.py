"""doctor: what it finds is so, and what it advises helps."""

from __future__ import annotations

import ctypes
import gzip
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from symprobe.trace import bccload, doctor
from symprobe.trace.doctor import Check, examine
from tests.support.run import as_nobody

SCHEMA = Path(__file__).parents[2] / "docs" / "schema" / "doctor.json"
ALL = {"machine", "permission", "bpf", "kernel", "lockdown", "btf", "uprobe_multi", "bcc",
       "compiler", "trial", "cgroup", "tracefs"}  # fmt: skip


def by_name() -> dict[str, Check]:
    return {check.name: check for check in examine()}


def test_this_machine_can_trace() -> None:
    checks = by_name()
    assert set(checks) == ALL
    for check in checks.values():
        assert check.ok or not check.required
        assert check.detail
        assert bool(check.fix) != check.ok
    assert checks["trial"].detail == "23 of 23 calls counted"
    assert platform.release() in checks["machine"].detail
    assert bccload.load().__version__ in checks["bcc"].detail


def doctor_as(*prefix: str) -> tuple[int, str, dict[str, dict[str, object]]]:
    code = f"import sys; sys.path.insert(0, {str(Path.cwd())!r})\n"
    code += "import typer; from symprobe.cli.doctor import app\n"
    code += "command = typer.main.get_command(app)\n"
    code += "with command.make_context('doctor', sys.argv[1:]) as context:\n"
    code += "    sys.exit(command.invoke(context))"
    command = [*prefix, sys.executable, "-c", code]
    text = subprocess.run(command, capture_output=True, text=True, check=False)
    assert text.stderr == ""
    told = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert told.returncode == text.returncode
    document = json.loads(told.stdout)
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    return text.returncode, text.stdout, {check["name"]: check for check in document["checks"]}


def test_with_permission() -> None:
    code, text, checks = doctor_as()
    assert code == 0
    assert text.splitlines()[-1] == "this machine can trace"
    assert set(checks) == ALL


def test_without_permission() -> None:
    code, text, checks = doctor_as(*as_nobody())
    assert code == 1
    assert text.splitlines()[-1] == "this machine can't trace"
    assert not checks["permission"]["ok"]
    assert "sudo" in str(checks["permission"]["fix"])
    assert not checks["trial"]["ok"]
    assert checks["bcc"]["ok"]


def test_what_it_advises_to_the_unprivileged_is_enough() -> None:
    code, _, checks = doctor_as(*as_nobody("bpf", "perfmon"))
    assert code == 0
    assert checks["trial"]["ok"]


def test_without_bcc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bccload, "_find", lambda: None)
    monkeypatch.delitem(sys.modules, "bcc", raising=False)
    checks = by_name()
    assert not checks["bcc"].ok
    assert checks["bcc"].fix == bccload.install_command()
    assert not checks["trial"].ok


@pytest.mark.parametrize(
    ("text", "ok", "detail"),
    [
        ("[none] integrity confidentiality\n", True, "none"),
        ("none [integrity] confidentiality\n", True, "integrity"),
        ("none integrity [confidentiality]\n", False, "confidentiality"),
    ],
)
def test_lockdown(text: str, ok: bool, detail: str, tmp_path: Path) -> None:
    path = tmp_path / "lockdown"
    path.write_text(text)
    check = doctor._lockdown(path)
    assert (check.ok, check.detail) == (ok, detail)


def test_the_kernels_configuration() -> None:
    check = doctor._configuration(platform.release())
    if not Path("/proc/config.gz").exists():
        pytest.skip("the kernel does not tell its configuration")
    text = gzip.decompress(Path("/proc/config.gz").read_bytes()).decode()
    assert check.ok == all(f"\nCONFIG_{name}=y\n" in text for name in doctor.CONFIGURATION)


def test_the_trial_is_on_the_function_that_it_calls() -> None:
    found = doctor._own_function()
    libc = ctypes.CDLL(None)
    address = ctypes.cast(libc.getppid, ctypes.c_void_p).value
    code = ctypes.string_at(address or 0, 16)
    with open(found.file.opened, "rb") as file:
        assert os.pread(file.fileno(), 16, found.offset) == code
