"""The kernel's uprobe events, as tracefs and perf make them, stand at the right offsets and count
exactly the calls that the programs count.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from symprobe.model import FileOffset, FilePath, VAddr
from symprobe.probe import ProbeTarget
from symprobe.resolve.emit import Emission, Tool, emit_all
from tests.resolve.emit.helpers import before, emitted, needs
from tests.support.counting import Case, Programs, isolated

COUNT_BY_TRACEFS = f"""
mkdir $tracing/instances/symprobe-{os.getpid()}
for event in $tracing/instances/symprobe-{os.getpid()}/events/symprobe/*{os.getpid()}*; do
    echo 1 >$event/enable
done
sh $1 >/dev/null
grep {os.getpid()} $tracing/uprobe_profile | awk '{{ print $2, $3 }}' >&3
for event in $tracing/instances/symprobe-{os.getpid()}/events/symprobe/*{os.getpid()}*; do
    echo 0 >$event/enable
done
rmdir $tracing/instances/symprobe-{os.getpid()}
"""
COUNT_BY_PERF = f"""
perf stat --all-cpus --field-separator , --output $2.csv --event 'symprobe:*{os.getpid()}*' \\
    sh $1 >/dev/null
sed -n 's/^\\([0-9]*\\),,symprobe:\\([^,]*\\),.*/\\2 \\1/p' $2.csv >&3
"""
REMOVE = f"""
for event in $tracing/events/symprobe/*{os.getpid()}*; do
    echo "-:symprobe/${{event##*/}}" >>$tracing/uprobe_events
done
grep {os.getpid()} $tracing/uprobe_events
"""
"""Only events whose names hold this process's number are touched: the kernel has them in common."""


def count_events(
    emissions: list[tuple[Case, Emission]],
    write: str,
    count: str,
    programs: Programs,
    tmp_path: Path,
) -> None:
    """The events written stand at the cases' offsets, and count their calls."""
    listed, counted = tmp_path / "listed", tmp_path / "counted"
    script = f"""
        tracing=/sys/kernel/tracing
        {before(emissions)}\n{write}
        grep {os.getpid()} $tracing/uprobe_events >$2
        exec 3>$3
        {count}\n{REMOVE}"""
    done = isolated(script, programs.run_all, listed, counted)
    assert done.stdout == b""  # no event was left behind
    written = re.findall(r"^p:symprobe/(\w+) .*:(0x\w+)$", listed.read_text(), re.MULTILINE)
    offsets = [int(offset, 16) for _, offset in written]
    assert offsets == [case.target.offset for case, _ in emissions], done.stderr.decode()
    hits = dict(line.split() for line in counted.read_text().splitlines())
    assert hits == {
        name: str(case.calls) for (name, _), (case, _) in zip(written, emissions, strict=True)
    }, done.stderr.decode()


def test_tracefs(programs: Programs, cases: list[Case], tmp_path: Path) -> None:
    emissions = emitted(cases, Tool.TRACEFS)
    lines = "\n".join(line for _, emission in emissions for line in emission.lines)
    write = f"cat >>$tracing/uprobe_events <<'END'\n{lines}\nEND"
    count_events(emissions, write, COUNT_BY_TRACEFS, programs, tmp_path)


def test_perf(programs: Programs, cases: list[Case], tmp_path: Path) -> None:
    needs("perf")
    emissions = emitted(cases, Tool.PERF)
    by_tracefs = {case.program for case, emission in emissions if "tracefs" in emission.note}
    assert by_tracefs == {"odd", "fair", "contained", "deleted"}
    write = "\n".join(line for _, emission in emissions for line in emission.lines)
    count_events(emissions, f"{{ {write}\n}} >&2", COUNT_BY_PERF, programs, tmp_path)


def test_names_become_events_that_the_kernel_takes(tmp_path: Path) -> None:
    needs()
    path = tmp_path / "file"
    path.write_bytes(b"\x90" * 4096)
    status = path.stat()
    names = ["f", "ns::f(int)", "9", "größe", "a b", "x" * 300, "@", "0x10", "f@@V", "main.(*T).F"]
    session = f"s{os.getpid()}_"
    targets = [
        ProbeTarget(
            FilePath.plain(str(path)), (status.st_dev, status.st_ino), None, FileOffset(i + 1),
            VAddr(i), (session + name,), (), "func", 1,
        )
        for i, name in enumerate(names)
    ]  # fmt: skip
    lines = "\n".join(line for e in emit_all(targets, Tool.TRACEFS) for line in e.lines)
    script = f"""
        tracing=/sys/kernel/tracing
        printf '%s\\n' "$1" >>$tracing/uprobe_events
        grep -c {session} $tracing/uprobe_events
        for event in $tracing/events/symprobe/{session}*; do
            echo "-:symprobe/${{event##*/}}" >>$tracing/uprobe_events
        done"""
    assert int(isolated(script, lines).stdout) == len(names)
