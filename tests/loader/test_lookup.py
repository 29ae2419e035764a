"""Who provides a symbol: LD_DEBUG=bindings says what the loader binds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from symprobe.binary import Binary
from symprobe.loader import Scope, binding, dependency_graph
from symprobe.loader.references import imports, unresolved
from tests.conftest import unavailable
from tests.loader.rules import RULES

_BINDING = re.compile(
    r"binding file (\S+) \[0\] to (\S+) \[0\]: normal symbol `([^']+)'(?: \[(\S+)\])?"
)
PROGRAMS = (
    ("bash", "--version"), ("gdb", "--version"), ("perl", "-v"), ("git", "--version"),
    ("openssl", "version"), (sys.executable, "-c", "pass"), ("curl", "--version"),
)  # fmt: skip


def bindings(command: list[str], **environment: str) -> list[tuple[str, str, str, str | None]]:
    """(from, to, name, version) of all that the loader bound before the program began."""
    result = subprocess.run(
        command,
        env={"LD_DEBUG": "bindings", "LD_BIND_NOW": "1", "LC_ALL": "C", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=60,
    )
    text = result.stderr.partition("transferring control")[0] or result.stderr
    found = [(m[1], m[2], m[3], m[4]) for m in _BINDING.finditer(text)]
    return [binding for binding in found if not binding[1].startswith("linux-")]  # the vDSO


@pytest.mark.parametrize("command", PROGRAMS, ids=lambda command: os.path.basename(command[0]))
def test_every_binding_of_a_program(command: tuple[str, ...]) -> None:
    path = shutil.which(command[0])
    if path is None:
        unavailable(f"{command[0]} is needed")
        return
    path = os.path.realpath(path)
    graph = dependency_graph(path, secure=False)
    scope = Scope(graph)
    real = bindings([path, *command[1:]])
    assert len(real) > 100
    defined = {symbol.name for symbol in Binary(path).symbols(table="dynsym") if symbol.defined}
    wrong = []
    for user, provider, name, version in real:
        if user == provider:  # a protected or symbolic definition, looked up at home
            continue
        if provider == path and name not in defined:
            continue  # the address of a function, which a program at fixed addresses has in its PLT
        found = scope.binding(name, version)
        own = None
        if found is not None:
            own = path if found.dependency is None else found.dependency.path
        is_copy = user == own == path  # a copy relocation looks past the program itself
        if own != provider and not is_copy:
            wrong.append((user, name, version, provider, own))
    assert not wrong


SOURCES = {
    "one.c": """
        int shared(void) { return 1; }
        int old_a(void) { return 1; } int old_b(void) { return 2; }
        __asm__(".symver old_a,changed@V1"); __asm__(".symver old_b,changed@@V2");
        int alone_(void) { return 3; } __asm__(".symver alone_,alone@@V2");
        int gone_(void) { return 4; } __asm__(".symver gone_,hiddenonly@V1");
        __attribute__((visibility("hidden"))) int inside(void) { return 5; }
        __attribute__((weak)) int weak_first(void) { return 6; }
        int data = 7; _Thread_local int tls = 8;
    """,
    "two.c": """
        int shared(void) { return 2; } int weak_first(void) { return 7; }
        int inside(void) { return 9; }
    """,
    "user.c": """
        int shared(void), changed(void), alone(void), weak_first(void), inside(void);
        extern int data, nowhere(void) __attribute__((weak));
        extern _Thread_local int tls;
        int main(void) { return shared() + changed() + alone() + weak_first() + inside() + data
            + tls + (nowhere ? nowhere() : 0); }
    """,
    "one.map": """
        V1 { global: shared; changed; hiddenonly; weak_first; data; tls; };
        V2 { global: changed; alone; } V1;
    """,
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program `exe` with libone.so (versions) and libtwo.so (none), in that order."""
    out = tmp_path_factory.mktemp("lookup")
    for name, text in SOURCES.items():
        (out / name).write_text(text)
    for command in (
        "gcc -shared -fPIC -o libone.so one.c -Wl,--version-script=one.map -Wl,-soname,libone.so",
        "gcc -shared -fPIC -o libtwo.so two.c -Wl,-soname,libtwo.so",
        "gcc -o exe user.c -L. -lone -ltwo -Wl,-rpath,$PWD",
        "gcc -o sysv user.c -L. -lone -ltwo -Wl,-rpath,$PWD -Wl,--hash-style=sysv",
        "gcc -shared -fPIC -o libsysv.so one.c -Wl,--version-script=one.map -Wl,--hash-style=sysv",
    ):
        subprocess.run(["sh", "-ec", command], cwd=out, check=True)
    return out


def provider(
    out: Path, name: str, version: str | None = None
) -> tuple[str, str | None, bool] | None:
    found = binding(dependency_graph(str(out / "exe")), name, version)
    if found is None:
        return None
    path = "exe" if found.dependency is None else found.dependency.name
    return path, found.version, found.default


def test_the_loader_agrees_on_the_fixture(built: Path) -> None:
    graph = dependency_graph(str(built / "exe"))
    scope = Scope(graph)
    real = bindings([str(built / "exe")])
    seen = {name for _, _, name, _ in real}
    assert {"shared", "changed", "alone", "weak_first", "inside", "data", "tls"} <= seen
    for user, to, name, version in real:
        found = scope.binding(name, version)
        assert found is not None, name
        path = str(built / "exe") if found.dependency is None else found.dependency.path
        if name == "data" and to != str(built / "exe"):
            continue  # the copy relocation itself looks past the program
        assert path == to, (user, name, version)


@pytest.mark.parametrize(
    ("name", "version", "answer"),
    [
        ("shared", "V1", ("libone.so", "V1", True)),  # the first object wins
        ("changed", "V1", ("libone.so", "V1", False)),
        ("changed", "V2", ("libone.so", "V2", True)),
        ("changed", None, ("libone.so", "V1", False)),  # an old object: the oldest version
        ("alone", None, ("libone.so", "V2", True)),  # the only one that is not hidden
        ("hiddenonly", None, ("libone.so", "V1", False)),
        ("hiddenonly", "V1", ("libone.so", "V1", False)),
        ("changed", "V3", None),
        ("inside", None, ("libtwo.so", None, False)),  # hidden in libone.so
        ("weak_first", None, ("libone.so", "V1", True)),  # weak is as good as global
        ("tls", None, ("libone.so", "V1", True)),
        ("nowhere", None, None),
        ("", None, None),
        ("main", None, ("exe", None, False)),
    ],
)  # fmt: skip
def test_versions_visibility_binding(
    built: Path, name: str, version: str | None, answer: tuple[str, str | None, bool] | None
) -> None:
    if name == "main":
        text = subprocess.run(
            ["nm", "-D", built / "exe"], capture_output=True, text=True, check=True
        )
        if " T main" not in text.stdout:
            answer = None
    assert provider(built, name, version) == answer


def test_dlsym_takes_the_default_version(built: Path) -> None:
    scope = Scope(dependency_graph(str(built / "exe")))
    found = scope.binding("changed", newest=True)
    assert found is not None
    assert (found.version, found.default) == ("V2", True)
    code = "import ctypes,sys; one=ctypes.CDLL(sys.argv[1]); print(one.changed())"
    result = subprocess.run(
        ["python3", "-c", code, built / "libone.so"], capture_output=True, text=True, check=True
    )
    assert result.stdout == "2\n"


def test_the_old_hash_table_gives_the_same(built: Path) -> None:
    gnu = Scope(dependency_graph(str(built / "libone.so")))
    sysv = Scope(dependency_graph(str(built / "libsysv.so")))
    for name in ("shared", "changed", "alone", "hiddenonly", "data", "inside", "nowhere"):
        for version in (None, "V1", "V2"):
            a, b = gnu.binding(name, version), sysv.binding(name, version)
            assert (a is None) == (b is None), (name, version)
            if a is not None and b is not None:
                assert (a.version, a.vaddr > 0, a.size) == (b.version, b.vaddr > 0, b.size)


def test_who_imports_a_name_with_which_version(built: Path) -> None:
    graph = dependency_graph(str(built / "exe"))
    (found,) = imports(graph, Scope(graph), "changed")
    assert found.version == "V2"
    assert found.imported_by == (str(built / "exe"),)
    assert found.binding is not None
    assert found.binding.dependency is not None
    assert found.binding.dependency.name == "libone.so"
    (nobody,) = imports(graph, Scope(graph), "hiddenonly")
    assert nobody.imported_by == ()
    (asked,) = imports(graph, Scope(graph), "changed", "V1")
    assert asked.binding is not None
    assert asked.binding.version == "V1"


def test_unresolved_is_what_ldd_r_says(tmp_path: Path) -> None:
    script = (
        "printf 'int gone(void), weak(void) __attribute__((weak)); extern int lost;\\n"
        "int f(void) { return gone() + lost + (weak ? weak() : 0); }' >a.c\n"
        "gcc -shared -fPIC -o liba.so a.c -Wl,-soname,liba.so\n"
        'gcc -o exe "$FIXTURES/loaded.c" -Wl,--no-as-needed -L. -la -Wl,-rpath,$PWD '
        "-Wl,--unresolved-symbols=ignore-all\n"
    )
    environment = {"PATH": os.environ["PATH"], "FIXTURES": str(RULES)}
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, env=environment, check=True)
    _compare_with_ldd(str(tmp_path / "exe"), 2)


def test_an_undefined_function_among_the_hashed_ones(tmp_path: Path) -> None:
    """Where its address is taken, the linker hashes it with those that the program defines."""
    script = (
        "echo 'int gone(void) { return 1; }' >a.c; gcc -shared -fPIC -o liba.so a.c\n"
        "printf 'int gone(void); int (*where)(void) = gone;\n"
        "int main(void) { return where(); }' >exe.c\n"
        "gcc -no-pie -fno-pie -o exe exe.c -Wl,--hash-style=gnu -L. -la -Wl,-rpath,$PWD\n"
        "echo >b.c; gcc -shared -fPIC -o liba.so b.c\n"
    )
    environment = {"PATH": os.environ["PATH"]}
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, env=environment, check=True)
    program = str(tmp_path / "exe")
    _compare_with_ldd(program, 1)
    graph = dependency_graph(program)
    assert [found.imported_by for found in imports(graph, Scope(graph), "gone")] == [(program,)]


def test_unresolved_on_this_machine() -> None:
    """Libraries of plugins, which leave symbols to the program that loads them."""
    found = 0
    for directory in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"):
        for path in sorted(Path(directory).glob("*.so"))[:60] if Path(directory).exists() else []:
            if path.read_bytes()[:4] == b"\x7fELF":
                _compare_with_ldd(str(path))
                found += 1
    if not found:
        unavailable("libraries to compare are needed")


def _compare_with_ldd(path: str, count: int | None = None) -> None:
    graph = dependency_graph(path, secure=False)
    own = {(u.name, u.version or "", u.needed_by) for u in unresolved(graph, Scope(graph))}
    result = subprocess.run(["ldd", "-r", path], capture_output=True, text=True, check=False)
    real = set(
        re.findall(
            r"undefined symbol: (\S+?)(?:, version (\S+))?\s+\((.*)\)",
            result.stdout + result.stderr,
        )
    )
    assert own == real
    assert count is None or len(real) == count
