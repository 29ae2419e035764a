"""What docs/security.md claims and no other test shows."""

from __future__ import annotations

import ast
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.cli import trace_listen
from symprobe.cli.trace_listen import Listener
from symprobe.render.openmetrics import openmetrics
from symprobe.trace.snapshot import Snapshot
from tests.conftest import unavailable
from tests.support.run import symprobe

ROOT = Path(__file__).parents[1]
Fixture = Callable[[str], Path]
SNAPSHOT = Snapshot((), 0, 0, 1.0)


def test_every_test_named_on_the_page_exists() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) > 30
    wrong = []
    for path, function in named:
        tree = ast.parse((ROOT / path).read_text()) if (ROOT / path).exists() else ast.parse("")
        if function not in {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}:
            wrong.append(f"{path}::{function}")
    assert not wrong


@pytest.mark.parametrize("command", ["ls", "info", "deps", "resolve", "check", "find", "diff"])
def test_what_is_no_regular_file_is_never_opened(command: str, tmp_path: Path) -> None:
    """A writer waits at a FIFO until somebody opens it for reading: nobody does."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "link").symlink_to(fifo)
    arguments = {
        "resolve": [fifo, "main"], "check": [fifo, "--require", "main"], "find": ["main", tmp_path],
        "diff": [fifo, "/bin/sh"], "ls": [fifo, tmp_path / "link"],
    }.get(command, [fifo])  # fmt: skip
    met = threading.Event()

    def write() -> None:
        os.close(os.open(fifo, os.O_WRONLY))
        met.set()

    writer = threading.Thread(target=write)
    writer.start()
    ran = symprobe(command, *arguments)
    assert not met.is_set()
    os.close(os.open(fifo, os.O_RDONLY))
    writer.join()
    assert ran.code == (1 if command == "find" else 2)
    assert command == "find" or "is a FIFO" in ran.err


def test_a_huge_sparse_debug_file_is_not_summed(tmp_path: Path) -> None:
    """All bytes of a file found by debug link are read for its CRC: not those of 1 TiB."""
    program, debug = tmp_path / "program", tmp_path / "program.debug"
    (tmp_path / "main.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-Wl,--build-id=none", "-o", program, tmp_path / "main.c"], check=True)
    debug.write_bytes(program.read_bytes())
    subprocess.run(["objcopy", "--strip-all", f"--add-gnu-debuglink={debug}", program], check=True)
    os.truncate(debug, 1 << 40)
    ran = symprobe("ls", program, "--defined", "--table", "all")
    assert "larger than 4 GiB" in ran.err


def test_the_command_takes_nothing_from_the_current_directory(tmp_path: Path) -> None:
    """`symprobe`, unlike `python -m symprobe`, has no current directory on its path."""
    script = Path(sys.executable).with_name("symprobe")
    if not script.exists():
        unavailable("symprobe is not installed in this environment")
    for name in ("typer", "struct", "symprobe", "cxxfilt", "bcc", "lief"):
        (tmp_path / f"{name}.py").write_text("open('taken', 'w')\n")
    ran = subprocess.run(
        [script, "info", "/bin/sh"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert not (tmp_path / "taken").exists()


@pytest.fixture
def listener() -> Listener:
    listener = Listener(("127.0.0.1", 0), None)
    listener.publish(SNAPSHOT)
    return listener


def connected(listener: Listener) -> socket.socket:
    host, _, port = listener.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=60)


def scrape(listener: Listener) -> bytes:
    with urllib.request.urlopen(f"http://{listener.address}/metrics", timeout=60) as answer:
        return bytes(answer.read())


def test_only_so_many_clients_are_served_at_a_time(listener: Listener) -> None:
    try:
        silent = [connected(listener) for _ in range(trace_listen.MOST_CLIENTS)]
        wait_for(lambda: serving() == trace_listen.MOST_CLIENTS)
        one_more = connected(listener)
        assert one_more.recv(1) == b""  # turned away at once
        for each in silent:
            each.close()
        wait_for(lambda: serving() == 0)
        assert scrape(listener) == openmetrics(SNAPSHOT)
    finally:
        listener.close()


def test_a_client_that_dribbles_is_cut_off(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_listen, "DEADLINE", 0.3)
    try:
        slow = connected(listener)
        slow.settimeout(0.05)
        ended = False
        for _ in range(1000):  # each byte in time, the request never whole
            try:
                slow.send(b"G")
                ended = slow.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:
                ended = True
            if ended:
                break
        assert ended
    finally:
        listener.close()


def serving() -> int:
    return sum("process_request_thread" in thread.name for thread in threading.enumerate())


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nothing_leaves_the_loopback_unless_asked(listener: Listener) -> None:
    try:
        port = int(listener.address.rpartition(":")[2])
        table = Path("/proc/net/tcp").read_text().split("\n")[1:]
        bound = [line.split()[1] for line in table if line.split()[3:4] == ["0A"]]
        assert [each for each in bound if int(each[9:], 16) == port] == [f"0100007F:{port:04X}"]
    finally:
        listener.close()
