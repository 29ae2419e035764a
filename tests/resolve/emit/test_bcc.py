"""BCC's attach_uprobe() takes what is emitted, and counts what the programs count."""

from __future__ import annotations

import json
import sys

from symprobe.resolve.emit import Tool
from tests.resolve.emit.helpers import emitted
from tests.support.counting import Case, Programs, isolated

BCC = """
import json, subprocess, sys
from symprobe.trace.bccload import compile_program
lines = json.loads(sys.argv[2])
functions = (f"int count{i}(void *c) {{ n.increment({i}); return 0; }}" for i in range(len(lines)))
b = compile_program(f"BPF_ARRAY(n, u64, {len(lines)});" + "".join(functions))
for i, line in enumerate(lines):
    exec(line.replace("b'count'", f"b'count{i}'"))
subprocess.run(["sh", sys.argv[1]], stdout=subprocess.DEVNULL, check=True)
print([b["n"][i].value for i in range(len(lines))])
"""


def test_bcc(programs: Programs, cases: list[Case]) -> None:
    emissions = emitted(cases, Tool.BCC)
    lines = json.dumps([emission.lines[0] for _, emission in emissions])
    done = isolated('"$@"', sys.executable, "-c", BCC, programs.run_all, lines)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == [case.calls for case, _ in emissions]
