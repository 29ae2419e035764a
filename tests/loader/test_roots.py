"""Another root directory: nothing leads outside, whatever the machine it is for."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from symprobe.errors import FileError
from symprobe.loader import dependency_graph
from symprobe.loader.root import Root
from symprobe.loader.values import Flavor
from tests.conftest import unavailable
from tests.loader import rules
from tests.support.compare_ldd import own_listing


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A root with files a/file, and the same names outside with other contents."""
    root = tmp_path / "root"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "file").write_text("inside")
    (tmp_path / "file").write_text("outside")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("outside")
    return root


def read(root: Root, path: str) -> str:
    _, fd = root.open(path)
    with os.fdopen(fd) as file:
        return file.read()


@pytest.mark.parametrize(
    ("link", "target", "path"),
    [
        ("link", "a/file", "/link"),
        ("link", "/a/file", "/link"),
        ("link", "../../../a/file", "/link"),
        ("link", "/../../a/b/../file", "/link"),
        ("a/b/up", "../../../../../a", "/a/b/up/file"),
        ("dir", "/a/b", "/dir/../file"),
        ("dir", "/a", "//dir/./file"),
        ("one", "/two", "/one/file"),
    ],
)
def test_links_stay_inside(tree: Path, link: str, target: str, path: str) -> None:
    os.symlink(target, tree / link)
    os.symlink("/a", tree / "two")
    root = Root(str(tree))
    assert read(root, path) == "inside"
    assert root.realpath(path) == "/a/file"
    assert root.locate(path).shown == path


def test_the_chroot_itself_agrees(tree: Path) -> None:
    """A few hundred paths over links of every kind, asked of chroot(2)."""
    if os.getuid() != 0:
        unavailable("chroot needs root")
    links = {
        "l1": "a", "l2": "/a", "l3": "../a", "a/l4": "..", "a/b/l5": "/l2/../a/file",
        "l6": "l7", "l7": "l6", "a/l8": "/nowhere", "l9": "/l1/l4/l2/b",
    }  # fmt: skip
    for name, text in links.items():
        os.symlink(text, tree / name)
    parts = ["a", "b", "file", "..", "l1", "l2", "l3", "l4", "l5", "l6", "l8", "l9", "."]
    paths = [f"/{x}/{y}/{z}" for x in parts for y in parts for z in parts]
    script = (
        "import os,sys\nos.chroot(sys.argv[1]); os.chdir('/')\n"
        "for path in sys.stdin.read().split():\n"
        "    try: s=os.stat(path); print(s.st_dev, s.st_ino)\n"
        "    except OSError as e: print('-', e.errno)\n"
    )
    result = subprocess.run(
        [shutil.which("python3") or "python3", "-c", script, str(tree)],
        input="\n".join(paths), capture_output=True, text=True, check=True,
    )  # fmt: skip
    root = Root(str(tree))
    for path, truth in zip(paths, result.stdout.splitlines(), strict=True):
        try:
            info = os.stat(root.locate(path).opened)
            own = f"{info.st_dev} {info.st_ino}"
        except OSError as error:
            own = f"- {error.errno}"
        if own.startswith("-") and truth.startswith("-"):
            continue  # a missing and a looping path may be told apart differently
        assert own == truth, path


def test_loops_end(tree: Path) -> None:
    os.symlink("loop", tree / "loop")
    os.symlink("/two/x", tree / "one")
    os.symlink("/one/x", tree / "two")
    for i in range(60):
        os.symlink(f"/chain{i + 1}", tree / f"chain{i}")
    root = Root(str(tree))
    for path in ("/loop", "/loop/file", "/one", "/two/file", "/chain0"):
        with pytest.raises(OSError, match=r".") as caught:
            root.open(path)
        assert caught.value.errno == errno.ELOOP
    with pytest.raises(FileError, match=r"."):
        dependency_graph("/loop", root=str(tree))


def test_the_root_itself_may_be_slash_or_end_in_one() -> None:
    for directory in ("", "/", "//"):
        assert Root(directory).locate("/bin/true").opened.endswith("/bin/true")
    names = [d.name for d in dependency_graph("/bin/true", root="/").libraries]
    assert names == [d.name for d in dependency_graph("/bin/true").libraries]


CROSS = {
    "aarch64-linux-gnu": 64, "arm-linux-gnueabihf": 32, "mips-linux-gnu": 32,
    "powerpc64-linux-gnu": 64, "powerpc64le-linux-gnu": 64, "riscv64-linux-gnu": 64,
    "s390x-linux-gnu": 64,
}  # fmt: skip
STRUCTURE = (
    "a-filtee-loaded-later-moves-to-the-front",
    "a-missing-auxiliary-is-ignored",
    "a-soname-that-is-loaded-needs-no-search",
    "breadth-first-in-the-order-of-the-entries",
    "filter-puts-its-filtee-first",
    "libraries-that-need-each-other",
    "one-inode-is-one-object",
    "origin-of-a-library-is-its-path-as-found",
    "rpath-is-inherited",
    "rpath-walk-goes-on-past-a-runpath",
    "runpath-is-not-inherited",
    "runpath-of-a-library-switches-off-the-rpaths-above-it",
    "what-is-missing-twice-is-searched-twice",
)
"""Rules that are the same on every machine, and judged on this one by its loader."""


@pytest.mark.parametrize("triplet", CROSS)
def test_the_rules_hold_for_other_machines(triplet: str, tmp_path: Path) -> None:
    if shutil.which(f"{triplet}-gcc") is None:
        unavailable(f"{triplet}-gcc is needed")
    for name in STRUCTURE:
        out = tmp_path / name / "here"
        out.mkdir(parents=True)
        rule = rules.build(name, out, compiler=f"{triplet}-gcc")
        _add_libc(triplet, tmp_path / name, out / "exe")
        graph = dependency_graph("/here/exe", root=str(tmp_path / name))
        assert graph.flavor is Flavor.GLIBC
        assert graph.interpreter is not None
        assert graph.scope[0].library.machine.bits == CROSS[triplet]
        own = own_listing(graph)
        assert {"libc.so.6"} <= {name for name, path in own if path is not None}
        expected = [(n, p and p.replace("./", "/here/", 1)) for n, p in rule.listing or []]
        assert [(n, p) for n, p in own if not re.match(r"libc\.|/lib|ld", n)] == expected, name


def _add_libc(triplet: str, root: Path, program: Path) -> None:
    """The cross compiler's libc, and its loader where the program wants it."""
    text = subprocess.run(
        ["readelf", "-lW", program], capture_output=True, text=True, check=True
    ).stdout
    interpreter = re.search(r"interpreter: (/.*)\]", text)
    assert interpreter is not None
    lib = Path(f"/usr/{triplet}/lib")
    wanted = {"/lib/libc.so.6": lib / "libc.so.6"}
    wanted[interpreter[1]] = lib / Path(interpreter[1]).name
    for name, source in wanted.items():
        place = root / name[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)


@pytest.mark.parametrize("triplet", CROSS)
def test_a_cross_compilers_own_root(triplet: str) -> None:
    """Every library of the sysroot: what readelf says is needed is found, in that order."""
    directory = Path(f"/usr/{triplet}")
    if not (directory / "lib" / "libc.so.6").exists():
        unavailable(f"{directory}/lib is needed")
    for path in sorted((directory / "lib").glob("lib*.so.*")):
        graph = dependency_graph(f"/lib/{path.name}", root=str(directory))
        text = subprocess.run(
            ["readelf", "-dW", path], capture_output=True, text=True, check=True
        ).stdout
        needed = re.findall(r"\(NEEDED\) +Shared library: \[(.*)\]", text)
        direct = [d for d in graph.libraries if f"/lib/{path.name}" in d.needed_by]
        assert {n for d in direct for n in d.names} >= set(needed)
        assert graph.missing == ()
        assert all((d.path or "").startswith("/lib") for d in graph.libraries)
