"""The TARGET grammar, against the processes and files of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import unavailable
from tests.support.run import symprobe, symprobe_json

Fixture = Callable[[str], Path]


@contextmanager
def running(*command: str | Path) -> Iterator[int]:
    """A process that waits on its standard input, ready when it is yielded."""
    process = subprocess.Popen(
        [str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.stdout.read(1) == b"x"  # cat has started, with its libraries mapped
        yield process.pid
    finally:
        process.kill()
        process.wait()


def inode(path: str) -> int:
    return os.stat(path).st_ino


def test_a_name_is_looked_for_here_then_on_path_then_as_a_library(tmp_path: Path) -> None:
    found = symprobe_json("info", "cat", cwd=tmp_path)["files"][0]
    assert found["path"] == shutil.which("cat")
    library = symprobe_json("info", "libc.so.6", cwd=tmp_path)["files"][0]
    listed = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True)
    assert f"=> {library['path']}\n" in listed.stdout
    shorter = symprobe_json("info", "libc", cwd=tmp_path)["files"][0]
    assert shorter["soname"] == "libc.so.6"
    shutil.copy("/bin/true", tmp_path / "cat")
    here = symprobe_json("info", "cat", cwd=tmp_path)["files"][0]
    assert here["path"] == "cat"


def test_a_name_that_is_nowhere() -> None:
    ran = symprobe("ls", "no-such-program-or-library")
    assert ran.code == 2
    assert ran.err.startswith("symprobe: no-such-program-or-library: no such file")


def test_a_process_and_its_library() -> None:
    with running("cat") as pid:
        program = symprobe_json("info", f"pid:{pid}")["files"][0]
        assert inode(program["path"]) == inode(f"/proc/{pid}/exe")
        library = symprobe_json("info", f"pid:{pid}:libc")["files"][0]
        assert library["soname"] == "libc.so.6"
        missing = symprobe("ls", f"pid:{pid}:libssl")
        assert missing.code == 2


def test_a_deleted_program_is_read_all_the_same(tmp_path: Path) -> None:
    copy = tmp_path / "cat"
    shutil.copy("/bin/cat", copy)
    with running(copy) as pid:
        before = symprobe_json("ls", copy)["files"][0]["symbols"]
        copy.unlink()
        found = symprobe_json("ls", f"pid:{pid}")["files"][0]
        assert found["path"] == str(copy)
        assert found["symbols"] == before
        shutil.copy("/bin/true", copy)  # another file under the same name is not taken for it
        assert symprobe_json("ls", f"pid:{pid}")["files"][0]["symbols"] == before


def test_a_process_that_is_not_there() -> None:
    ran = symprobe("ls", "pid:4194303")
    assert ran.code == 2
    assert "no such process" in ran.err


def test_a_process_in_another_root(tmp_path: Path) -> None:
    busybox = tmp_path / "bin"
    busybox.mkdir()
    source = tmp_path / "wait.c"
    source.write_text(
        "#include <unistd.h>\n"
        "int only_here(void) { char c; if (read(0, &c, 1) > 0) write(1, &c, 1);"
        " return read(0, &c, 1); }\nint main(void) { return only_here(); }\n"
    )
    subprocess.run(["gcc", "-static", "-o", busybox / "wait", source], check=True)
    if os.geteuid() != 0:
        unavailable("chroot needs root")
    with running("chroot", tmp_path, "/bin/wait") as pid:
        found = symprobe_json("ls", f"pid:{pid}", "--grep", "^only_here$")["files"][0]
        assert inode(found["path"]) == inode(str(busybox / "wait"))
        assert [s["name"] for s in found["symbols"]] == ["only_here"]
