"""Probes go where they should, what is refused is told, and nothing stays behind."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from symprobe.errors import TraceError
from symprobe.probe import Reason
from symprobe.process import mappings
from symprobe.trace import bpfcall
from symprobe.trace.links import Engine
from symprobe.trace.members import Processes
from symprobe.trace.refused import find_refused
from symprobe.trace.session import Tracer
from symprobe.trace.sites import Site
from tests.trace.helpers import addresses, probe_in, proceed, target, waiting

REFUSED = {
    "prefix_lock", "prefix_cs", "prefix_ds", "prefix_es", "prefix_ss", "prefix_operand_cs",
    "first_int3", "first_hlt", "first_in", "first_iret", "first_popss", "first_invalid",
}  # fmt: skip


@pytest.fixture(scope="session")
def oddities(compiled: Callable[..., Path]) -> Path:
    """A library whose functions begin with all kinds of instructions; no process maps it."""
    return compiled("refused.s", "-shared", "-nostartfiles", name="librefused.so")


@pytest.mark.parametrize("engine", list(Engine))
def test_what_the_kernel_refuses_is_listed_and_the_rest_is_traced(
    oddities: Path, engine: Engine
) -> None:
    known = addresses(oddities)
    names = sorted(name for name in known if name.startswith(("prefix_", "first_")))
    with Tracer([target(oddities, name, known=known) for name in names], engine=engine) as tracer:
        assert {refused.name for refused in tracer.refused} == REFUSED
        traced = {hit.target.names[0] for hit in tracer.snapshot().hits}
    assert traced == set(names) - REFUSED
    lock = next(refused for refused in tracer.refused if refused.name == "prefix_lock")
    assert "f0 ff 0f c3" in lock.detail
    assert "lock prefix" in lock.detail
    assert lock.reason == Reason.REFUSED_INSTRUCTION


def test_nothing_left_to_trace_is_an_error(oddities: Path) -> None:
    with pytest.raises(TraceError, match="lock prefix"), Tracer([target(oddities, "prefix_lock")]):
        pass


@pytest.mark.parametrize("bad", [[], [0], [12], [0, 5, 6, 12], list(range(13))])
def test_halving_finds_each_culprit(bad: list[int]) -> None:
    sites = [Site(slot, slot) for slot in range(13)]  # type: ignore[arg-type]
    trials = 0

    def accepts(part: list[Site]) -> bool:
        nonlocal trials
        trials += 1
        return not any(site.slot in bad for site in part)

    found = find_refused(sites, accepts)  # type: ignore[arg-type]
    assert [site.slot for site in found] == bad
    assert trials <= 1 + 8 * max(1, len(bad))


@pytest.mark.parametrize("replaced", [False, True])
def test_a_library_deleted_or_replaced_on_disk(
    replaced: bool, compiled: Callable[..., Path], tmp_path: Path
) -> None:
    options = ("-shared", "-fPIC", "-Wl,-soname,liblibrary.so")
    older = compiled("library.c", *options, name="liblibrary.so")
    newer = compiled("library.c", *options, "-DNEWER", name="liblibrary.so")
    library = tmp_path / "liblibrary.so"
    shutil.copy(older, library)
    program = compiled("user.c", str(older))
    with waiting("env", f"LD_LIBRARY_PATH={tmp_path}", program, "1009") as process:
        library.unlink()
        if replaced:
            shutil.copy(newer, library)
        (mapping, *_) = [m for m in mappings(process.pid) if m.path == str(library)]
        link = f"/proc/{process.pid}/map_files/{mapping.start:x}-{mapping.end:x}"
        known = addresses(older)
        targets = [target(older, "lib_work", opened=link, known=known)]
        if replaced:
            targets.append(target(library, "lib_newer"))
        with Tracer(targets) as tracer:
            assert proceed(process) == "lib_work 1009\n"
            hits = tracer.snapshot().hits
        assert [hit.calls for hit in hits] == [1009, 0][: len(targets)]


def test_a_file_replaced_since_it_was_resolved(counted: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    shutil.copy(counted, program)
    resolved = target(program, "work")
    keep = program.open("rb")  # else the inode number may be given to the new file
    program.unlink()
    shutil.copy(counted, program)
    with pytest.raises(TraceError, match="replaced"), Tracer([resolved]):
        pass
    program.unlink()
    with pytest.raises(TraceError, match="No such file"), Tracer([resolved]):
        pass
    keep.close()


def test_a_process_with_another_root(compiled: Callable[..., Path], tmp_path: Path) -> None:
    program = compiled("counted.c", "-static")
    root = tmp_path / "root"
    root.mkdir()
    script = f"mount -t tmpfs none {root} && cp {program} {root}/counted && exec chroot {root} "
    script += "/counted --wait thread 1009"
    with waiting("unshare", "--mount", "/bin/sh", "-c", script) as process:
        assert not (root / "counted").exists()
        inside = f"/proc/{process.pid}/root/counted"
        work = target(program, "work", opened=inside)
        with Tracer([work], who=Processes((process.pid,))) as tracer:
            assert proceed(process) == "work 1009\n"
            assert tracer.snapshot().calls == 1009


@contextmanager
def bpftrace(script: str) -> Iterator[subprocess.Popen[str]]:
    """Another tracer at work."""
    begin = 'BEGIN { printf("on\\n"); } '
    command = ["bpftrace", "-e", begin + script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            while (line := process.stdout.readline()) != "on\n":
                assert line, "bpftrace ended"
            yield process
        finally:
            process.kill()


def test_several_tracers_on_one_function(counted: Path) -> None:
    work = target(counted, "work")
    with waiting(counted, "--wait", "thread", "10007", "2") as process:
        with bpftrace(f"uprobe:{counted}:work {{ @ = count(); }}") as theirs:
            with Tracer([work]) as one, Tracer([work], engine=Engine.PERF_EVENT) as two:
                assert proceed(process) == "work 20014\n"
                assert one.snapshot().calls == two.snapshot().calls == 20014
            theirs.send_signal(signal.SIGINT)
            said, _ = theirs.communicate()
        assert "@: 20014" in said
        assert not probe_in(process, work)


@pytest.mark.parametrize("engine", list(Engine))
def test_an_exception_takes_the_probes_out(counted: Path, engine: Engine) -> None:
    work = target(counted, "work")
    with waiting(counted, "--wait", "idle") as process:
        with pytest.raises(ZeroDivisionError), Tracer([work], engine=engine):
            print(1 // (not probe_in(process, work)))
        assert not probe_in(process, work)


def test_sigkill_under_load_leaves_nothing_and_harms_nobody(counted: Path) -> None:
    script = f"""
import sys, time
sys.path.insert(0, {str(Path.cwd())!r})
from symprobe.trace.session import Tracer
from tests.trace.helpers import target
with Tracer([target({str(counted)!r}, "work")]) as tracer:
    print("attached", flush=True)
    while not tracer.snapshot().calls:
        pass
    print("counting", flush=True)
    time.sleep(600)
"""
    work = target(counted, "work")
    with waiting(counted, "--wait", "thread", "3000000", "2") as process:
        tracer = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        assert tracer.stdout is not None
        assert tracer.stdout.readline() == "attached\n"
        process.stdin.write("\n")
        process.stdin.flush()
        assert tracer.stdout.readline() == "counting\n"
        assert probe_in(process, work)
        tracer.kill()
        tracer.wait()
        assert process.stdout is not None
        assert process.stdout.readline() == "work 6000000\n"
        assert not probe_in(process, work)


def test_no_memory_may_be_locked(counted: Path) -> None:
    """RLIMIT_MEMLOCK 0; the command keeps the limit that it would have without us."""
    script = f"""
import os, sys
sys.path.insert(0, {str(Path.cwd())!r})
from symprobe.trace.run import Plan, run
from tests.trace.helpers import target
show = "ulimit -l; exec {counted} thread 1009"
plan = Plan((target({str(counted)!r}, "work"),), command=("/bin/sh", "-c", show),
            environment=dict(os.environ))
print([row.hits.calls for row in run(plan).rows])
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0)),
    )
    assert done.stdout.split() == ["0", "work", "1009", "[1009]"]


def test_three_thousand_functions_in_one_link(tmp_path: Path) -> None:
    source = tmp_path / "many.c"
    number = 3_000
    lines = [f"__attribute__((noipa)) void f{n}(void) {{}}" for n in range(number)]
    calls = "".join(f"f{n}();" for n in range(0, number, 7))
    source.write_text("\n".join(lines) + f"\nint main(void) {{ {calls} return 0; }}\n")
    program = tmp_path / "many"
    subprocess.run(["gcc", "-O1", "-fcf-protection=none", "-o", program, source], check=True)
    known = addresses(program)
    base = target(program, "f0", known=known)
    targets = [
        base._replace(
            offset=base.offset + known[f"f{n}"] - known["f0"],  # type: ignore[arg-type]
            names=(f"f{n}",),
            demangled=(f"f{n}",),
        )
        for n in range(number)
    ]
    with Tracer(targets) as tracer:
        subprocess.run([program], check=True)
        hits = tracer.snapshot().hits
    assert [hit.calls for hit in hits] == [int(n % 7 == 0) for n in range(number)]


def test_bad_arguments_of_the_system_call() -> None:
    program = bpfcall.load_nothing(attach_type=bpfcall.ATTACH_UPROBE_MULTI)
    with pytest.raises(OSError, match="Bad file descriptor"):
        bpfcall.link_uprobes(program, b"/", [0], [0])
    with pytest.raises(FileNotFoundError):
        bpfcall.link_uprobes(program, b"/nonexistent", [0], [0])
    os.close(program)
    with pytest.raises(OSError, match="Bad file descriptor"):
        bpfcall.link_uprobes(program, b"/bin/sh", [0], [0])
