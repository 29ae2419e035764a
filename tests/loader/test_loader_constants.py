"""What is read from a loader's own bytes, judged by the loader."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from symprobe.loader.constants import constants_in
from symprobe.loader.cpu import below, cpu_of
from symprobe.loader.hardware import Hardware
from symprobe.loader.machine import Machine
from symprobe.loader.session import Session
from symprobe.loader.values import Flavor
from symprobe.model import FilePath
from tests.conftest import unavailable
from tests.loader.rules import active_levels, interpreter

NATIVE = [
    path for path in ("/lib/ld-linux.so.2", "/libx32/ld-linux-x32.so.2") if Path(path).exists()
]
FOREIGN = {
    "aarch64-linux-gnu": "ld-linux-aarch64.so.1",
    "arm-linux-gnueabihf": "ld-linux-armhf.so.3",
    "mips-linux-gnu": "ld.so.1",
    "powerpc64-linux-gnu": "ld64.so.1",
    "powerpc64le-linux-gnu": "ld64.so.2",
    "riscv64-linux-gnu": "ld-linux-riscv64-lp64d.so.1",
    "s390x-linux-gnu": "ld64.so.1",
}


def constants_of(path: str):  # type: ignore[no-untyped-def]
    session = Session()
    machine = machine_of(path)
    return session.constants(FilePath.plain(path), machine), machine


def machine_of(path: str) -> Machine:
    from symprobe.elf.image import Image
    from symprobe.elf.source import FileSource

    return Machine.of(Image(FileSource(FilePath.plain(path))))


@pytest.mark.parametrize("path", [interpreter(), *NATIVE])
def test_what_the_loader_says_of_itself(path: str) -> None:
    try:
        help_text = subprocess.run(
            [path, "--help"], capture_output=True, text=True, check=True
        ).stdout
    except OSError as error:
        # A kernel without that ABI (x32): nothing that could be installed changes it.
        pytest.skip(f"{path} does not run here: {error}")
    constants, _ = constants_of(path)
    directories = re.findall(r"^  (/\S+) \(system search path\)", help_text, re.MULTILINE)
    assert [d.rstrip("/") for d in constants.system_directories] == directories
    cache = re.search(r"\(libraries located via (\S+)\)", help_text)
    assert cache is not None
    assert constants.cache_path == cache[1]
    levels = help_text.partition("Subdirectories of glibc-hwcaps")[2].partition("Legacy")[0]
    assert list(constants.hwcaps) == re.findall(r"^  (\S+)(?: \(supported|$)", levels, re.MULTILINE)
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"release version (\d+)\.(\d+)", version)
    assert found is not None
    assert constants.version == (int(found[1]), int(found[2]))


def test_active_levels_are_those_that_the_loader_searches() -> None:
    constants, machine = constants_of(interpreter())
    hardware = Hardware(constants, machine, lambda: Session().cpu(machine))
    assert list(hardware.levels) == active_levels()


def test_levels_are_a_contiguous_tail() -> None:
    text = Path("/proc/cpuinfo").read_text()
    if "avx2" not in text:
        unavailable("a processor with AVX2 is needed")
    without = re.sub(r"\bssse3\b", "", text)
    assert cpu_of("x86_64", without).levels == ()
    without = re.sub(r"\bmovbe\b", "", text)
    assert cpu_of("x86_64", without).levels == ("x86-64-v2",)
    assert below("x86_64", "x86-64-v3") == ("x86-64-v3", "x86-64-v2")
    assert below("s390x", "z15") == ("z15", "z14", "z13")
    assert below("aarch64", "x86-64-v3") == ()


@pytest.mark.parametrize("triplet", FOREIGN)
def test_a_foreign_loader(triplet: str) -> None:
    path = f"/usr/{triplet}/lib/{FOREIGN[triplet]}"
    if not Path(path).exists():
        unavailable(f"{path} is needed")
    constants, machine = constants_of(path)
    assert constants.system_directories == (
        f"/lib/{triplet}/", f"/usr/lib/{triplet}/", "/lib/", "/usr/lib/",
    )  # fmt: skip
    assert constants.lib == f"lib/{triplet}"
    assert constants.flavor is Flavor.GLIBC
    assert constants.version is not None
    assert constants.version >= (2, 31)
    if machine.name == "s390x":
        assert constants.hwcaps[-2:] == ("z14", "z13")
    elif machine.name == "powerpc64le":
        assert constants.hwcaps == ("power10", "power9")
    else:
        assert constants.hwcaps == ()


def test_of_a_file_that_is_no_loader_nothing_is_read() -> None:
    machine = machine_of(interpreter())
    for data in (b"", b"/\0", b"/lib/\0" * 3, b"release version ", b"\0x86-64-v", bytes(100)):
        constants = constants_in(data, machine, ("/lib64/", "/usr/lib64/"))
        if b"/lib/" not in data:
            assert constants.system_directories == ("/lib64/", "/usr/lib64/")
            assert constants.lib == "lib64"
        assert constants.cache_path == "/etc/ld.so.cache"
        assert constants.version is None


def test_another_distributions_constants() -> None:
    """As Nix and Fedora compile them in."""
    machine = machine_of(interpreter())
    store = b"/nix/store/abc-glibc-2.38"
    nix = b"\x01xyz\0%s/lib/\0\0lib\0%s/etc/ld.so.cache\0/etc/ld-nix.so.preload\0" % (store, store)
    found = constants_in(nix, machine, ())
    assert found.system_directories == (f"{store.decode()}/lib/",)
    assert (found.lib, found.cache_path) == ("lib", f"{store.decode()}/etc/ld.so.cache")
    assert found.preload_path == "/etc/ld-nix.so.preload"
    fedora = b"q/lib64/\0/usr/lib64/\0\0lib64\0/etc/ld.so.cache\0"
    fedora += b"ld.so (GNU libc) stable release version 2.41.\n\0"
    found = constants_in(fedora, machine, ())
    assert found.system_directories == ("/lib64/", "/usr/lib64/")
    assert (found.lib, found.version, found.has_legacy_hwcaps) == ("lib64", (2, 41), False)
