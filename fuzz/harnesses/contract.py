"""Contracts: TOML files that strangers' repositories hold."""

from __future__ import annotations

from collections.abc import Iterator

from symprobe.contract.contractfile import parse_contract

LONGEST = 1024


def seeds() -> Iterator[bytes]:
    yield (
        b'[[file]]\npath = "lib*.so*"\noptional = true\nlinkage = "shared-library"\n'
        b'soname = "libx.so.1"\nno-rpath = true\nmax-version = ["GLIBC_2.31"]\n'
        b'hardening = ["relro", "nx", "pie"]\nrequire = [\n  "one",\n  "two@V1", # comment\n]\n'
        b'forbid = "/^gets$/"\nno-missing = false\n'
    )
    yield b'[[file]]\npath = """a\\u0041"""\nrequire = [\'0x10\', "ns::f(int)", "foo+0x10"]\n'
    yield b'file = [{path = "x", require = []}, {path = "y", no-rpath = 1979-05-27}]\n'
    yield b"a.b.c = [[[[1, 0x2, 0b1, 1e6, nan]]]]\n"


def check(data: bytes) -> None:
    for clause in parse_contract(data, "fuzzed.toml"):
        clause.applies("/usr/lib/libx.so.1")
