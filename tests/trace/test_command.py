"""The traced command: held until all is attached, untouched otherwise, its end reported."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from symprobe.errors import TraceError
from symprobe.trace.command import Ended, HeldCommand
from symprobe.trace.run import Plan, invoking_user, run
from symprobe.trace.session import Tracer
from symprobe.trace.wait import End, Until, Watch, stop_command
from tests.trace.helpers import target, trace_command


def held(*argv: str, **options: object) -> HeldCommand:
    return HeldCommand(argv, dict(os.environ), **options)  # type: ignore[arg-type]


def children() -> set[str]:
    """The processes that this one has started and not waited for."""
    return {
        pid
        for thread in Path("/proc/self/task").iterdir()
        for pid in (thread / "children").read_text().split()
    }


def finished(command: HeldCommand) -> Ended:
    with Watch(Until(command=command)) as watch:
        command.release()
        assert list(watch.wait()) == [End.COMMAND]
    assert command.ended is not None
    return command.ended


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("exit 0", Ended(0)),
        ("exit 67", Ended(67)),
        ("kill -KILL $$", Ended(137, "SIGKILL")),
        ("kill -TERM $$", Ended(143, "SIGTERM")),
        (f"kill -{signal.SIGRTMIN + 1} $$", Ended(128 + signal.SIGRTMIN + 1, "SIG35")),
    ],
)
def test_how_it_ends(script: str, expected: Ended) -> None:
    with held("/bin/sh", "-c", script) as command:
        assert finished(command) == expected


def test_it_does_nothing_before_it_is_released(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with held("/bin/sh", "-c", f"echo > {mark}") as command:
        time.sleep(0.05)
        assert not mark.exists()
        assert command.poll() is None
        finished(command)
    assert mark.exists()


def test_it_never_runs_when_tracing_fails(counted: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    work = target(counted, "work")._replace(inode=(1, 1))
    before = children()
    with pytest.raises(TraceError, match="replaced"):
        run(Plan((work,), command=("/bin/sh", "-c", f"echo > {mark}"), environment=os.environ))
    assert not mark.exists()
    assert children() == before


@pytest.mark.parametrize(
    ("name", "content", "mode", "message"),
    [
        (None, "", 0, "no-such-command: command not found"),
        ("data", "text", 0o644, "permission denied"),
        ("data", "text", 0o755, "not a program of this machine"),
        ("script", "#!/no/such/interpreter\n", 0o755, "interpreter that it names does not exist"),
        ("directory/x", "", 0o755, "permission denied"),
    ],
)
def test_it_cannot_be_executed(
    name: str | None, content: str, mode: int, message: str, tmp_path: Path, counted: Path
) -> None:
    path = "no-such-command"
    if name is not None:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        file.chmod(mode)
        path = str(file if "/" not in name else file.parent)
    plan = Plan((target(counted, "work"),), command=(path,), environment=dict(os.environ))
    before = children()
    with pytest.raises(TraceError, match=message):
        run(plan)
    assert children() == before


def test_it_is_as_it_would_be_without_us(tmp_path: Path) -> None:
    """Signals, limits, descriptors, environment, working directory, user."""
    # signals 32 and 33 are the C library's own: they differ between fork(2) and posix_spawn(3)
    show = r"sed -nE 's/^(Sig(Blk|Ign|Cgt)).*(.{7})$/\1 \3/p' /proc/self/status; "
    show += "ulimit -a; ls /proc/self/fd; env; pwd; id; umask"
    script = f"exec > {tmp_path}/$0; {show}"
    subprocess.run(["/bin/sh", "-c", script, "without"], check=True, close_fds=False)
    with held("/bin/sh", "-c", script, "with") as command:
        assert finished(command) == Ended(0)
    assert (tmp_path / "with").read_text() == (tmp_path / "without").read_text()


def test_its_stdout_goes_to_stderr(tmp_path: Path) -> None:
    script = f"""
import os, sys
sys.path.insert(0, {str(Path.cwd())!r})
from symprobe.trace.command import HeldCommand
with HeldCommand(["echo", "said"], os.environ, quiet_stdout=True) as command:
    command.release()
    while command.poll() is None: pass
print("ours")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("ours\n", "said\n")


def test_under_sudo_it_is_the_invoking_user() -> None:
    nobody = pwd.getpwnam("nobody")
    sudo = {"SUDO_UID": str(nobody.pw_uid), "SUDO_GID": "0", "SUDO_USER": "nobody"}
    user = invoking_user(sudo)
    assert user is not None
    assert (user.name, user.uid, user.gid) == ("nobody", nobody.pw_uid, nobody.pw_gid)
    read, write = os.pipe()
    os.set_inheritable(write, True)
    script = f"(id -u; id -g; id -G; echo $HOME $USER; grep CapEff /proc/self/status) >&{write}"
    with HeldCommand(["/bin/bash", "-c", script], {**os.environ, **sudo}, user=user) as command:
        os.close(write)
        assert finished(command) == Ended(0)
    with open(read) as output:
        lines = output.read().splitlines()
    assert lines[:2] == [str(nobody.pw_uid), str(nobody.pw_gid)]
    assert set(lines[2].split()) == {str(group) for group in user.groups}
    assert lines[3] == f"{nobody.pw_dir} nobody"
    assert lines[4].split()[1].strip("0") == ""


def test_it_is_killed_before_it_begins(counted: Path) -> None:
    with held("/bin/true") as command:
        command.send(signal.SIGKILL)
        os.waitid(os.P_PID, command.pid, os.WEXITED | os.WNOWAIT)
        assert finished(command) == Ended(137, "SIGKILL")


def test_whoever_has_started_us_may_ignore_the_end_of_children(counted: Path) -> None:
    """Inherited, SIGCHLD ignored would hide how the command ends; the command keeps it."""
    code = f"""
import os, sys
sys.path.insert(0, {str(Path.cwd())!r})
from symprobe.trace.run import Plan, run
from tests.trace.helpers import target
command = ("grep", "SigIgn", "/proc/self/status")
plan = Plan((target({str(counted)!r}, "work"),), command=command, environment=dict(os.environ))
print(run(plan).command.ended)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )
    ignored, ended = done.stdout.splitlines()
    assert int(ignored.split()[1], 16) >> (signal.SIGCHLD - 1) & 1
    assert ended == "Ended(exit=0, signal=None)"


@pytest.mark.parametrize(
    "environment", [{}, {"SUDO_UID": "0"}, {"SUDO_UID": "x"}, {"SUDO_UID": "4294900000"}]
)
def test_without_sudo_it_is_ourselves(environment: dict[str, str]) -> None:
    assert invoking_user(environment) is None


def test_a_user_that_it_cannot_become() -> None:
    script = f"""
import os, sys
sys.path.insert(0, {str(Path.cwd())!r})
from symprobe.errors import TraceError
from symprobe.trace.command import HeldCommand, User
os.setuid(65534)
with HeldCommand(["/bin/true"], os.environ, user=User("root", 0, 0, (0,), "/")) as command:
    try:
        command.release()
    except TraceError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "Operation not permitted" in done.stdout


def test_stopped_and_continued(counted: Path) -> None:
    """A command that stops is waited for; what it does after SIGCONT counts."""
    report = run(
        Plan(
            (target(counted, "work"),),
            command=("/bin/sh", "-c", f"kill -STOP $$; exec {counted} thread 1009"),
            environment=dict(os.environ),
            interval=0.05,
        ),
        on_tick=lambda _: _continue_stopped_child(),
    )
    assert [row.hits.calls for row in report.rows] == [1009]
    assert report.command is not None
    assert report.command.ended == Ended(0)


def _continue_stopped_child() -> None:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    for child in children:
        if "\nState:\tT" in Path(f"/proc/{child}/status").read_text():
            os.kill(int(child), signal.SIGCONT)


@pytest.mark.parametrize("script", ["kill -STOP $$", "sleep 600", "trap '' INT; sleep 600"])
def test_the_time_is_over_first(script: str, counted: Path) -> None:
    """It is ended, stopped or not, and its count up to then reported."""
    plan = Plan(
        (target(counted, "work"),),
        command=(
            "/bin/sh",
            "-c",
            f"{counted} thread 23 >&2; exec /bin/sh -c '{script}'".replace("'", '"'),
        ),
        environment=dict(os.environ),
        seconds=2,
    )
    report = run(plan)
    assert [row.hits.calls for row in report.rows] == [23]
    assert report.command is not None
    assert report.command.stopped
    assert report.command.ended in (Ended(143, "SIGTERM"), Ended(137, "SIGKILL"))
    assert report.holds


def test_a_command_that_goes_on(tmp_path: Path) -> None:
    with held("/bin/sh", "-c", f"trap '' TERM; echo > {tmp_path}/on; sleep 2") as command:
        command.release()
        while not (tmp_path / "on").exists():
            pass
        stop_command(command, 0.1)
        assert command.ended is None
        command.send(signal.SIGKILL)
        with Watch(Until(command=command)) as watch:
            list(watch.wait())


def test_a_signal_ends_the_waiting_for_a_command_that_goes_on(tmp_path: Path) -> None:
    with held("/bin/sh", "-c", f"trap '' TERM; echo > {tmp_path}/on; sleep 600") as command:
        command.release()
        while not (tmp_path / "on").exists():
            pass
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        stop_command(command, 3600)
        assert command.ended is None
        command.send(signal.SIGKILL)
        with Watch(Until(command=command)) as watch:
            list(watch.wait())


def _tracer(script: str, counted: Path) -> list[str]:
    """The command of another symprobe, which traces a shell's script."""
    code = f"""
import os, sys
sys.path.insert(0, {str(Path.cwd())!r})
from symprobe.trace.run import Plan, run
from tests.trace.helpers import target
plan = Plan((target({str(counted)!r}, "work"),), command=("/bin/sh", "-c", {script!r}),
            environment=dict(os.environ))
report = run(plan)
print([row.hits.calls for row in report.rows], report.command)
"""
    return [sys.executable, "-c", code]


@contextmanager
def traced_shell(script: str, counted: Path) -> Iterator[subprocess.Popen[str]]:
    """That command, running in a process group of its own."""
    command = _tracer(script, counted)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2"])
def test_signals_are_passed_on(name: str, counted: Path) -> None:
    script = f"trap '{counted} thread 23; exit 5' {name}; echo ready; while :; do sleep 0.01; done"
    with traced_shell(script, counted) as tracer:
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == "ready\n"
        tracer.send_signal(getattr(signal, f"SIG{name}"))
        output = tracer.stdout.read()
    assert output.startswith("work 23\n[23] ")
    assert "exit=5" in output
    assert tracer.returncode == 0


def test_the_terminals_ctrl_c_reaches_it_once(counted: Path) -> None:
    """To a whole process group the kernel sends it: then it is not passed on a second time."""
    import pty

    script = f"trap '{counted} thread 23' INT; echo ready; n=0; "
    script += "while [ $n -lt 30 ]; do sleep 0.01; n=$((n+1)); done; exit 4"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, _tracer(script, counted))
    said = b""
    while b"ready" not in said:
        said += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    try:
        while more := os.read(terminal, 1000):
            said += more
    except OSError:  # the terminal's other end is closed
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"[23] " in said
    assert b"exit=4" in said


def test_a_second_signal_ends_the_trace(counted: Path) -> None:
    script = f"trap 'echo got it' INT; {counted} thread 23; echo ready; "
    script += "while :; do sleep 0.01; done"
    with traced_shell(script, counted) as tracer:
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == "work 23\n"
        assert tracer.stdout.readline() == "ready\n"
        tracer.send_signal(signal.SIGINT)
        assert tracer.stdout.readline() == "got it\n"
        tracer.send_signal(signal.SIGINT)
        output = tracer.stdout.read()
    assert "[23] " in output
    assert "stopped=True" in output


def test_a_daemon_may_be_told_to_read_its_configuration_again_and_again(counted: Path) -> None:
    script = "n=0; trap 'n=$((n+1)); echo $n' HUP; echo ready; "
    script += f"while [ $n -lt 3 ]; do sleep 0.01; done; {counted} thread 23; exit 6"
    with traced_shell(script, counted) as tracer:
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == "ready\n"
        for number in (1, 2, 3):
            tracer.send_signal(signal.SIGHUP)
            assert tracer.stdout.readline() == f"{number}\n"
        output = tracer.stdout.read()
    assert "[23] " in output
    assert "exit=6" in output


def test_the_target_exits_while_probes_are_put_in(counted: Path, tmp_path: Path) -> None:
    """Many short-lived processes that come and go while we attach and detach."""
    script = f"while [ ! -e {tmp_path}/stop ]; do {counted} thread 100 > /dev/null || exit 1; done"
    with subprocess.Popen(["/bin/sh", "-c", script]) as loop:
        for _ in range(5):
            with Tracer([target(counted, "work")]) as tracer:
                while tracer.snapshot().calls < 300:
                    pass
        (tmp_path / "stop").touch()
    assert loop.returncode == 0


def test_a_failing_command_fails_the_report(counted: Path, tmp_path: Path) -> None:
    traced = trace_command(["/bin/sh", "-c", "exit 3"], [target(counted, "work")], tmp_path)
    assert traced.report.command is not None
    assert traced.report.command.failed
    assert not traced.report.holds
