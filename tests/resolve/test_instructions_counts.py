"""Cheap attach points count what the entry counts: proved by programs that count their own calls,
and on the functions of real libraries under real work."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from symprobe.model import VAddr
from symprobe.resolve import x86
from symprobe.resolve.branches import unshared
from symprobe.resolve.instructions import cheap_point
from tests.conftest import absent
from tests.resolve import instructions_kernel as kernel
from tests.resolve.instructions_elf import Elf

pytestmark = pytest.mark.xdist_group("trace")  # probes: one worker for all of them

HERE = Path(__file__).parent
SHIFTED = {
    "push_behind_endbr": 4, "branch_either_way": 2, "loop_to_entry": 2, "tail_call_of_itself": 4,
    "recursive": 4, "call_behind_sub": 4, "tail_call": 5, "long_nop_behind_endbr": 4,
    "own_memory": 20,
}  # fmt: skip
"""Functions of instructions_calls.S with a cheap point, and how far behind the entry it is."""
TRAPS = [
    "loop_behind_endbr", "near_loop_behind_endbr", "loop_in_between", "loop_instruction",
    "jrcxz_back", "call_into_itself", "jump_table", "jump_by_register", "jump_by_return",
    "jump_by_written_return",
]  # fmt: skip
"""Functions that would be miscounted there, as they tell themselves."""
ENTERED = ["entered_close", "entered_by_call", "has_cold_part", "labelled", "entered_from_afar"]
"""Functions that would be miscounted there because of code elsewhere."""
UNKNOWN = ["foreign_memory", "division", "computed_call", "push_at_once", "nothing_emulated"]


@pytest.fixture(scope="module", autouse=True)
def _kernel() -> None:
    kernel.need("gcc")


def candidates(elf: Elf) -> dict[VAddr, int]:
    """What each function by itself allows."""
    found = {}
    for vaddr, (size, _) in elf.functions.items():
        distance = cheap_point(elf.code(vaddr, size), "x86_64")
        if distance is not None:
            found[VAddr(vaddr)] = distance
    return found


def points(elf: Elf) -> dict[VAddr, int]:
    """What the whole file allows."""
    return unshared(elf.segments, candidates(elf), elf.labels)


def compile_calls(directory: Path) -> Elf:
    program = directory / "calls"
    sources = [HERE / "instructions_calls.c", HERE / "instructions_calls.S"]
    subprocess.run(["gcc", "-O1", "-o", program, *sources], check=True)
    return Elf(program)


def run_and_count(
    elf: Elf, distances: Mapping[VAddr, int], *argv: str
) -> tuple[dict[str, tuple[int, int]], str]:
    """Run a command with probes on functions of elf, on their entries and some way behind:
    name -> both counts; and what the command wrote."""
    places = []
    for vaddr, distance in distances.items():
        offset = elf.offset(vaddr)
        assert offset is not None
        places += [(elf.path, offset), (elf.path, offset + distance)]
    with (
        kernel.held(*(argv or (str(elf.path),))) as process,
        kernel.Counter(places, pid=process.pid) as counter,
    ):
        output = kernel.release(process)
        counts = counter.counts()
    names = [elf.functions[vaddr][1] for vaddr in distances]
    return dict(zip(names, zip(counts[::2], counts[1::2], strict=True), strict=True)), output


def said(output: str) -> dict[str, int]:
    return {name: int(number) for name, number in re.findall(r"^(\w+) (\d+)$", output, re.M)}


def test_points_of_all_kinds_of_functions(tmp_path: Path) -> None:
    elf = compile_calls(tmp_path)
    names = {name: VAddr(vaddr) for vaddr, (_, name) in elf.functions.items()}
    found, all_of_them = points(elf), candidates(elf)
    assert {name: found.get(names[name]) for name in SHIFTED} == SHIFTED
    assert not [name for name in TRAPS if names[name] in all_of_them]
    assert not [name for name in UNKNOWN if names[name] in all_of_them]
    assert {name: all_of_them.get(names[name]) for name in ENTERED} == dict.fromkeys(ENTERED, 4)
    assert not [name for name in ENTERED if names[name] in found]
    assert names["labelled"] in unshared(elf.segments, all_of_them), "only its label tells"
    for vaddr, distance in all_of_them.items():  # one by one the other way to search is taken
        one = unshared(elf.segments, {vaddr: distance}, elf.labels)
        assert (vaddr in one) == (vaddr in found), elf.functions[vaddr]


def test_counts_are_those_of_the_program(tmp_path: Path) -> None:
    """Where there is a cheap point it counts the calls; where there is none it would not have."""
    elf = compile_calls(tmp_path)
    names = {name: VAddr(vaddr) for vaddr, (_, name) in elf.functions.items()}
    distances = {names[name]: distance for name, distance in SHIFTED.items()}
    for name in (*TRAPS, *ENTERED):
        size, _ = elf.functions[names[name]]
        distances[names[name]] = x86.straight_line(elf.code(names[name], size))[-1]
    counts, output = run_and_count(elf, distances)
    truth = said(output)
    for name in SHIFTED:
        assert counts[name] == (truth[name], truth[name]), name
    for name in (*TRAPS, *ENTERED):
        entry, behind = counts[name]
        assert entry == truth[name], name
        assert behind > entry, name


OPTIONS = [
    "-O0", "-O2", "-O0 -fcf-protection", "-O2 -fcf-protection", "-Os -fcf-protection",
    "-O3 -fcf-protection -fstack-protector-all", "-O2 -pg", "-O2 -pg -mfentry -fcf-protection",
    "-O2 -fpatchable-function-entry=5,2", "-O2 -fpatchable-function-entry=3 -fcf-protection",
    "-O2 -fcf-protection -fstack-clash-protection", "-O1 -fno-pic -no-pie -fcf-protection",
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS)
def test_compiled_functions(options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elf = compile_work(options, tmp_path)
    monkeypatch.chdir(tmp_path)  # -pg writes a file
    found = points(elf)
    distances = {
        VAddr(vaddr): found.get(VAddr(vaddr), 0)
        for vaddr, (_, name) in elf.functions.items()
        if name.startswith("work_")
    }
    shifted = {vaddr: distance for vaddr, distance in distances.items() if distance}
    counts, output = run_and_count(elf, shifted)
    for name, both in counts.items():
        assert both[0] == both[1], name
        if name in said(output) and name != "work_recursive":  # whose calls become loops
            assert both[0] == said(output)[name], name
    if "cf-protection" in options and "-pg" not in options:
        assert len(counts) > 3


@pytest.mark.parametrize("how", ["thunk", "thunk-inline"])
def test_disguised_indirect_jumps(how: str, tmp_path: Path) -> None:
    """With retpolines an indirect jump is a direct one, or a return: no function is trusted."""
    elf = compile_work(f"-O2 -fcf-protection=none -mindirect-branch={how}", tmp_path)
    assert candidates(elf)
    assert not points(elf)


def compile_work(options: str, directory: Path) -> Elf:
    program = directory / "work"
    source = HERE / "instructions_work.c"
    subprocess.run(["gcc", *options.split(), "-o", program, source], check=True)
    return Elf(program)


COPIES = r"""
#define _GNU_SOURCE
#include <string.h>
int main(int argc, char **argv)
{
	static char a[4096], b[4096];
	for (int i = 0; i < 997; i++) {
		mempcpy(b, a, i % 200 + argc);
		memcpy(a, b, i % 300);
		memmove(a + 1, a, i % 100);
	}
	return 0;
}
"""


def test_memory_functions_that_jump_into_each_other(tmp_path: Path) -> None:
    """glibc's mempcpy jumps to the second instruction of memmove: an entry that no call makes."""
    source, program = tmp_path / "copies.c", tmp_path / "copies"
    source.write_text(COPIES)
    subprocess.run(["gcc", "-O1", "-fno-builtin", "-static", "-o", program, source], check=True)
    elf = Elf(program)
    alone, found = candidates(elf), points(elf)
    shared = {vaddr: distance for vaddr, distance in alone.items() if vaddr not in found}
    trapped = [vaddr for vaddr in shared if re.match("__mem(move|cpy)_", elf.functions[vaddr][1])]
    assert trapped
    plain = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512VL,-AVX512F"
    counts, _ = run_and_count(elf, shared, "env", plain, str(program))
    called = {name: both for name, both in counts.items() if name.startswith("__mem") and any(both)}
    assert called
    assert all(behind >= entry + 997 for entry, behind in called.values()), called
    counts, _ = run_and_count(elf, found, "env", plain, str(program))
    assert sum(entry > 0 for entry, _ in counts.values()) > 5
    assert {name: both for name, both in counts.items() if both[0] != both[1]} == {}


PYTHON = """
import hashlib, json, re, zlib, collections, decimal, struct
for i in range(60):
    hashlib.new("sha256", b"x" * i).hexdigest()
    hashlib.pbkdf2_hmac("sha1", b"password", b"salt%d" % i, 3)
    json.loads(json.dumps({str(k): [k, k / 3, None, "x" * k] for k in range(20)}))
    re.findall(r"(a|b)+c?", "abcab" * i)
    zlib.decompress(zlib.compress(bytes(range(i))))
    sorted(collections.Counter("hello world" * i))
    decimal.Decimal(i).sqrt()
"""
LISTING = ["gdb", "--batch", "-ex", "info functions ^read", "/bin/bash"]
SCRIPT = "for i in {1..300}; do x=${i/1/2}$((i*3)); [[ $x == 2* ]]; done; :"
WORK = {
    "libc.so.6 under python": ("libc.so.6", ["python3", "-S", "-c", PYTHON]),
    "libcrypto.so.3 under python": ("libcrypto.so.3", ["python3", "-c", PYTHON]),
    "python3": ("python3", ["python3", "-S", "-c", PYTHON]),
    "libstdc++.so.6 under gdb": ("libstdc++.so.6", LISTING),
    "gdb": ("gdb", LISTING),
    "libc.so.6 under ls": ("libc.so.6", ["ls", "-lR", "/etc"]),
    "bash": ("bash", ["bash", "-c", SCRIPT]),
    "node": ("node", ["node", "-e", "JSON.parse(JSON.stringify([...Array(99)].map(Math.sin)))"]),
}  # fmt: skip


MOST_POINTS = 1500
"""Of the functions of a large program every so many-th is counted: single steps take time."""


@pytest.mark.parametrize("name", WORK)
def test_real_libraries_under_real_work(name: str) -> None:
    """Every function with a cheap point: both counts are the same, function by function."""
    file, argv = WORK[name]
    program = shutil.which(argv[0], path="/usr/bin:/bin")
    path = shutil.which(file, path="/usr/bin:/bin") or f"/usr/lib/x86_64-linux-gnu/{file}"
    if program is None or not Path(path).exists():
        absent(file)
    elf = Elf(Path(path).resolve())
    found = points(elf)
    every = len(found) // MOST_POINTS + 1
    some = dict(list(found.items())[::every])
    counts, _ = run_and_count(elf, some, program, *argv[1:])
    assert {f: both for f, both in counts.items() if both[0] != both[1]} == {}
    hit = sum(entry > 0 for entry, _ in counts.values())
    assert hit > 0
    print(f"{name}: {len(found)} points, {hit} hit, {sum(e for e, _ in counts.values())} calls")
