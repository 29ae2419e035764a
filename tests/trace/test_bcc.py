"""Finding BCC and compiling with it: from any environment, without kernel headers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from symprobe.errors import TraceError
from symprobe.trace import bccload
from symprobe.trace.counts import By, CallCounter
from symprobe.trace.members import Command, Everyone, Processes
from symprobe.trace.mode import Setting
from symprobe.trace.source import source
from tests.conftest import unavailable

HEADERS = bccload.HEADERS / "include"


def in_new_process(code: str, *options: str, **environment: str) -> str:
    """What Python code prints in a fresh interpreter."""
    setup = f"import sys; sys.path.insert(0, {str(Path.cwd())!r})\n"
    done = subprocess.run(
        [sys.executable, *options, "-c", setup + code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    assert done.stderr == ""
    return done.stdout.strip()


LOAD = """
from symprobe.trace import bccload
try:
    print(bccload.load().__file__)
except Exception as error:
    print(type(error).__name__, error)
"""


def test_the_distributions_bcc_is_found_and_nothing_else_of_its_directory() -> None:
    code = LOAD + "print(sorted(p for p in sys.path if 'dist-packages' in p))"
    path, directories = in_new_process(code, "-I").splitlines()
    assert path.endswith("/bcc/__init__.py")
    assert directories == "[]"


@pytest.mark.parametrize("imported", [True, False])
def test_the_project_of_that_name_on_pypi_is_not_taken_for_it(
    imported: bool, tmp_path: Path
) -> None:
    (tmp_path / "bcc").mkdir()
    (tmp_path / "bcc" / "__init__.py").write_text("wrong = True\n")
    before = "import bcc; assert bcc.wrong\n" if imported else ""
    path = in_new_process(before + LOAD, PYTHONPATH=str(tmp_path))
    assert path.endswith("/bcc/__init__.py")
    assert not path.startswith(str(tmp_path))


def test_no_bcc_names_the_package_to_install() -> None:
    said = in_new_process(
        "from symprobe.trace import bccload\nbccload.DISTRIBUTION_DIRECTORIES = ()\n" + LOAD, "-I"
    )
    assert said == f"TraceError BCC is not installed: {bccload.install_command()}"


def test_a_bcc_that_does_not_load(tmp_path: Path) -> None:
    (tmp_path / "bcc").mkdir()
    (tmp_path / "bcc" / "libbcc.py").touch()
    (tmp_path / "bcc" / "__init__.py").write_text("raise OSError('libbcc.so.0: not there')\n")
    code = LOAD + "print('bcc' in sys.modules)"
    said = in_new_process(code, PYTHONPATH=str(tmp_path)).splitlines()
    assert "BCC can't be loaded: libbcc.so.0: not there" in said[0]
    assert bccload.install_command() in said[0]
    assert said[1] == "False"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID=debian\n", "apt install python3-bpfcc"),
        ('ID=ubuntu\nID_LIKE="debian"\n', "apt install python3-bpfcc"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "dnf install python3-bcc"),
        ("NAME=x\nID=arch\n", "pacman -S python-bcc"),
        ("ID=unheard-of\n", "install the distribution's BCC"),
        ("", "install the distribution's BCC"),
    ],
)
def test_the_command_that_installs_it(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "os-release"
    path.write_text(text)
    assert bccload.install_command(str(path)).startswith(expected)
    assert bccload.install_command(str(tmp_path / "none")).startswith("install the")


@pytest.mark.parametrize("slots", [None, range(3)])
@pytest.mark.parametrize(
    ("who", "by"),
    [
        (Everyone(), None),
        (Everyone(False), By.COMM),
        (Processes((1,)), By.PID),
        (Processes((1,), False), By.TID),
        (Command(1), None),
    ],
)
def test_every_program_compiles_and_is_accepted(
    who: Everyone | Processes | Command, by: By | None, slots: range | None
) -> None:
    text = source(who, CallCounter(3, by), Setting(3), slots=slots)
    program = bccload.compile_program(text)
    names = ["on_entry"] if slots is None else [f"on_entry_{slot}" for slot in slots]
    for name in names:
        assert bccload.load_function(program, name, program.KPROBE).fd > 0
    program.cleanup()


def test_the_compilers_error_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TraceError, match="error: use of undeclared identifier 'nonsense'"):
        bccload.compile_program("int f(void *ctx) { return nonsense; }")
    endless = "int f(struct pt_regs *ctx) { u64 *p = (u64 *)ctx->di; return *p; }"
    program = bccload.compile_program("#include <linux/ptrace.h>\n" + endless)
    with pytest.raises(TraceError, match="nothing"):
        bccload.load_function(program, "nothing", program.KPROBE)
    program.cleanup()
    assert capfd.readouterr() == ("", "")
    assert "BCC_KERNEL_SOURCE" not in os.environ


REGISTERS = {
    "gcc": ["r15", "r12", "bp", "bx", "r11", "ax", "cx", "dx", "si", "di", "orig_ax", "ip", "sp"],
    "aarch64-linux-gnu-gcc": ["regs", "regs[30]", "sp", "pc", "pstate"],
}
KERNELS = {"ax": "rax", "bx": "rbx", "cx": "rcx", "dx": "rdx", "si": "rsi", "di": "rdi",
           "bp": "rbp", "ip": "rip", "sp": "rsp", "orig_ax": "orig_rax"}  # fmt: skip


@pytest.mark.parametrize("compiler", list(REGISTERS))
def test_the_registers_are_where_the_kernels_own_header_has_them(
    compiler: str, tmp_path: Path
) -> None:
    if shutil.which(compiler) is None:
        unavailable(f"{compiler} is missing")
    if compiler == "gcc" and os.uname().machine != "x86_64":
        pytest.skip("the compiler is not for x86-64")
    theirs = "struct pt_regs" if compiler == "gcc" else "struct user_pt_regs"
    lines = [
        "#include <stddef.h>",
        "#include <asm/ptrace.h>",
        "#define pt_regs our_regs",
        f'#include "{HEADERS}/linux/ptrace.h"',
        "#undef pt_regs",
    ]
    for name in REGISTERS[compiler]:
        known = KERNELS.get(name, name) if compiler == "gcc" else name
        lines.append(
            f"_Static_assert(offsetof(struct our_regs, {name}) == offsetof({theirs}, {known}), "
            f'"{name}");'
        )
    lines.append(f'_Static_assert(sizeof(struct our_regs) == sizeof({theirs}), "size");')
    source = tmp_path / "registers.c"
    source.write_text("\n".join(lines))
    subprocess.run([compiler, "-fsyntax-only", source], check=True)


def test_our_integer_types_have_their_sizes(tmp_path: Path) -> None:
    source = tmp_path / "types.c"
    lines = [f'#include "{HEADERS}/linux/types.h"', f'#include "{HEADERS}/linux/log2.h"']
    for bits in (8, 16, 32, 64):
        for sign in "su":
            lines.append(f'_Static_assert(sizeof({sign}{bits}) == {bits // 8}, "size");')
        lines.append(f'_Static_assert((u{bits})-1 > 0 && (s{bits})-1 < 0, "sign");')
    for n, rounded in ((2, 2), (3, 4), (4, 4), (1000, 1024), (16384, 16384), (16385, 32768)):
        lines.append(f'_Static_assert(roundup_pow_of_two({n}) == {rounded}, "{n}");')
    source.write_text("\n".join(lines))
    subprocess.run(["gcc", "-fsyntax-only", source], check=True)
