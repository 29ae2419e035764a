"""Where probes go, against readelf and nm, and against what the loader binds."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.binary import Binary
from symprobe.model import FilePath
from symprobe.probe import ProbeTarget, Reason
from symprobe.resolve import Options, resolve
from symprobe.resolve.provider import provider_of
from tests.conftest import absent
from tests.elfwriter import with_data
from tests.support.written import CODE, DYNSYM, PLAIN

Fixture = Callable[[str], Path]


def one(path: str | Path, symbol: str, **options: object) -> ProbeTarget:
    return one_of(FilePath.plain(str(path)), symbol, **options)


def one_of(file: FilePath, symbol: str, **options: object) -> ProbeTarget:
    answer = resolve(Binary(file), symbol, options=Options(**options))  # type: ignore[arg-type]
    assert len(answer.targets) == 1, answer
    assert not answer.unmatched
    return answer.targets[0]


def reasons(path: str | Path, symbol: str) -> set[Reason]:
    answer = resolve(Binary(str(path)), symbol)
    assert not answer.targets
    assert answer.unmatched == (symbol,)
    return {r.reason for r in answer.rejected}


def independent_offsets(path: str) -> dict[str, set[int]]:
    """File offsets of all functions by name, from the text of readelf alone."""
    headers = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=True)
    loads = [
        [int(number, 16) for number in line.split()[1:6]]
        for line in headers.stdout.splitlines()
        if line.split()[:1] == ["LOAD"]
    ]
    table = subprocess.run(
        ["readelf", "-W", "--syms", "--dyn-syms", path], capture_output=True, text=True, check=True
    )
    found: dict[str, set[int]] = {}
    for line in table.stdout.splitlines():
        fields = line.split()
        if len(fields) < 8 or fields[3] != "FUNC" or fields[6] == "UND":
            continue
        value = int(fields[1], 16)
        for offset, vaddr, _, filesz, _ in loads:
            if vaddr <= value < vaddr + filesz:
                found.setdefault(re.sub(r" \(\d+\)$", "", fields[7]), set()).add(
                    value - vaddr + offset
                )
    return found


REAL = ["libc.so.6", "libstdc++.so.6", "libcrypto.so.3", "libLLVM-14.so.1", "bash", "node", "gdb"]


@pytest.mark.parametrize("name", REAL)
def test_every_function_is_where_readelf_says(name: str) -> None:
    path = shutil.which(name) or f"/lib/x86_64-linux-gnu/{name}"
    if not Path(path).exists():
        path = f"/usr{path}"
    if not Path(path).exists():
        absent(name)
    expected = independent_offsets(path)
    answer = resolve(Binary(path, debug_roots=()), "*")
    offsets: dict[str, set[int]] = {}
    for target in answer.targets:
        for alias in target.names:
            offsets.setdefault(alias, set()).add(target.offset)
    refused = {r.name for r in answer.rejected}
    wrong = {
        n: (o, offsets.get(n))
        for n, o in expected.items()
        if n not in refused and offsets.get(n) != o
    }
    assert not wrong
    assert len(expected) > 30


def test_targets_are_unique_by_inode_and_offset(fixture: Fixture) -> None:
    answer = resolve(Binary(str(fixture("cxx"))), "*", "main", "/main/")
    places = [(t.inode, t.offset) for t in answer.targets]
    assert len(places) == len(set(places))


def test_a_function_of_no_section(tmp_path: Path) -> None:
    """An absolute symbol at an address of code: all at once gives the offset that one gives."""
    rows = bytearray(PLAIN.sections[DYNSYM - 1].data)
    struct.pack_into("<H", rows, 24 + 6, 0xFFF1)
    path = tmp_path / "absolute"
    path.write_bytes(with_data(PLAIN, DYNSYM, bytes(rows)).to_bytes())
    binary = Binary(str(path))
    (one,) = resolve(binary, "one").targets
    assert path.read_bytes()[one.offset :].startswith(CODE)
    assert one.offset in {target.offset for target in resolve(binary, "*").targets}


def test_aliases_are_one_target_with_all_names() -> None:
    target = one("/lib/x86_64-linux-gnu/libc.so.6", "getpid")
    assert {"getpid@@GLIBC_2.2.5", "__getpid@@GLIBC_2.2.5"} <= set(target.names)
    assert target.names[0] == "getpid@@GLIBC_2.2.5"


def test_versions(fixture: Fixture) -> None:
    libc = "/lib/x86_64-linux-gnu/libc.so.6"
    default = one(libc, "quick_exit")
    assert default.names[0] == "quick_exit@@GLIBC_2.24"
    assert any("quick_exit@GLIBC_2.10" in note for note in default.notes)
    assert one(libc, "quick_exit@GLIBC_2.10").offset != default.offset
    every = resolve(Binary(libc), "quick_exit@*")
    assert {t.version for t in every.targets} == {"GLIBC_2.24", "GLIBC_2.10"}
    assert reasons(libc, "quick_exit@GLIBC_9") == {Reason.VERSION_NOT_FOUND}


def test_what_is_no_code_is_rejected_with_its_reason() -> None:
    libc = "/lib/x86_64-linux-gnu/libc.so.6"
    assert reasons(libc, "stdout") == {Reason.NOT_CODE}
    assert reasons(libc, "no_such_function") == {Reason.NOT_FOUND}
    assert reasons(libc, "exit+0x4000") == {Reason.OUTSIDE_FUNCTION}
    assert reasons(libc, "pthread_spin_lock") == {Reason.REFUSED_INSTRUCTION}
    assert reasons(libc, "0x1") <= {Reason.NOT_EXECUTABLE, Reason.NO_FILE_OFFSET}


def test_a_rejected_name_is_told_once_with_its_version() -> None:
    libc = Binary("/lib/x86_64-linux-gnu/libc.so.6")
    names = [r.name for r in resolve(libc, "environ").rejected]
    assert names == ["environ@@GLIBC_2.2.5"]


def test_near_names_are_proposed() -> None:
    for typed, meant in (("mallok", "malloc"), ("MALLOC", "malloc"), ("pthread_creat", "create")):
        answer = resolve(Binary("/lib/x86_64-linux-gnu/libc.so.6"), typed)
        assert meant in answer.rejected[0].detail


def test_a_missing_namespace_is_proposed(fixture: Fixture) -> None:
    answer = resolve(Binary(str(fixture("cxx"))), "Square::area")
    assert "outer::v2::Square::area" in answer.rejected[0].detail


def test_imported_names_are_followed_to_the_library_that_the_loader_binds() -> None:
    file = FilePath.plain("/bin/ls")
    target = one("/bin/ls", "malloc", provider=provider_of(file))
    own = one("/lib/x86_64-linux-gnu/libc.so.6", "malloc")
    assert target.inode == own.inode
    assert target.offset == own.offset
    assert any("imported by /bin/ls" in note for note in target.notes)
    assert reasons("/bin/ls", "malloc") == {Reason.UNDEFINED}


def test_the_plt_slot_when_asked() -> None:
    target = one("/bin/ls", "malloc@plt")
    listing = subprocess.run(
        ["objdump", "-d", "/bin/ls"], capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"^([0-9a-f]+) <malloc@plt>:", listing, re.MULTILINE)
    assert found is not None
    assert target.vaddr == int(found[1], 16)


def test_an_address_is_named_after_its_function(fixture: Fixture) -> None:
    binary = fixture("hello-nopie")
    main = one(binary, "main")
    inside = one(binary, f"{main.vaddr:#x}")
    assert inside.offset == main.offset
    assert inside.names[0] == "main"


def test_overloads_and_single_ones(fixture: Fixture) -> None:
    binary = Binary(str(fixture("cxx-O0")))
    every = resolve(binary, "outer::overloaded")
    assert len(every.targets) == 3
    single = resolve(binary, "outer::overloaded(char const*)")
    assert [t.demangled[0] for t in single.targets] == ["outer::overloaded(char const*)"]


def test_constructors_say_which_they_are(fixture: Fixture) -> None:
    answer = resolve(Binary(str(fixture("cxx-O0"))), "outer::v2::Square::~Square")
    text = " ".join(note for target in answer.targets for note in target.notes)
    assert "deleting destructor" in text
    assert "base object destructor" in text


def test_demangled_names_lead_to_the_offsets_of_their_raw_names() -> None:
    path = "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"
    binary = Binary(path)
    functions = [s for s in binary.symbols("_ZN", kinds=("func",)) if s.defined]
    for symbol in sorted(functions, key=lambda s: s.name)[:: max(1, len(functions) // 40)]:
        raw = resolve(binary, f"{symbol.name}@*")
        spelled = resolve(binary, f"{symbol.demangled}@*")
        assert {t.offset for t in raw.targets} <= {t.offset for t in spelled.targets}


IFUNC_PROGRAM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <link.h>
static int base(struct dl_phdr_info *info, size_t size, void *data) {
  if (strstr(info->dlpi_name, "libc.so.6")) *(unsigned long *)data = info->dlpi_addr;
  return 0;
}
int main(int argc, char **argv) {
  unsigned long bias = 0;
  dl_iterate_phdr(base, &bias);
  for (int i = 1; i < argc; i++) {
    unsigned char *code = dlsym(RTLD_DEFAULT, argv[i]);
    printf("%s %lx %02x %02x %02x %02x\\n", argv[i], (unsigned long)code - bias, code[0], code[1],
           code[2], code[3]);
  }
}
"""


def test_ifuncs_lead_to_what_the_loader_binds(tmp_path: Path) -> None:
    """A program of its own asks its loader where each name lands."""
    source = tmp_path / "where.c"
    source.write_text(IFUNC_PROGRAM)
    subprocess.run(["gcc", "-o", tmp_path / "where", source], check=True)
    names = ["strlen", "memcpy", "strchr", "strcasecmp", "wcslen"]
    told = subprocess.run([tmp_path / "where", *names], capture_output=True, text=True, check=True)
    for name, address, code in (line.split(" ", 2) for line in told.stdout.splitlines()):
        answer = resolve(Binary("/lib/x86_64-linux-gnu/libc.so.6"), name)
        if not answer.targets:  # some CPUs get a strchr that begins as the kernel takes no probe
            assert {r.reason for r in answer.rejected} == {Reason.REFUSED_INSTRUCTION}
            assert all(code in r.detail for r in answer.rejected)
            continue
        (target,) = answer.targets
        assert target.kind == "ifunc"
        assert target.vaddr == int(address, 16), name
        assert any("IFUNC implementation" in note for note in target.notes)


def test_an_ifunc_of_a_file_that_is_not_loaded_is_its_resolver(fixture: Fixture) -> None:
    library = fixture("libsymbols.so")
    names = [s.name for s in Binary(str(library)).symbols(kinds=("ifunc",))]
    target = one(library, names[0])
    assert any("resolver" in note for note in target.notes)


def test_the_resolver_of_an_ifunc_is_not_an_alias_of_it(tmp_path: Path) -> None:
    lines = [".text"]
    for name, kind in (("choose", "function"), ("work", "gnu_indirect_function")):
        lines += [f".globl {name}", f".type {name}, @{kind}", f"{name}:"]
    lines += ["ret", '.section .note.GNU-stack,""', ""]
    (tmp_path / "r.s").write_text("\n".join(lines))
    command = ["gcc", "-shared", "-nostdlib", "-o", "libr.so", "r.s"]
    subprocess.run(command, cwd=tmp_path, check=True)
    target = one(tmp_path / "libr.so", "choose")
    assert target.names == ("choose",)
    assert "the resolver of the IFUNC work, called once a process" in target.notes
    assert one(tmp_path / "libr.so", "work").names == ("work", "choose")


@pytest.mark.parametrize("name", ["esc[31m", "(a+)+$"])
def test_the_name_of_an_ifunc_is_no_pattern(name: str, tmp_path: Path) -> None:
    lines = [".text"]
    for each, kind in (
        (name, "gnu_indirect_function"),
        (f"__{name}_avx2", "function"),
        ("a" * 40 + "b", "function"),
    ):
        lines += [f'.globl "{each}"', f'.type "{each}", @{kind}', f'"{each}": ret']
    (tmp_path / "i.s").write_text("\n".join([*lines, '.section .note.GNU-stack,""', ""]))
    command = ["gcc", "-shared", "-nostdlib", "-o", "libi.so", "i.s"]
    subprocess.run(command, cwd=tmp_path, check=True)
    answer = resolve(Binary(str(tmp_path / "libi.so")), "*")
    (target,) = (each for each in answer.targets if each.kind == "ifunc")
    assert target.names == (name,)
    assert target.notes[0].endswith(f"; candidates: __{name}_avx2")


def test_an_ifunc_in_another_process(tmp_path: Path) -> None:
    """Of a copy of libc that only that process has mapped."""
    from tests.cli.test_targets import running

    libc = tmp_path / "libc.so.6"
    shutil.copy("/lib/x86_64-linux-gnu/libc.so.6", libc)
    loader = "/lib64/ld-linux-x86-64.so.2"
    here = one("/lib/x86_64-linux-gnu/libc.so.6", "strlen")
    with running(loader, "--library-path", tmp_path, "/bin/cat") as pid:
        there = one(libc, "strlen", pid=pid)
    assert there.inode != here.inode
    assert there.offset == here.offset
    assert any(f"process {pid}" in note for note in there.notes)


def test_a_library_that_a_process_has_mapped_and_the_disk_has_lost(tmp_path: Path) -> None:
    from tests.cli.test_targets import running

    (tmp_path / "l.c").write_text("int deleted_later(int x) { return x + 1; }\n")
    (tmp_path / "m.c").write_text(
        "#include <unistd.h>\nint deleted_later(int);\n"
        "int main(void) { char c; while (read(0, &c, 1) == 1) write(1, &c, deleted_later(0)); }\n"
    )
    library, program = tmp_path / "libl.so", tmp_path / "m"
    flags = ["-fPIC", "-shared", "-Wl,-soname,libl.so"]
    subprocess.run(["gcc", *flags, "-o", library, tmp_path / "l.c"], check=True)
    path = f"-Wl,-rpath,{tmp_path}"
    subprocess.run(["gcc", "-o", program, tmp_path / "m.c", library, path], check=True)
    there = one(library, "deleted_later")
    with running(program) as pid:
        library.unlink()
        file = FilePath(f"/proc/{pid}/exe", str(program))
        found = one_of(file, "deleted_later", provider=provider_of(file, pid=pid), pid=pid)
    assert found.offset == there.offset
    assert found.inode == there.inode
    assert found.file.opened.startswith(f"/proc/{pid}/map_files/")
