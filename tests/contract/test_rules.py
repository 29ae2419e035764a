"""Each rule of `check`, judged by nm, readelf, the loader."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.support import LIBC, bare, build, nm
from tests.support.run import symprobe, symprobe_json

Fixture = Callable[[str], Path]


def rules(*arguments: str | Path) -> dict[str, dict[str, Any]]:
    """The rules of the one file checked, by their text."""
    (file,) = symprobe_json("check", *arguments)["files"]
    return {rule["rule"]: rule for rule in file["rules"]}


def held(*arguments: str | Path) -> bool:
    """Whether all rules hold, as the exit code and the document say alike."""
    ran = symprobe("check", *arguments)
    document = symprobe_json("check", *arguments)
    assert document["held"] == (ran.code == 0)
    return ran.code == 0


def test_require_is_what_nm_defines() -> None:
    defined = sorted({name.replace("@@", "@") for _, name in nm(LIBC, "-D", "--defined-only")})
    names = random.Random(7).sample(defined, 200)
    absent = [name[:-1] + "~" for name in names[:40]]
    options = [part for name in names + absent for part in ("--require", name)]
    answers = rules(LIBC, *options)
    versions = {name for name in names if name.startswith(("GLIBC_", "GCC_"))}
    for name in names:
        # A symbol that stands for a version is none that anything binds to.
        assert answers[f"require {name}"]["held"] == (name not in versions), answers[name]
    assert not any(answers[f"require {name}"]["held"] for name in absent)


def test_imports_are_what_nm_leaves_undefined(fixture: Fixture) -> None:
    path = fixture("hello-pie")
    imports = bare(name for _, name in nm(path, "-D", "--undefined-only"))
    for name in imports:
        assert held(path, "--imported", "--require", name)
        assert not held(path, "--imported", "--forbid", name)
        assert not held(path, "--forbid", name)
        assert not held(path, "--require", name)
        assert held(path, "--exported", "--forbid", name)


def test_a_program_that_calls_gets(tmp_path: Path) -> None:
    source = "char *gets(char *); int main(void) { char b[9]; return gets(b) == b; }"
    bad = build(tmp_path / "bad", source, "-o-exe", "-w")
    static = build(tmp_path / "static", source, "-o-exe", "-w", "-static")
    good = build(tmp_path / "good", "int main(void) { return 0; }", "-o-exe")
    assert "imports gets@GLIBC_2.2.5" in symprobe("check", bad, "--forbid", "gets").out
    assert "defines gets" in symprobe("check", static, "--forbid", "gets").out
    assert held(good, "--forbid", "gets")


def test_what_is_not_exported_is_said(tmp_path: Path) -> None:
    source = (
        '__attribute__((visibility("hidden"))) int concealed(void) { return 1; }\n'
        "static __attribute__((noinline, used)) int internal(void) { return 2; }\n"
        "int plugin_init(void) { return concealed() + internal(); } extern int other(void);\n"
        "int use(void) { return other(); }\n"
    )
    path = build(tmp_path / "plugin.so", source)
    answers = rules(
        path, "--require", "plugin_init", "--require", "concealed", "--require", "internal",
        "--require", "other", "--require", "plugin_inti",
    )  # fmt: skip
    assert answers["require plugin_init"]["held"]
    for name in ("concealed", "internal", "other", "plugin_inti"):
        assert not answers[f"require {name}"]["held"]
    assert "defined, but local" in answers["require internal"]["detail"]
    assert "imported, not defined" in answers["require other"]["detail"]
    assert "but plugin_init" in answers["require plugin_inti"]["detail"]


def test_versions_globs_and_demangled_names(fixture: Fixture) -> None:
    path = fixture("libversioned.so")
    assert held(path, "--require", "renamed@LIBV_1.0", "--require", "renamed@LIBV_2.0")
    assert not held(path, "--require", "renamed@LIBV_3.0")
    assert held(path, "--require", "since_*", "--require", "/^hidden_only$/")
    assert held("libstdc++.so.6", "--require", "std::locale::global(std::locale const&)")
    assert held("libstdc++.so.6", "--require", "std::locale::global")
    assert not held("libstdc++.so.6", "--require", "std::locale::global(int)")


def test_max_version_is_readelfs_highest() -> None:
    checked = 0
    for program in ("/bin/bash", "/usr/bin/gdb", "/usr/bin/ld.gold", "/usr/bin/perl"):
        path = shutil.which(program)
        if path is None:
            continue
        said = subprocess.run(["readelf", "-VW", path], capture_output=True, text=True, check=True)
        needs = said.stdout.partition(".gnu.version_r")[2]
        numbers = sorted(
            tuple(map(int, text.split("."))) for text in set(re.findall(r"GLIBC_([\d.]+)", needs))
        )
        highest, below = (".".join(map(str, number)) for number in (numbers[-1], numbers[-2]))
        assert held(path, "--max-version", f"GLIBC_{highest}")
        answer = rules(path, "--max-version", f"GLIBC_{below}")[f"max-version GLIBC_{below}"]
        assert not answer["held"]
        assert f"needs GLIBC_{highest} of libc.so.6 for " in answer["detail"]
        checked += 1
    assert checked >= 2


def test_a_private_version_is_above_all_limits() -> None:
    libm = "/lib/x86_64-linux-gnu/libm.so.6"
    answer = rules(libm, "--max-version", "GLIBC_9.99")["max-version GLIBC_9.99"]
    assert not answer["held"]
    assert "GLIBC_PRIVATE" in answer["detail"]


def test_a_static_program_needs_no_versions(fixture: Fixture) -> None:
    assert held(fixture("hello-static"), "--max-version", "GLIBC_2.0")


def test_missing_libraries_are_those_of_ldd(fixture: Fixture, tmp_path: Path) -> None:
    for name in ("versioned-user", "libversioned.so"):
        shutil.copy(fixture(name), tmp_path)
    program = tmp_path / "versioned-user"
    assert "not found" not in _ldd(program)
    assert held(program, "--no-missing", "--no-unresolved")
    (tmp_path / "libversioned.so").unlink()
    assert "libversioned.so => not found" in _ldd(program)
    answers = rules(program, "--no-missing", "--no-unresolved")
    assert answers["no-missing"]["detail"] == "libversioned.so not found"
    assert not answers["no-unresolved"]["held"]


def test_unresolved_symbols_are_those_of_ldd(tmp_path: Path) -> None:
    path = build(
        tmp_path / "lib.so", "extern int nobody_has(void); int f(void) {return nobody_has();}"
    )
    assert "undefined symbol: nobody_has" in _ldd(path, "-r")
    answer = rules(path, "--no-unresolved")["no-unresolved"]
    assert not answer["held"]
    assert "nobody_has" in answer["detail"]


def _ldd(path: Path, *options: str) -> str:
    done = subprocess.run(["ldd", *options, path], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "linkage"),
    [
        ("hello-static", "static"),
        ("hello-static-pie", "static-pie"),
        ("hello-pie", "dynamic-pie"),
        ("libversioned.so", "shared-library"),
        ("archive.a", "archive"),
    ],
)
def test_linkage(fixture: Fixture, name: str, linkage: str) -> None:
    assert held(fixture(name), "--linkage", linkage)
    assert held(fixture(name), "--linkage", f"core,{linkage}")
    assert not held(fixture(name), "--linkage", "core")


def test_hardening(tmp_path: Path) -> None:
    source = (
        "#include <stdio.h>\n#include <string.h>\n"
        "int main(int c, char **v) { char b[16]; strcpy(b, v[0]); return puts(b) + c; }\n"
    )
    protect = ("-fstack-protector-all", "-D_FORTIFY_SOURCE=2", "-Wl,-z,relro,-z,now", "-pie")
    hard = build(tmp_path / "hard", source, "-o-exe", "-O2", "-fPIE", *protect)
    bare_flags = ("-fno-stack-protector", "-U_FORTIFY_SOURCE", "-Wl,-z,norelro", "-no-pie")
    soft = build(tmp_path / "soft", source, "-o-exe", *bare_flags, "-z", "execstack")
    words = ("relro", "nx", "pie", "canary", "fortify")
    assert held(hard, "--hardening", ",".join(words))
    answers = rules(soft, "--hardening", ",".join(words))
    assert [answers[f"hardening {word}"]["held"] for word in words] == [False] * 5


def test_soname_and_rpath(tmp_path: Path) -> None:
    path = build(tmp_path / "lib.so", "int f;", "-Wl,-soname,libx.so.3", "-Wl,-rpath,/opt/x")
    plain = build(tmp_path / "plain.so", "int f;")
    assert held(path, "--soname", "libx.so.3")
    assert not held(path, "--soname", "libx.so.4")
    answer = rules(path, "--no-rpath")["no-rpath"]
    assert (answer["held"], answer["detail"]) == (False, "RUNPATH /opt/x")
    assert held(plain, "--no-rpath")
    assert not held(plain, "--soname", "plain.so")


def test_probe(fixture: Fixture) -> None:
    assert held(fixture("hello-pie"), "--probe", "main")
    assert not held(fixture("hello-pie"), "--probe", "no_such_function")


def test_a_function_that_was_inlined_is_lost_to_probes(tmp_path: Path) -> None:
    source = (
        "int sink;\n"
        "int handle(int x) { sink += x; return sink * 3; }\n"
        "int apart(int x) { sink -= x; return sink; }\n"
        "static inline __attribute__((always_inline)) int gone(int x) { return x ^ sink; }\n"
        "int main(int c, char **v) { return handle(c) + handle(c + 1) + gone(c); }\n"
    )
    path = build(tmp_path / "server", source, "-o-exe", "-O2", "-g")
    answers = rules(path, "--probe", "handle", "--probe", "apart", "--probe", "gone")
    assert answers["probe apart"]["held"]
    assert not answers["probe handle"]["held"]
    assert "inlined in 2 places" in answers["probe handle"]["detail"]
    assert not answers["probe gone"]["held"]
    assert "inlined" in answers["probe gone"]["detail"]
    kept = build(tmp_path / "kept", source, "-o-exe", "-O2", "-g", "-fno-inline")
    assert held(kept, "--probe", "handle")


@pytest.mark.parametrize("name", ["symbols.o", "archive.a", "hello-static"])
def test_unlinked_and_static_files_by_their_symtab(fixture: Fixture, name: str) -> None:
    path = fixture(name)
    names = {n for letter, n in nm(path, "--extern-only", "--defined-only") if letter in "TDBR"}
    document = symprobe_json("find", "*", path)
    defined = {o["name"] for f in document["files"] for o in f["defines"]}
    hidden = names - defined  # nm prints hidden symbols too, which nothing binds to
    visible = names & defined
    assert visible
    for wanted in sorted(visible)[:10]:
        assert held(path, "--require", wanted)
    for wanted in sorted(hidden)[:3]:
        assert not held(path, "--require", wanted)


def test_what_cannot_be_told_is_not_held(fixture: Fixture) -> None:
    for option in ("--require", "--forbid"):
        answer = rules(fixture("hello-static-stripped"), option, "main")[f"{option[2:]} main"]
        assert not answer["held"]
        assert answer["detail"].startswith("can't be told")


@pytest.mark.parametrize(
    "arguments",
    [
        [LIBC],
        ["--require", "exit"],
        [LIBC, "--require", "0x1234"],
        [LIBC, "--require", "exit+0x10"],
        [LIBC, "--require", "/(/"],
        [LIBC, "--max-version", "GLIBC_PRIVATE"],
        [LIBC, "--hardening", "armour"],
        [LIBC, "--linkage", "loose"],
        [LIBC, "--require", "exit", "--imported", "--exported"],
        ["/no/such/file", "--require", "exit"],
        ["/no/such/dir/*.so", "--require", "exit"],
        ["/etc/passwd", "--require", "exit"],
        [LIBC, "--contract", "/no/such/contract.toml"],
    ],
)
def test_what_makes_no_sense_is_exit_code_2(arguments: list[str]) -> None:
    ran = symprobe("check", *arguments)
    assert ran.code == 2
    assert ran.err.startswith("symprobe: ")
