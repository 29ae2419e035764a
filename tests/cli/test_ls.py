"""`symprobe ls` as scripts and people use it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.run import symprobe, symprobe_json

Fixture = Callable[[str], Path]


def test_exit_codes_say_whether_a_symbol_is_there(fixture: Fixture) -> None:
    library = fixture("libversioned.so")
    assert symprobe("ls", library, "-q", "--grep", ".").code == 0
    assert symprobe("ls", library, "-q", "--grep", "no_such_name").code == 1
    assert symprobe("ls", library, "/no/such/file", "-q").code == 2
    assert symprobe("ls", library, "-q", "--grep", ".").out == ""


def test_count_is_what_nm_counts(fixture: Fixture) -> None:
    library = fixture("libsymbols.so")
    expected = subprocess.run(
        ["nm", "-D", "--undefined-only", library], capture_output=True, text=True, check=True
    )
    ran = symprobe("ls", library, "--table", "dynsym", "--undefined", "--count")
    assert int(ran.out.split()[0]) == len(expected.stdout.splitlines())


@pytest.mark.parametrize(
    "name", ["armhf/thumb", "powerpc64/libsymbols.so", "ppc64le/libsymbols.so", "mips/hello"]
)
def test_the_name_is_last_whatever_a_value_says(fixture: Fixture, name: str) -> None:
    """Columns are those of any other machine; notes are in the document."""
    path = fixture(name)
    (file,) = symprobe_json("ls", path, "--kind", "func")["files"]
    names = []
    for row in file["symbols"]:
        at = "" if row["version"] is None else "@@" if row["default_version"] else "@"
        names.append(f"{row['name']}{at}{row['version'] or ''}")
    for options in ((), ("--grep", "")):  # from raw rows, and from Symbols
        lines = symprobe("ls", path, "--kind", "func", "--no-demangle", *options).lines[1:]
        assert [line.split()[-1] for line in lines] == names
        assert {len(line.split()) for line in lines} <= {5, 6}
    assert any("note" in s for s in file["symbols"]) or name.startswith("mips")


def test_several_targets_each_with_its_name(fixture: Fixture) -> None:
    one, two = fixture("hello-pie"), fixture("hello-static")
    document = symprobe_json("ls", one, two, "--grep", "^main$")
    assert [f["path"] for f in document["files"]] == [str(one), str(two)]
    assert all(s["name"] == "main" for f in document["files"] for s in f["symbols"])
    text = symprobe("ls", one, two, "--grep", "^main$")
    assert [line for line in text.lines if line.endswith(":")] == [f"{one}:", f"{two}:"]


def test_a_failing_target_does_not_hide_the_others(fixture: Fixture, tmp_path: Path) -> None:
    ran = symprobe("ls", tmp_path, fixture("hello-pie"), "--grep", "^main$")
    assert ran.code == 2
    assert "main" in ran.out
    assert len(ran.err.splitlines()) == 1


def test_grep_finds_raw_and_demangled_names(fixture: Fixture) -> None:
    binary = fixture("cxx")
    every = symprobe_json("ls", binary)["files"][0]["symbols"]
    for pattern, wanted in (
        ("_ZN", lambda s: "_ZN" in s["name"]),
        (r"::\w+\(", lambda s: "::" in s["demangled"] and "(" in s["demangled"]),
    ):
        found = symprobe_json("ls", binary, "--grep", pattern)["files"][0]["symbols"]
        assert found, pattern
        assert {s["name"] for s in found} <= {s["name"] for s in every if wanted(s)}


def test_fixed_strings_and_case() -> None:
    libc = "libc.so.6"
    assert symprobe("ls", libc, "-q", "-F", "--grep", "e.it").code == 1
    assert symprobe("ls", libc, "-q", "--grep", "^e.it$").code == 0
    assert symprobe("ls", libc, "-q", "--grep", "^EXIT$").code == 1
    assert symprobe("ls", libc, "-q", "-i", "--grep", "^EXIT$").code == 0


def test_a_pattern_with_an_at_sign_sees_versions(fixture: Fixture) -> None:
    found = symprobe_json("ls", fixture("libversioned.so"), "--grep", "@@LIBV")["files"][0]
    assert found["symbols"]
    assert all(s["default_version"] for s in found["symbols"])


def test_kinds_and_unknown_kinds(fixture: Fixture) -> None:
    library = fixture("libsymbols.so")
    kinds = {s["kind"] for s in symprobe_json("ls", library)["files"][0]["symbols"]}
    assert {"func", "object", "tls", "ifunc"} <= kinds
    only = symprobe_json("ls", library, "--kind", "tls,ifunc")["files"][0]["symbols"]
    assert {s["kind"] for s in only} == {"tls", "ifunc"}
    refused = symprobe("ls", library, "--kind", "function")
    assert refused.code == 2
    assert "function" in refused.err


def test_orders(fixture: Fixture) -> None:
    library = fixture("libsymbols.so")
    for order, key in (("name", "name"), ("size", "size")):
        rows = symprobe_json("ls", library, "--sort", order)["files"][0]["symbols"]
        values = [s[key] for s in rows]
        assert values == sorted(values)


def test_hostile_names_neither_reach_the_terminal_nor_forge_a_row(fixture: Fixture) -> None:
    for name in ("oddnames", "liboddnames.so", "oddnames.o"):
        ran = symprobe("ls", fixture(name))
        listed = symprobe_json("ls", fixture(name))["files"][0]["symbols"]
        assert len(ran.lines) == len(listed) + 1
        text = ran.out.replace("\n", "")
        assert text.isprintable()
        assert any("\\x1b" in line for line in ran.lines)


def test_bytes_that_are_not_utf8_are_in_hex_beside_the_name(fixture: Fixture) -> None:
    rows = symprobe_json("ls", fixture("liboddnames.so"))["files"][0]["symbols"]
    odd = [s for s in rows if "name_hex" in s]
    assert odd
    for symbol in odd:
        raw = bytes.fromhex(symbol["name_hex"])
        with pytest.raises(UnicodeDecodeError):
            raw.decode()
    names = subprocess.run(["nm", "-D", fixture("liboddnames.so")], capture_output=True, check=True)
    assert all(bytes.fromhex(s["name_hex"]) in names.stdout for s in odd)


def test_a_closed_pipe_is_quiet(fixture: Fixture) -> None:
    script = 'set -o pipefail; symprobe_() { "$PY" -m symprobe "$@"; }; '
    script += "symprobe_ ls libc.so.6 | head -n 1; echo code $?"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PY": sys.executable},
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "code 0"
    assert done.stderr == ""


def test_the_chain_of_links_is_shown(fixture: Fixture, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to(fixture("hello-pie"))
    ran = symprobe("ls", tmp_path / "one", "--grep", "^main$")
    assert ran.lines[0] == f"{tmp_path}/one -> two -> {fixture('hello-pie')}:"
    file = symprobe_json("ls", tmp_path / "one", "--grep", "^main$")["files"][0]
    assert file["links"] == ["two", str(fixture("hello-pie"))]
    assert file["realpath"] == str(fixture("hello-pie").resolve())


def test_names_of_a_stripped_file_come_from_elsewhere(fixture: Fixture) -> None:
    root = fixture("debug/root")
    for name, options, label in (
        ("debug/link", (), "debuglink"),
        ("debug/sub/link", (), "debuglink"),
        ("debug/build-id", ("--debug-root", root), "build-id"),
        ("debug/mini", (), "gnu_debugdata"),
    ):
        rows = symprobe_json("ls", fixture(name), *options)["files"][0]["symbols"]
        full = symprobe_json("ls", fixture("debug/full"))["files"][0]["symbols"]
        elsewhere = [s for s in rows if label in s["tables"]]
        assert elsewhere, name
        places = {(s["name"], s["address"], s["offset"]) for s in full}
        assert {(s["name"], s["address"], s["offset"]) for s in elsewhere} <= places
        assert symprobe("ls", fixture(name), *options, "--no-debug", "--grep", "^main$").code == 1


def test_a_debug_link_with_a_wrong_crc_is_not_used(fixture: Fixture) -> None:
    ran = symprobe("ls", fixture("debug/link-wrong-crc"), "--grep", "^main$")
    assert ran.code == 2, "not found, but not known to be absent either"
    assert "CRC" in ran.err


def test_usdt(fixture: Fixture) -> None:
    document = symprobe_json("ls", fixture("usdt"), "--usdt")
    notes = subprocess.run(
        ["readelf", "-n", fixture("usdt")], capture_output=True, text=True, check=True
    ).stdout
    probes = document["files"][0]["usdt"]
    assert len(probes) == notes.count("Provider:")
    for probe in probes:
        assert f"Provider: {probe['provider']}" in notes
        assert f"Name: {probe['name']}" in notes
        assert f"Location: {probe['address']:#018x}" in notes


@pytest.mark.parametrize("name", ["script", "linker-script.so", "empty", "hello-pie-truncated"])
def test_what_is_no_elf_file_is_refused_in_one_line(fixture: Fixture, name: str) -> None:
    ran = symprobe("ls", fixture(name), "--grep", "^no_such_name$")
    assert ran.code == 2
    assert all(line.startswith("symprobe: ") for line in ran.err.splitlines())
    assert ran.err


def test_directories_fifos_and_unreadable_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "loop", Path("/dev/zero")):
        ran = symprobe("ls", path)
        assert ran.code == 2
        assert len(ran.err.splitlines()) == 1
        assert str(path) in ran.err


def test_a_wrong_expression_is_one_line() -> None:
    ran = symprobe("ls", "libc.so.6", "--grep", "(")
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1


def test_usage_errors_are_one_line() -> None:
    for arguments in (
        ("ls",),
        ("ls", "libc.so.6", "--no-such"),
        ("nonsense",),
        ("ls", "--sort", "x", "y"),
    ):
        ran = symprobe(*arguments)
        assert ran.code == 2
        assert len(ran.err.splitlines()) == 1
