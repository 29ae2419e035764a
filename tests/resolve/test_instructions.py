"""What is told of an instruction, against what the kernel does with it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from symprobe.probe import EntryCost
from symprobe.resolve.instructions import entry_cost, refused, settled_cost, unsafe
from symprobe.trace import bpfcall
from tests.conftest import unavailable
from tests.resolve import instructions_kernel as kernel
from tests.resolve.instructions_elf import installed

pytestmark = pytest.mark.xdist_group("trace")  # probes: one worker for all of them

FILES = ["libc.so.6", "libcrypto.so.3", "libstdc++.so.6", "libLLVM-14.so.1"]
FILES += ["python3", "gdb", "bash", "node"]


@pytest.fixture(scope="module")
def _kernel() -> None:
    """Tests that put real probes in, on the machine whose instructions they are."""
    kernel.need("as", "objcopy", "gcc")


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory, _kernel: None) -> Path:
    return kernel.build_runner(tmp_path_factory.mktemp("runner"))


def opcodes(bits: int) -> Iterator[bytes]:
    """Every one-byte opcode behind every prefix that matters, every two-byte and vector one."""
    tails = (b"\xc0", b"\xd0")
    prefixes = [b"", b"\x66", b"\x67", b"\x64", b"\x65", b"\xf2", b"\xf3", b"\x66\xf3"]
    if bits == 64:
        prefixes += [b"\x48", b"\x41", b"\x66\x48", b"\xf2\x41"]
    for prefix in prefixes:
        for opcode in range(256):
            for tail in tails if len(prefix) < 2 else tails[:1]:
                yield prefix + bytes([opcode]) + tail
    for prefix in (b"\x26", b"\x2e", b"\x36", b"\x3e", b"\xf0", b"\x66\x2e", b"\x2e\x66"):
        for opcode in (0x01, 0x55, 0x74, 0x89, 0x90, 0xE9, 0xFF, 0x0F):
            yield prefix + bytes([opcode, 0xC0])
    for prefix in (b"", b"\x66", b"\xf3"):
        for opcode in range(256):
            yield prefix + bytes([0x0F, opcode, 0xC0])
    for escape in (b"\xc5\xf8", b"\xc5\xf9", b"\xc5\xfe", b"\xc4\xe2\x79", b"\xc4\xe3\x79"):
        for opcode in range(256):
            yield escape + bytes([opcode, 0xC0])
    for escape in (b"\x62\xf1\x7d\x48", b"\x62\xf1\x7e\x48", b"\x62\xf2\x7d\x48", b"\x8f\xe8\x78"):
        for opcode in range(256):
            yield escape + bytes([opcode, 0xC0])


def compare(codes: list[bytes], said: list[int], machine: str) -> None:
    """What we say of each code, and what the kernel said of a probe on it."""
    wrong = []
    for code, answer in zip(codes, said, strict=True):
        assert answer in (0, *kernel.REFUSALS), (code.hex(" "), answer)
        reason = refused(code.ljust(16, b"\x90"), machine)
        if reason is None and answer == bpfcall.ENOTSUPP:
            wrong.append(f"{code.hex(' ')}: the kernel refuses")
        if reason is not None and answer == 0:
            wrong.append(f"{code.hex(' ')}: the kernel takes it, not: {reason}")
    assert not wrong
    assert said.count(0) > len(codes) / 3
    assert said.count(bpfcall.ENOTSUPP) > len(codes) / 20


@pytest.mark.usefixtures("_kernel")
def test_every_opcode_is_refused_by_the_kernel_or_by_none(tmp_path: Path) -> None:
    codes = list(opcodes(64))
    file = tmp_path / "codes"
    offsets = kernel.lay_out(codes, file)
    with kernel.mapped(file):
        compare(codes, kernel.answers(file, offsets), "x86_64")


@pytest.mark.usefixtures("_kernel")
def test_every_opcode_of_32_bits(tmp_path: Path) -> None:
    """The kernel decodes as the process does that has the file mapped: here one of 32 bits."""
    source = Path(__file__).with_name("instructions_hold.c")
    holder = tmp_path / "hold"
    if subprocess.run(["gcc", "-m32", "-o", holder, source], check=False).returncode:
        unavailable("gcc can't compile for 32 bits")
    codes = list(opcodes(32))
    file = tmp_path / "codes"
    offsets = kernel.lay_out(codes, file)
    with subprocess.Popen([holder, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"m"
        compare(codes, kernel.answers(file, offsets), "i386")
        process.communicate()


@pytest.mark.usefixtures("_kernel")
@pytest.mark.parametrize("name", FILES)
def test_entries_of_real_functions(name: str) -> None:
    """One link of all that are not refused is taken; each that is refused is."""
    elf = installed(name)
    good, bad = [], []
    for vaddr in elf.functions:
        offset = elf.offset(vaddr)
        assert offset is not None
        (good if refused(elf.code(vaddr, 16), "x86_64") is None else bad).append(offset)
    assert good
    with kernel.mapped(elf.path):
        assert kernel.accepts_all(elf.path, good)
        assert set(kernel.answers(elf.path, bad)) <= set(kernel.REFUSALS)


def test_refused_says_prefix_and_bytes() -> None:
    assert refused(bytes.fromhex("f0 ff 0f 75 0b"), "x86_64") == (
        "the kernel takes no probe on an instruction with a lock prefix: f0 ff 0f 75 0b"
    )
    assert "int3" in (refused(b"\xcc", "x86_64") or "")
    assert "vector" in (refused(bytes.fromhex("c5 fa 6f 07"), "x86_64") or "")
    for code in (b"", b"\x48", b"\x66", b"\xc5", b"\x62\xf1", b"\x0f", b"\x8e", b"\xf0" * 16):
        for machine in ("x86_64", "i386", "aarch64", "riscv64"):
            assert refused(code, machine) is None or code[:1] == b"\xf0"
            unsafe(code, machine)
            entry_cost(code, machine)


def test_other_machines() -> None:
    """aarch64 as assembled by its own tools; of others nothing is known, so nothing is claimed."""
    assert refused(bytes.fromhex("3f2303d5"), "aarch64") is None  # paciasp
    assert refused(bytes.fromhex("fd7bbfa9"), "aarch64") is None  # stp x29, x30, [sp, #-16]!
    assert refused(bytes.fromhex("207c5f88"), "aarch64") is not None  # ldxr w0, [x1]
    assert refused(bytes.fromhex("000020d4"), "aarch64") is not None  # brk #0
    for machine in ("aarch64", "s390x", "arm", "riscv64", "i386"):
        assert entry_cost(bytes.fromhex("fd7bbfa9"), machine) is EntryCost.UNKNOWN
    assert refused(b"\xf0\xf0\xf0\xf0", "s390x") is None


EMULATED = {
    **{f"push %{r}": f"push %{r}; add $8, %rsp; ret" for r in ("rax", "rbp", "rsi", "r8", "r15")},
    **{
        f"nop of {len(bytes.fromhex(code))}": f".byte 0x{',0x'.join(re.findall('..', code))}; ret"
        for code in (
            "90", "6690", "666690", "4890", "0f1f00", "0f1f4000", "0f1f440000", "660f1f440000",
            "0f1f8000000000", "0f1f840000000000",
        )
    },
    "pause": "pause; ret",
    "call": "call 1f; ret; 1: ret",
    "jmp, 8 bits": ".byte 0xeb, 0; ret",
    "jmp, 32 bits": ".byte 0xe9, 0, 0, 0, 0; ret",
    "bnd jmp": ".byte 0xf2, 0xe9, 0, 0, 0, 0; ret",
    **{f"jcc {n:x}, 8 bits": f".byte {0x70 + n}, 0; ret" for n in range(16)},
    **{f"jcc {n:x}, 32 bits": f".byte 0x0f, {0x80 + n}, 0, 0, 0, 0; ret" for n in (0, 4, 5, 15)},
}  # fmt: skip

STEPPED = {
    text: f"{text}; {rest}ret"
    for text, rest in (
        ("endbr64", ""), ("sub $8, %rsp", "add $8, %rsp; "), ("mov %rsp, %rcx", ""), ("ret", ""),
        ("xor %eax, %eax", ""), ("test %rdi, %rdi", ""), ("lea 8(%rdi), %rax", ""),
        ("mov 0f(%rip), %rax; 0:", ""), ("pushq $1", "add $8, %rsp; "), ("leaq 0(%rip), %rax", ""),
        ("pop %rcx", "push %rcx; "), ("jrcxz 0f; 0:", ""), ("loop 0f; 0:", ""), ("rep ret", ""),
        (".byte 0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0", ""), (".byte 0x48, 0x55", "pop %rcx; "),
        (".byte 0x49, 0x55", "pop %rcx; "), ("mov %edi, %edi", ""), ("pushf", "add $8, %rsp; "),
    )
}  # fmt: skip


def test_cost_is_what_the_kernel_does(runner: Path, tmp_path: Path) -> None:
    """To single-step, the kernel maps a page named [uprobes]; to emulate, it does not."""
    texts = [*EMULATED.values(), *STEPPED.values()]
    offsets = kernel.assemble(texts, file := tmp_path / "instructions")
    code = file.read_bytes()
    for number, (name, offset) in enumerate(zip([*EMULATED, *STEPPED], offsets, strict=True)):
        with kernel.probed(file, offset):
            result, stepped = kernel.run_once(runner, file, offset)
        assert result is not None, name
        said = entry_cost(code[offset : offset + 16], "x86_64")
        expected = EntryCost.EMULATED if number < len(EMULATED) else EntryCost.SINGLE_STEPPED
        assert said is expected, name
        assert stepped == (said is EntryCost.SINGLE_STEPPED), name


RIGHTLY = [
    "vxorps %xmm0, %xmm1, %xmm2", "vaddps %xmm0, %xmm1, %xmm2", "vmovaps %xmm0, 80(%rdi)",
    "vpaddb %xmm0, %xmm1, %xmm2", "vpsrlw %xmm0, %xmm1, %xmm2", "vshufps $1, %xmm0, %xmm1, %xmm2",
    "vpermq $1, %ymm0, %ymm2", "vbroadcastss 0f(%rip), %xmm2; 0:", "rorx $3, %rdx, %rcx",
    "vfmadd132ps %xmm1, %xmm0, %xmm2", "andn %rax, %rdx, %rcx", "vzeroupper", "stosb",
    "xchg %rax, 80(%rdi)", "xadd %rax, 80(%rdi)", "bswap %eax", "sahf",
    "popcnt %rax, %rcx", "enter $8, $0; leave", "cmpxchg %rcx, 80(%rdi)", "movbe 80(%rdi), %eax",
]  # fmt: skip
WRONGLY = [
    "vmovdqu %xmm0, 80(%rdi)", "vmovdqu %ymm0, 80(%rdi)", "vzeroall", "vpor %xmm0, %xmm1, %xmm2",
    "vpsubsb %xmm0, %xmm1, %xmm2", "vpsubsw %xmm0, %xmm1, %xmm2", "vpcmpeqb %xmm0, %xmm1, %xmm2",
    "vpshufd $0, %xmm0, %xmm2", "vmovd %xmm0, 80(%rdi)", "vcmpps $0, %xmm0, %xmm1, %xmm2",
    "vfnmadd132ss %xmm1, %xmm0, %xmm2", "xchg %r8, %rax", "xchg %r8d, %eax", "pushf; pop %rax",
    "pushf; popf", "syscall; ret",
]  # fmt: skip
FMA_AND_BMI2 = {"avx2", "fma", "bmi1", "bmi2", "movbe"}


@pytest.mark.parametrize("text", [*RIGHTLY, *WRONGLY])
def test_unsafe_is_what_does_harm(text: str, runner: Path, tmp_path: Path) -> None:
    """The same code without and with a probe: what it computes, and whether it survives."""
    if not set(Path("/proc/cpuinfo").read_text().split()) >= FMA_AND_BMI2:
        unavailable("the processor lacks the instructions")
    file = tmp_path / "instruction"
    [offset] = kernel.assemble([f"{text}; .fill 24, 1, 0x90; ret"], file)
    code = file.read_bytes()[offset : offset + 16]
    reason = unsafe(code, "x86_64")
    without, _ = kernel.run_once(runner, file, offset)
    assert without is not None
    with kernel.probed(file, offset):
        probed, _ = kernel.run_once(runner, file, offset)
    if text in RIGHTLY:
        assert probed == without
        assert reason is None
    else:
        assert reason is not None
        if probed == without:
            pytest.skip("this kernel runs it rightly")


def test_repetitions_are_counted_one_by_one(runner: Path, tmp_path: Path) -> None:
    """`rep stosb` with %ecx = 5: one call, five hits. With no repetition there is one."""
    file = tmp_path / "instruction"
    sources = ["rep stosb; ret", "repe cmpsb; ret", "stosb; ret"]
    offsets = kernel.assemble(sources, file)
    code = file.read_bytes()
    with kernel.Counter([(file, offset) for offset in offsets]) as counter:
        for offset in offsets:
            kernel.run_once(runner, file, offset)
        hits = counter.counts()
    assert hits[0] == 5
    assert hits[2] == 1
    assert [unsafe(code[o : o + 16], "x86_64") is None for o in offsets] == [False, False, True]


def test_what_two_bytes_settle_is_what_the_whole_instruction_says() -> None:
    tails = (bytes(14), b"\xff" * 14, bytes(range(0x40, 0x4E)), b"\x90" * 14, b"\x66\x0f\x1f" * 5)
    settled = 0
    for start in (bytes((first, second)) for first in range(256) for second in range(256)):
        cost = settled_cost(start)
        if cost is None:
            continue
        settled += 1
        for code in (start + tail for tail in tails):
            assert refused(code, "x86_64") is None, code.hex()
            assert unsafe(code, "x86_64") is None, code.hex()
            assert entry_cost(code, "x86_64") is cost, code.hex()
    assert settled > 30_000
    assert settled_cost(b"\x55") is None
