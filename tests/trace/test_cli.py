"""`symprobe trace` as a user runs it."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import time
from collections.abc import Callable
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import pytest

from tests.support.run import symprobe, symprobe_json, validate
from tests.trace.helpers import ROOT, SYMPROBE, proceed, traced, tracing, waiting


@pytest.fixture(scope="session")
def libcalls(compiled: Callable[..., Path]) -> Path:
    return compiled("libcalls.c")


def calls(document: dict[str, object]) -> dict[str, int]:
    return {row["names"][0].partition("@")[0]: row["calls"] for row in document["targets"]}  # type: ignore[attr-defined]


# -- what it counts, and how it says so


def test_the_table(counted: Path) -> None:
    ran = symprobe("trace", counted, "work", "never", "--", counted, "thread", "1009", "2")
    assert ran.code == 0
    assert ran.err == ""
    lines = ran.lines
    assert lines[0] == "work 2018"
    assert lines[1] == f"{counted}:"
    assert re.fullmatch(r" +2018 +[\d.]+  (also_)?work \(= (also_)?work\).*", lines[3])
    assert re.fullmatch(r" +0 +0\.0  never  \[never called\]", lines[4])
    assert re.fullmatch(r"2018 calls of 2 functions in [\d.]+ s \(uprobe_multi\)", lines[5])
    assert lines[6] == f"command: {counted} thread 1009 2: exit 0"


def test_the_document(counted: Path) -> None:
    ran = symprobe("trace", counted, "work", "nosuch", "--json", "--", counted, "thread", "1009")
    document = json.loads(ran.out)
    validate(document)
    assert ran.err == "work 1009\n"
    assert ran.code == 0
    (row,) = document["targets"]
    assert set(row["names"]) == {"work", "also_work"}
    assert row["calls"] == 1009
    assert row["path"] == str(counted)
    assert row["build_id"]
    assert row["rate"] == pytest.approx(1009 / document["duration"])
    assert document["command"] == {
        "argv": [str(counted), "thread", "1009"],
        "exit": 0,
        "signal": None,
        "stopped": False,
    }
    assert (document["missed"], document["overflow"]) == (0, 0)
    assert document["engine"] == "uprobe_multi"
    assert [each["name"] for each in document["rejected"]] == ["nosuch"]


def test_the_document_in_a_file_leaves_stdout_to_the_command(counted: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    run = ["trace", counted, "work", "--output", path, "--json", "--", counted, "thread", "23"]
    ran = symprobe(*run)
    assert (ran.out, ran.err, ran.code) == ("work 23\n", "", 0)
    document = json.loads(path.read_text())
    validate(document)
    assert calls(document) == {document["targets"][0]["names"][0]: 23}


def test_the_table_keeps_out_of_the_commands_stdout(counted: Path, tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    ran = symprobe("trace", counted, "work", "--output", path, "--", counted, "thread", "23")
    assert (ran.out, ran.code) == ("work 23\n", 0)
    assert re.search(r"\n +23 ", ran.err)
    assert calls(json.loads(path.read_text()))


def test_the_reader_of_the_tables_goes_away(counted: Path) -> None:
    """`symprobe trace … -i 0.1 | head -1` ends."""
    with tracing(counted, "work", "-i", "0.05") as tracer:
        assert tracer.stdout is not None
        assert tracer.stdout.readline().endswith(" 0 calls\n")
        tracer.stdout.close()
        assert tracer.wait() == 0
        assert tracer.stderr is not None
        assert tracer.stderr.read() == ""


def test_by(counted: Path) -> None:
    run = ["trace", counted, "work", "--by", "pid", "--", counted, "fork", "101", "3"]
    document = symprobe_json(*run[:2], "work", "--by", "pid", *_json(run[5:]))
    (row,) = document["targets"]
    assert [group["calls"] for group in row["by"]] == [101, 101, 101]
    assert len({group["key"] for group in row["by"]}) == 3
    text = symprobe(*run)
    assert len([line for line in text.lines if re.fullmatch(r" +101 +\d+", line)]) == 3


def _json(command: list[object]) -> list[str]:
    """A command line whose --json stands before the command (symprobe_json appends it)."""
    return [str(each) for each in ("--json", *command)]


def test_top(counted: Path) -> None:
    ran = symprobe("trace", counted, "/^(work|never|main)$/", "--top", "1", "--", counted,
                   "thread", "23")  # fmt: skip
    assert "and 2 functions with fewer calls (--top)" in ran.lines
    assert len([line for line in ran.lines if line.startswith("    ")]) == 2


# -- the cases that other tools get wrong


def test_strlen_by_ifunc(libcalls: Path) -> None:
    document = traced("libc.so.6", "strlen", "--", libcalls, "strlen", "12345")
    (row,) = document["targets"]  # type: ignore[misc]
    alone = traced("libc.so.6", "strlen", "--", libcalls, "strlen", "0")
    (start,) = alone["targets"]  # type: ignore[misc]
    assert row["calls"] - start["calls"] == 12345
    assert row["kind"] == "ifunc"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="two versions of memcpy")
def test_a_versioned_symbol(libcalls: Path) -> None:
    for name, calls_new, calls_old in (("memcpy", 12345, 0), ("old_memcpy", 0, 12345)):
        counts = []
        for number in (12345, 0):
            document = traced(
                "libc.so.6", "memcpy@@GLIBC_2.14", "memcpy@GLIBC_2.2.5",
                "--", libcalls, name, number,
            )  # fmt: skip
            counts.append([row["calls"] for row in _in_order(document)])
        assert counts[0][0] - counts[1][0] == calls_new
        assert counts[0][1] - counts[1][1] == calls_old


def _in_order(document: dict[str, object]) -> list[dict[str, int]]:
    """The rows of the two memcpys, the default version first."""
    rows = list(document["targets"])  # type: ignore[call-overload]
    return sorted(rows, key=lambda row: "memcpy@@GLIBC_2.14" not in row["names"])


@pytest.mark.parametrize("symbol", ["getppid", "getpp*", "/^getppid$/"])
def test_a_name_that_the_program_only_imports(libcalls: Path, symbol: str) -> None:
    document = traced(libcalls, symbol, "main", "--", libcalls, "getppid", "101")
    assert calls(document) == {"getppid": 101, "main": 1}
    paths = {row["path"] for row in document["targets"]}  # type: ignore[attr-defined]
    assert str(libcalls) in paths
    assert any("libc" in path for path in paths if path != str(libcalls))


def test_all_of_libc(libcalls: Path) -> None:
    document = traced("libc.so.6", "*", "--", libcalls, "getppid", "101")
    counts = calls(document)
    assert counts["getppid"] == 101
    assert sum(1 for number in counts.values() if number) > 20
    assert len(counts) > 2000
    refused = {each["name"].partition("@")[0]: each for each in document["rejected"]}  # type: ignore[attr-defined]
    assert "lock" in refused["pthread_spin_lock"]["detail"]
    assert "f0 ff" in refused["pthread_spin_lock"]["detail"]
    assert "pthread_spin_lock" not in counts


def test_inlined_copies_are_told(compiled: Callable[..., Path]) -> None:
    program = compiled("inlined.c")
    words = ["trace", program, "cube", "partly", "square", "--expect", "square>=0", "--json", "--"]
    document = json.loads(symprobe(*words, program).out)
    notes = {row["names"][0]: (row["calls"], row["note"]) for row in document["targets"]}
    assert notes["partly"] == (0, "never called; 1 inlined copy can't be counted")
    assert notes["cube"][0] == 5
    assert "inlined" not in notes["cube"][1]
    (rejected,) = document["rejected"]
    assert rejected["reason"] == "only-inlined"
    assert rejected["detail"].startswith("inlined 2 times, in ")
    assert not document["expectations"][0]["held"]
    document = json.loads(symprobe(*words, program, "argument").out)
    (row,) = (row for row in document["targets"] if row["names"][0] == "partly")
    assert (row["calls"], row["note"]) == (1, "1 inlined copy can't be counted")


def test_names_with_spaces_and_commas(counted: Path, tmp_path: Path) -> None:
    odd = tmp_path / "a file, with (odd) 'name'.so"
    symbol = "odd name, with (brackets)"
    subprocess.run(["objcopy", f"--redefine-sym=also_work={symbol}", counted, odd], check=True)
    (row,) = traced(odd, symbol, "--", odd, "thread", "23")["targets"]  # type: ignore[misc]
    assert symbol in row["names"]
    assert row["calls"] == 23


def test_the_labs_exercise(fixture: Callable[[str], Path]) -> None:
    """Is uprobeme static or dynamic, and how often are foo and bar called?"""
    for linkage in ("static", "static-pie", "pie", "nopie"):
        program = fixture(f"uprobeme-{linkage}")
        run = ["foo", "bar", "--expect", "foo==100", "--expect", "bar==67", "--expect", "foo>bar"]
        ran = symprobe("trace", program, *run, "--", program, "--count", "100")
        assert ran.lines[0] == "foo=100 bar=67"
        assert ran.code == 0
        assert ran.lines[-1] == "expected foo>bar: held (100 and 67)"


# -- in whom


def test_a_process_by_its_number_and_by_pid_target(counted: Path) -> None:
    for target, option in ((str(counted), "-p"), ("pid:{pid}", ""), ("counted", "-p")):
        with waiting(counted, "--wait", "thread", "1009") as process:
            words = [target.format(pid=process.pid), "work"]
            words += [option, str(process.pid)] if option else []
            with tracing(*words, "--json") as tracer:
                assert proceed(process) == "work 1009\n"
                tracer.send_signal(signal.SIGINT)
                document = json.loads(tracer.communicate()[0])
        validate(document)
        assert [row["calls"] for row in document["targets"]] == [1009]
        assert tracer.returncode == 0


def test_it_ends_with_the_processes(counted: Path) -> None:
    with (
        waiting(counted, "--wait", "thread", "23") as process,
        tracing(counted, "work", "-p", process.pid) as tracer,
    ):
        proceed(process)
        process.kill()
        process.wait()
        output, _ = tracer.communicate()
    assert tracer.returncode == 0
    assert re.search(r"\n +23 ", output)


# -- how long, how often


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_it_with_the_table(name: str, counted: Path) -> None:
    with tracing(counted, "work") as tracer:
        subprocess.run([counted, "thread", "23"], check=True, stdout=subprocess.DEVNULL)
        tracer.send_signal(getattr(signal, name))
        output, errors = tracer.communicate()
    assert re.search(r"\n +23 ", output)
    assert errors == ""
    assert tracer.returncode == 0


def test_intervals_and_duration(counted: Path) -> None:
    with tracing(counted, "work", "-i", "0.2", "-d", "1.1") as tracer:
        subprocess.run([counted, "thread", "23"], check=True, stdout=subprocess.DEVNULL)
        output, _ = tracer.communicate()
    tables = re.findall(r"^[\d.]+ s: (\d+) calls$", output, re.MULTILINE)
    assert 1 <= len(tables) <= 5
    assert sum(map(int, tables)) == 23
    assert re.search(r"\n23 calls of 1 function in 1\.\d+ s", output)


def test_on_a_terminal_the_table_is_alive(counted: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(PYTHONPATH=str(ROOT), TERM="xterm")
        os.execv(SYMPROBE[0], [*SYMPROBE, "trace", str(counted), "work"])
    ioctl(terminal, TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    said = _read_until(terminal, b"Ctrl-C ends")
    for number in (23, 31):
        subprocess.run([counted, "thread", str(number)], check=True, stdout=subprocess.DEVNULL)
    said += _read_until(terminal, b"54 calls in")
    os.write(terminal, b"\x03")
    last = _read_until(terminal, b"(uprobe_multi)")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(terminal)
    assert "█".encode() in said
    assert b"54 calls of 1 function" in last


def _read_until(terminal: int, wanted: bytes) -> bytes:
    said = b""
    deadline = time.monotonic() + 60
    while wanted not in said:
        assert time.monotonic() < deadline, said
        if select.select([terminal], [], [], 1)[0]:
            said += os.read(terminal, 4096)
    return said
