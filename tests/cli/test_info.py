"""`symprobe info`: the verdict on each kind of file, and what binutils say of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.run import symprobe, symprobe_json

Fixture = Callable[[str], Path]


@pytest.mark.parametrize(
    ("name", "linkage"),
    [
        ("hello-static", "static"),
        ("hello-static-pie", "static-pie"),
        ("hello-nopie", "dynamic"),
        ("hello-pie", "dynamic-pie"),
        ("hello-pie-stripped", "dynamic-pie"),
        ("libversioned.so", "shared-library"),
        ("symbols.o", "object"),
        ("kmod.ko", "kernel-module"),
        ("core", "core"),
        ("archive.a", "archive"),
        ("archive-thin.a", "archive"),
        ("script", "script"),
        ("go-static", "static"),
        ("hello-musl-static", "static"),
    ],
)
def test_verdicts_on_fixtures(fixture: Fixture, name: str, linkage: str) -> None:
    file = symprobe_json("info", fixture(name))["files"][0]
    assert file["linkage"] == linkage
    assert file["evidence"]


@pytest.mark.parametrize(
    ("target", "linkage"),
    [("libc.so.6", "shared-library"), ("/lib64/ld-linux-x86-64.so.2", "loader")],
)
def test_verdicts_on_this_machine(target: str, linkage: str) -> None:
    assert symprobe_json("info", target)["files"][0]["linkage"] == linkage


def test_a_missing_interpreter_is_said(tmp_path: Path) -> None:
    source = tmp_path / "main.c"
    source.write_text("int main(void) { return 0; }\n")
    program = tmp_path / "main"
    option = "-Wl,--dynamic-linker=/no/such/loader.so"
    subprocess.run(["gcc", option, "-o", program, source], check=True)
    with pytest.raises(FileNotFoundError):
        subprocess.run([program], check=False)
    file = symprobe_json("info", program)["files"][0]
    assert any("does not exist" in sentence for sentence in file["evidence"])


def test_identity_is_what_readelf_says(fixture: Fixture) -> None:
    for name in ("hello-pie", "libversioned.so", "s390x/hello", "armhf/hello"):
        path = fixture(name)
        file = symprobe_json("info", path)["files"][0]
        header = subprocess.run(
            ["readelf", "-hndW", path], capture_output=True, text=True, check=True
        ).stdout
        assert f"ELF{file['bits']}" in header
        assert f"{file['endian']} endian" in header
        if file["build_id"] is not None:
            assert f"Build ID: {file['build_id']}" in header
        for needed in file["needed"]:
            assert f"Shared library: [{needed}]" in header
        if file["soname"] is not None:
            assert f"Library soname: [{file['soname']}]" in header


def test_hardening_of_the_same_source(fixture: Fixture, tmp_path: Path) -> None:
    source = tmp_path / "main.c"
    source.write_text(
        "#include <stdio.h>\n#include <string.h>\n"
        "int main(int c, char **v) { char b[16]; strcpy(b, v[0]); return puts(b) + c; }\n"
    )
    hard, soft = tmp_path / "hard", tmp_path / "soft"
    protect = ["-fstack-protector-all", "-D_FORTIFY_SOURCE=2", "-Wl,-z,relro,-z,now", "-pie"]
    subprocess.run(["gcc", "-O2", *protect, "-fPIE", "-o", hard, source], check=True)
    bare = ["-fno-stack-protector", "-U_FORTIFY_SOURCE", "-Wl,-z,norelro", "-no-pie"]
    subprocess.run(["gcc", "-O2", *bare, "-z", "execstack", "-o", soft, source], check=True)
    one, two = (f["hardening"] for f in symprobe_json("info", hard, soft)["files"])
    assert (one["relro"], one["nx"], one["pie"], one["canary"]) == ("full", True, True, True)
    assert one["fortify"] == 1
    assert (two["relro"], two["nx"], two["pie"], two["canary"]) == ("none", False, False, False)
    assert two["fortify"] == 0


def test_languages(fixture: Fixture) -> None:
    for name, language in (("go-static", "Go"), ("rust-v0", "Rust"), ("cxx", "C++")):
        assert language in symprobe_json("info", fixture(name))["files"][0]["languages"]
    assert symprobe_json("info", fixture("hello-pie"))["files"][0]["languages"] == []


def test_text_has_the_verdict_first(fixture: Fixture) -> None:
    ran = symprobe("info", fixture("hello-static"))
    assert ran.code == 0
    assert ran.lines[1].split() == ["linkage", "static"]


def test_nothing_is_said_on_stderr() -> None:
    """LIEF, when it is not tidied up at the end, lists what it has leaked."""
    assert symprobe("info", "/bin/ls").err == ""


def test_a_failing_target(fixture: Fixture) -> None:
    ran = symprobe("info", "/no/such/file", fixture("hello-static"))
    assert ran.code == 2
    assert "linkage" in ran.out
