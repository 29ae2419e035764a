"""`symprobe deps` as a user runs it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import unavailable
from tests.loader import rules
from tests.support.compare_ldd import loader_listing
from tests.support.run import symprobe, symprobe_json


def test_the_lines_of_a_program() -> None:
    ran = symprobe("deps", "/bin/bash")
    assert ran.code == 0
    assert ran.lines[0].startswith("/bin/bash: dynamic")
    assert f"interpreter {rules.interpreter()}" in ran.lines[0]
    truth, _ = loader_listing(rules.interpreter(), os.path.realpath("/bin/bash"))
    shown = [re.match(r"    (\S+)(?: => (\S+))?", line) for line in ran.lines[1:]]
    assert [(m[1], m[2] or m[1]) for m in shown if m is not None] == truth
    assert ran.lines[1].endswith("[ld.so.cache]")


def test_links_are_shown() -> None:
    value = symprobe_json("deps", "/bin/bash")
    for library in value["libraries"]:
        assert library["realpath"] == os.path.realpath(library["path"])
        assert bool(library["links"]) == os.path.islink(library["path"])
        if library["links"]:
            assert library["links"][0] == os.readlink(library["path"])
    assert value["missing"] == value["version_errors"] == value["unresolved"] == []
    assert value["linkage"] in ("dynamic", "dynamic-pie")


def test_several_targets_are_files() -> None:
    value = symprobe_json("deps", "/bin/bash", "/bin/true")
    assert [f["path"] for f in value["files"]] == ["/bin/bash", "/bin/true"]
    ran = symprobe("deps", "/bin/bash", "/no/such", "/bin/true")
    assert ran.code == 2
    assert ran.err == "symprobe: /no/such: no such file: check the path\n"
    assert [line.split(":")[0] for line in ran.lines if not line.startswith(" ")] == [
        "/bin/bash", "/bin/true",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "linkage"),
    [("hello-static", "static"), ("hello-static-pie", "static-pie")],
)
def test_a_static_program(name: str, linkage: str, fixture) -> None:  # type: ignore[no-untyped-def]
    ran = symprobe("deps", fixture(name))
    assert (ran.code, len(ran.lines)) == (0, 2)
    assert f": {linkage}" in ran.lines[0]
    assert "statically linked" in ran.lines[1]
    assert symprobe_json("deps", fixture(name))["libraries"] == []


def test_a_script_and_its_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#! /bin/sh -e\n")
    ran = symprobe("deps", script)
    assert ran.code == 0
    assert ran.lines[0] == f"{script}: script, interpreter /bin/sh -e"
    followed = symprobe("deps", "--follow", script)
    assert followed.lines[0].startswith("/bin/sh")
    assert any("libc.so.6 => " in line for line in followed.lines)
    script.write_text("#!/usr/bin/env bash\n")
    assert "bash: dynamic" in symprobe("deps", "--follow", script).lines[0]
    script.write_text(f"#!{script}\n")
    assert symprobe("deps", "--follow", script).code == 0


def test_what_is_no_elf_file(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    ran = symprobe("deps", tmp_path / "text")
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert "not an ELF file" in ran.err
    assert symprobe("deps", tmp_path).code == 2


@pytest.fixture(scope="module")
def rule(tmp_path_factory: pytest.TempPathFactory) -> rules.Rule:
    return rules.build("runpath-is-not-inherited", tmp_path_factory.mktemp("cli"))


def test_a_missing_library(rule: rules.Rule) -> None:
    ran = symprobe("deps", rule.out / "exe")
    assert ran.code == 1
    assert f"    libinner.so => not found  (needed by {rule.out}/lib/libouter.so)" in ran.lines
    value = symprobe_json("deps", rule.out / "exe")
    assert value["missing"] == ["libinner.so"]
    (missing,) = [library for library in value["libraries"] if library["path"] is None]
    assert missing["needed_by"] == [f"{rule.out}/lib/libouter.so"]
    places = [(t["by"], t["outcome"]) for t in missing["tried"]]
    assert ("ld.so.cache", "not-in-cache") in places
    assert ("system-directory", "no-such-file") in places


def test_why(rule: rules.Rule) -> None:
    ran = symprobe("deps", "--why", "libinner.so", rule.out / "exe")
    assert ran.lines[0].startswith("libinner.so => not found")
    assert ran.lines[1] == f"    needed by {rule.out}/lib/libouter.so <- {rule.out}/exe"
    assert any("[ld.so.cache]: not in the cache" in line for line in ran.lines)
    value = symprobe_json("deps", "--why", "libouter.so", rule.out / "exe")
    assert value["why"][0]["chains"] == [[f"{rule.out}/exe"]]
    assert value["why"][0]["found_in"] == f"{rule.out}/exe"
    ran = symprobe("deps", "--why", "libnothing.so", rule.out / "exe")
    assert (ran.code, ran.out) == (1, "")
    assert "no library named libnothing.so is needed" in ran.err


def test_who() -> None:
    ran = symprobe("deps", "--who", "malloc", "/bin/bash")
    assert ran.code == 0
    assert re.search(r"^malloc@GLIBC_\S+ => \S*/libc\.so\.6: malloc@@GLIBC_", ran.out)
    value = symprobe_json("deps", "--who", "no_such_symbol_at_all", "/bin/bash")
    assert value["who"][0]["path"] is None
    assert symprobe("deps", "--who", "no_such_symbol_at_all", "/bin/bash").code == 1
    versioned = symprobe_json("deps", "--who", "memcpy@GLIBC_2.2.5", "/bin/bash")
    assert versioned["who"][0]["provided_version"] == "GLIBC_2.2.5"
    assert versioned["who"][0]["default_version"] is False


def test_unresolved(tmp_path: Path) -> None:
    command = "echo 'int gone(void); int f(void){return gone();}' | gcc -shared -fPIC -xc -o x.so -"
    subprocess.run(["sh", "-ec", command], cwd=tmp_path, check=True)
    ran = symprobe("deps", "--unresolved", tmp_path / "x.so")
    assert ran.code == 1
    assert ran.lines[-1] == f"    undefined symbol: gone  ({tmp_path}/x.so)"
    value = symprobe_json("deps", "--unresolved", tmp_path / "x.so")
    assert value["unresolved"] == [
        {"name": "gone", "version": None, "needed_by": f"{tmp_path}/x.so"}
    ]
    assert symprobe("deps", tmp_path / "x.so").code == 0
    graph = symprobe("deps", "--dot", "--unresolved", tmp_path / "x.so")
    assert graph.code == 1
    assert graph.lines[-2:] == ["}", f"//{ran.lines[-1]}"]  # a comment: the graph stays one


def test_the_tree_and_the_graph(rule: rules.Rule) -> None:
    tree = symprobe("deps", "--tree", rule.out / "exe").lines
    assert tree[1].startswith("    libouter.so => ")
    assert tree[2].startswith("        libinner.so => not found")
    dot = symprobe("deps", "--dot", rule.out / "exe").out
    assert f'"{rule.out}/exe" -> "{rule.out}/lib/libouter.so";' in dot
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg"], input=dot.encode(), capture_output=True, check=True)


def test_the_environment_counts_and_options_count_more(rule: rules.Rule) -> None:
    exe = rule.out / "exe"
    lib = str(rule.out / "lib")
    assert symprobe("deps", exe, env={"LD_LIBRARY_PATH": lib}).code == 0
    assert symprobe("deps", exe, "--library-path", lib).code == 0
    assert symprobe("deps", exe, "--library-path", "", env={"LD_LIBRARY_PATH": lib}).code == 1
    assert symprobe("deps", exe, "--library-path", lib, "--secure").code == 1
    value = symprobe_json("deps", exe, "--preload", f"{lib}/libinner.so")
    assert value["libraries"][0]["found_by"] == "preload"
    assert value["missing"] == []


def test_hardware_levels(tmp_path: Path) -> None:
    rule = rules.build("hwcaps-subdirectories-best-first", tmp_path)
    for levels, directory in (("x86-64-v3", "x86-64-v3"), ("x86-64-v2", "x86-64-v2"), ("none", "")):
        value = symprobe_json("deps", rule.out / "exe", "--hwcaps", levels)
        (inner,) = [lib for lib in value["libraries"] if lib["name"] == "libinner.so"]
        parts = [
            rule.out,
            "lib",
            *(["glibc-hwcaps", directory] if directory else []),
            "libinner.so",
        ]
        assert inner["path"] == str(Path(*parts))
    ran = symprobe("deps", rule.out / "exe", "--hwcaps", "x86-64-v9")
    assert ran.code == 2
    assert "unknown hardware level x86-64-v9" in ran.err


def test_a_root_and_paths_in_it(tmp_path: Path) -> None:
    rule = rules.build("absolute-links-stay-inside-the-root", tmp_path)
    inside = symprobe_json("deps", "--root", rule.root, "/bin/exe")
    assert inside["path"] == "/bin/exe"
    assert inside["realpath"] == "/data/exe"
    assert inside["missing"] == []
    outside = symprobe_json("deps", "--root", rule.root, f"{rule.root}/bin/exe")
    assert outside["libraries"] == inside["libraries"]
    ran = symprobe("deps", "--root", rule.root, "/bin/none")
    assert ran.code == 2
    assert ran.err == "symprobe: /bin/none: no such file: check the path\n"


@contextmanager
def running(out: Path) -> Iterator[int]:
    """A program that has mapped ./libone.so and ./libtwo.so, and dlopened ./libthree.so."""
    (out / "wait.c").write_text(
        "#include <dlfcn.h>\n#include <unistd.h>\nint main(void) { char c;"
        'if (!dlopen("./libthree.so", RTLD_NOW)) return 1;'
        'return write(1, "r", 1) != 1 || read(0, &c, 1) < 0; }\n'
    )
    script = (
        ". $FIXTURES/common.sh; lib libone.so; lib libtwo.so; lib libthree.so; lib libfour.so;"
        " gcc -o wait wait.c -Wl,--no-as-needed $(needs ./libone.so ./libtwo.so) $(rpath $PWD)"
    )
    environment = {"PATH": os.environ["PATH"], "FIXTURES": str(rules.RULES)}
    subprocess.run(["sh", "-ec", script], cwd=out, env=environment, check=True)
    process = subprocess.Popen(["./wait"], cwd=out, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"r"
        yield process.pid
    finally:
        process.communicate(b"x")


def test_a_process_against_the_disk(tmp_path: Path) -> None:
    with running(tmp_path) as pid:
        value = symprobe_json("deps", f"pid:{pid}")
        states = {os.path.basename(m["path"]): m["state"] for m in value["mapped"]}
        assert states["libone.so"] == states["libtwo.so"] == "same"
        assert states["libthree.so"] == "loaded-later"
        assert symprobe("deps", f"pid:{pid}").code == 0
        shutil.copy(tmp_path / "libfour.so", tmp_path / "new")
        os.replace(tmp_path / "new", tmp_path / "libone.so")
        os.unlink(tmp_path / "libthree.so")
        value = symprobe_json("deps", f"pid:{pid}")
        states = {os.path.basename(m["path"]): m["state"] for m in value["mapped"]}
        assert states["libone.so"] == "replaced"
        assert states["libtwo.so"] == "same"
        assert states["libthree.so"] == "deleted"
        ran = symprobe("deps", f"pid:{pid}")
        assert ran.code == 1
        assert f"    {tmp_path}/libone.so is mapped, but replaced on disk" in ran.lines
        assert f"    {tmp_path}/libthree.so is mapped, but deleted" in ran.lines
        library = symprobe_json("deps", f"pid:{pid}:libtwo.so")
        assert library["path"] == f"{tmp_path}/libtwo.so"
    ran = symprobe("deps", f"pid:{pid}")
    assert ran.code == 2


def test_the_process_has_its_own_environment(tmp_path: Path) -> None:
    out = tmp_path / "files"
    out.mkdir()
    rule = rules.build("an-empty-element-of-library-path-is-the-current-directory", out)
    sleeper = rule.out / "sleeper"
    source = "#include <unistd.h>\nint main(void) { char c; return read(0, &c, 1) < 0; }\n"
    (rule.out / "s.c").write_text(source)
    script = f"gcc -o {sleeper} s.c -Wl,--no-as-needed -L. -linner"
    subprocess.run(["sh", "-ec", script], cwd=rule.out, check=True)
    process = subprocess.Popen(
        [sleeper], env={"LD_LIBRARY_PATH": str(rule.out)}, stdin=subprocess.PIPE
    )
    try:
        maps = Path(f"/proc/{process.pid}/maps")
        for _ in range(10_000):  # until exec and the loader are done
            if "libc.so.6" in maps.read_text():
                break
        else:
            unavailable("the program did not start")
        value = symprobe_json("deps", f"pid:{process.pid}")
        assert value["missing"] == []
        assert symprobe_json("deps", sleeper)["missing"] == ["libinner.so"]
    finally:
        process.communicate(b"x")
