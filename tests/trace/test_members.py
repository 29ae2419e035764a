"""Who is counted: all, some, their children; nobody else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.errors import TargetError, TraceError
from symprobe.trace import btf, members
from symprobe.trace.counts import By
from symprobe.trace.members import Command, Everyone, Processes, descendants
from symprobe.trace.run import Plan, run
from symprobe.trace.session import Tracer
from tests.conftest import unavailable
from tests.trace.helpers import proceed, target, trace_command, waiting


def test_one_of_two_processes(counted: Path) -> None:
    work = target(counted, "work")
    with (
        waiting(counted, "--wait", "thread", "1009", "2") as chosen,
        waiting(counted, "--wait", "thread", "5003") as other,
    ):
        for follow in (True, False):
            with Tracer([work], who=Processes((chosen.pid,), follow)) as tracer:
                if follow:
                    assert proceed(other) == "work 5003\n"
                    assert tracer.snapshot().calls == 0
                    assert proceed(chosen) == "work 2018\n"
                    assert tracer.snapshot().calls == 2018


def test_two_chosen_processes_and_every_process(counted: Path) -> None:
    work = target(counted, "work")
    with (
        waiting(counted, "--wait", "thread", "1009") as one,
        waiting(counted, "--wait", "thread", "2003") as two,
        waiting(counted, "--wait", "thread", "4001") as three,
        Tracer([work], who=Processes((one.pid, two.pid), follow=False)) as chosen,
        Tracer([work]) as every,
    ):
        for process in (one, two, three):
            proceed(process)
        assert chosen.snapshot().calls == 3012
        assert every.snapshot().calls == 7013


@pytest.mark.parametrize(("follow", "expected"), [(True, 3027), (False, 0)])
@pytest.mark.parametrize("mode", ["fork", "exec"])
def test_children_of_a_chosen_process(
    mode: str, follow: bool, expected: int, counted: Path
) -> None:
    with (
        waiting(counted, "--wait", mode, "1009", "3") as process,
        Tracer([target(counted, "work")], who=Processes((process.pid,), follow)) as tracer,
    ):
        proceed(process)
        while process.poll() is None and not _says_done(process):
            pass
        assert tracer.snapshot().calls == expected


def _says_done(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    return process.stdout.readline() in ("done\n", "")


def test_children_that_exist_already(counted: Path) -> None:
    script = f"{counted} --wait thread 1009; true"
    with waiting("/bin/sh", "-c", script) as shell:
        (child,) = descendants([shell.pid])
        with Tracer([target(counted, "work")], who=Processes((shell.pid,))) as tracer:
            assert proceed(shell) == "work 1009\n"
            assert tracer.snapshot().calls == 1009
        assert Path(f"/proc/{child}/comm").read_text() == "counted\n"


@pytest.mark.parametrize(("everyone", "expected"), [(False, 1009), (True, 6012)])
def test_the_command_alone_or_everyone_meanwhile(
    everyone: bool, expected: int, counted: Path
) -> None:
    with waiting(counted, "--wait", "thread", "5003") as other:
        plan = Plan(
            (target(counted, "work"),),
            command=(str(counted), "thread", "1009"),
            environment=dict(os.environ),
            everyone=everyone,
        )
        said: list[str] = []
        report = run(plan, lambda _: said.append(proceed(other)))
    assert said == ["work 5003\n"]
    assert [row.hits.calls for row in report.rows] == [expected]


def test_nothing_of_ours_is_counted_before_exec(tmp_path: Path) -> None:
    """Held in our own image, the command would add our calls of libc to its own."""
    libc = "/lib/x86_64-linux-gnu/libc.so.6"
    if not os.path.exists(libc):
        pytest.skip("libc is elsewhere")
    targets = [target(libc, "read"), target(libc, "execve")]
    report = run(Plan(tuple(targets), command=("/bin/true",), environment=dict(os.environ)))
    assert {row.hits.target.names[0]: row.hits.calls for row in report.rows} == {
        "read": 0,
        "execve": 0,
    }


def test_our_own_calls_are_left_out() -> None:
    libc = "/lib/x86_64-linux-gnu/libc.so.6"
    getppid = target(libc, "getppid")
    with (
        Tracer([getppid], by=By.PID) as without,
        Tracer([getppid], who=Everyone(except_self=False), by=By.PID) as with_us,
    ):
        for _ in range(23):
            os.getppid()
        found = [
            {group.key: group.calls for group in tracer.snapshot().hits[0].by}
            for tracer in (without, with_us)
        ]
    assert os.getpid() not in found[0]
    assert found[1][os.getpid()] == 23


def test_a_process_that_is_gone_or_a_thread(counted: Path) -> None:
    work = target(counted, "work")
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    for follow in (True, False):
        with (
            pytest.raises(TargetError, match="no process"),
            Tracer([work], who=Processes((gone.pid,), follow)),
        ):
            pass
    with waiting(counted, "--wait", "nap", "100000", "2") as process:
        process.stdin.write("\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        while len(threads := os.listdir(f"/proc/{process.pid}/task")) < 3:
            time.sleep(0.001)
        thread = max(map(int, threads))
        with (
            pytest.raises(TargetError, match=f"is a thread of process {process.pid}"),
            Tracer([work], who=Processes((thread,))),
        ):
            pass


def test_it_knows_when_no_traced_process_is_left(counted: Path) -> None:
    with (
        waiting(counted, "--wait", "fork", "11", "2") as process,
        Tracer([target(counted, "work")], who=Processes((process.pid,))) as tracer,
    ):
        assert tracer.anyone_left()
        proceed(process)
        proceed(process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not tracer.anyone_left()
        assert tracer.snapshot().calls == 22


def test_a_main_thread_that_ends_first_keeps_its_process_traced(
    compiled: Callable[..., Path], tmp_path: Path
) -> None:
    program = compiled("orphans.c")
    traced = trace_command([program, "1009"], [target(program, "work")], tmp_path)
    assert traced.own == traced.calls["work"] == 2018


def test_in_a_pid_namespace_of_its_own(counted: Path, tmp_path: Path) -> None:
    """Where our process numbers are not the kernel's: -p, a command, and everyone."""
    script = f"""
import os, sys
sys.path.insert(0, {str(Path.cwd())!r})
from symprobe.trace.counts import By
from symprobe.trace.members import Command, Everyone, Processes
from symprobe.trace.run import Plan, run
from symprobe.trace.session import Tracer
from tests.trace.helpers import proceed, target, waiting
program = {str(counted)!r}
work = target(program, "work")
plan = Plan((work,), command=(program, "fork", "1009", "3"), environment=dict(os.environ))
print("command", [row.hits.calls for row in run(plan).rows])
with waiting(program, "--wait", "thread", "1009") as one:
    with waiting(program, "--wait", "thread", "5003") as two:
        with Tracer([work], who=Processes((one.pid,))) as tracer:
            proceed(two)
            proceed(one)
            print("process", one.pid, tracer.snapshot().calls)
with waiting(program, "--wait", "thread", "1009") as one:
    with Tracer([work]) as tracer:
        proceed(one)
        print("everyone", tracer.snapshot().calls)
"""
    command = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("work")]
    assert lines[0] == "command [3027]", done.stdout
    assert lines[1].startswith("process ")
    assert int(lines[1].split()[1]) < 1000
    assert lines[1].split()[2] == "1009"
    assert lines[2] == "everyone 1009"


def test_more_processes_than_the_table_holds(
    compiled: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "MOST_MEMBERS", 4)
    program = compiled("forks.c")
    traced = trace_command([program, "200", "32"], [target(program, "work")], tmp_path)
    assert traced.output == "work 200 failed 0\n"
    assert traced.report.overflow > 0
    assert traced.calls["work"] + traced.report.overflow >= 200
    assert traced.calls["work"] < 200


def test_member_offsets_agree_with_another_reader() -> None:
    text = subprocess.run(
        ["bpftrace", "-lv", "struct task_struct"], capture_output=True, text=True, check=False
    ).stdout
    if "pid_t tgid;" not in text:
        unavailable("bpftrace can't show the kernel's BTF")
    script = 'BEGIN { printf("%d %d\\n", offsetof(struct task_struct, tgid), 0); exit(); }'
    done = subprocess.run(["bpftrace", "-e", script], capture_output=True, text=True, check=False)
    names = ["task_struct.pid", "task_struct.tgid"]
    offsets = btf.member_offsets(names)
    assert offsets["task_struct.tgid"] == offsets["task_struct.pid"] + 4
    if done.returncode == 0:
        assert f"{offsets['task_struct.tgid']} 0" in done.stdout


def test_btf_that_is_missing_or_broken(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="has no BTF"):
        btf.member_offsets(["task_struct.pid"], str(tmp_path / "none"))
    broken = tmp_path / "broken"
    whole = Path(btf.KERNEL_BTF).read_bytes()
    for data in (b"", b"\x9f\xeb", whole[:1000], b"\0" * 4096):
        broken.write_bytes(data)
        with pytest.raises(TraceError):
            btf.member_offsets(["task_struct.pid"], str(broken))
    with pytest.raises(TraceError, match=r"does not tell task_struct\.no_such_member"):
        btf.member_offsets(["task_struct.no_such_member"])


def test_without_btf_children_are_not_silently_lost(
    counted: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def none(_: object) -> dict[str, int]:
        raise TraceError("the kernel has no BTF", file=btf.KERNEL_BTF)

    monkeypatch.setattr(members, "member_offsets", none)
    with pytest.raises(TraceError, match="children can't be followed"):
        trace_command([counted, "thread", "1"], [target(counted, "work")], tmp_path)
    assert members.follows(Command(1))
