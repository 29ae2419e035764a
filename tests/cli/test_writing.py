"""Files that commands write: whole or not at all, and never through a link."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from symprobe.cli.writing import Output
from symprobe.errors import FileError
from tests.conftest import unavailable
from tests.support.run import SCHEMAS, symprobe

RULE = ("--require", "exit")


def check(*arguments: str | Path) -> int:
    return symprobe("check", "libc.so.6", *RULE, "--format", "json", *arguments).code


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    """/tmp/report.json may be a link to a file of mine that somebody else has put there."""
    precious, place = tmp_path / "precious", tmp_path / "report.json"
    precious.write_text("as it was")
    place.symlink_to(precious)
    assert check("--output", place) == 0
    assert precious.read_text() == "as it was"
    assert not place.is_symlink()
    assert '"symprobe/check/1"' in place.read_text()


def test_a_dangling_link_makes_no_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "report.json").symlink_to(tmp_path / "elsewhere")
    assert check("--output", tmp_path / "report.json") == 0
    assert os.listdir(tmp_path) == ["report.json"]


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        unavailable("mknod takes root")
    null = tmp_path / "null"
    os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    assert check("--output", null) == 0
    assert stat.S_ISCHR(null.lstat().st_mode)


def test_a_fifo_has_a_reader(tmp_path: Path) -> None:
    fifo, read = tmp_path / "fifo", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: read.append(fifo.read_text()), daemon=True)
    reader.start()
    assert check("--output", fifo) == 0
    reader.join(60)
    assert '"symprobe/check/1"' in read[0]
    assert stat.S_ISFIFO(fifo.lstat().st_mode)


def test_the_streams_of_a_shell(tmp_path: Path) -> None:
    """`--output /dev/stdout`, and `>(…)`, which is /dev/fd/63."""
    python = f"PYTHONPATH={SCHEMAS.parents[1]} {sys.executable} -m symprobe check libc.so.6"
    for output in ("/dev/stdout", ">(cat)"):
        command = f"{python} {' '.join(RULE)} --format json --output {output} | cat; wait"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        assert '"symprobe/check/1"' in done.stdout, done
    assert Path("/dev/stdout").is_symlink()


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "report"
    place.write_text("old")

    class WrongError(Exception):
        pass

    def fail() -> None:
        with Output(str(place)) as output:
            output.write("half of it")
            raise WrongError

    with pytest.raises(WrongError):
        fail()
    assert place.read_text() == "old"
    with Output(str(place)):
        pass  # nothing is written
    assert place.read_text() == "old"
    assert os.listdir(tmp_path) == ["report"]


def test_it_may_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        with Output(str(tmp_path / "report")) as output:
            output.write(b"\xff")
    finally:
        os.umask(previous)
    assert (tmp_path / "report").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "report").read_bytes() == b"\xff"


@pytest.mark.parametrize("name", [".", "none/report", "x" * 300, "nul\0"], ids=range(4))
def test_what_can_not_be_written_fails_at_once(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="can't be written"):
        Output(os.path.join(tmp_path, name))


def test_a_full_disk_is_one_line() -> None:
    ran = symprobe("check", "libc.so.6", *RULE, "--output", "/dev/full")
    assert ran.code == 2
    assert ran.err == "symprobe: /dev/full: can't be written: No space left on device: choose " \
        "another FILE\n"  # fmt: skip
