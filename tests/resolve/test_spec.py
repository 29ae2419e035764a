"""The SYMBOL grammar."""

from __future__ import annotations

import pytest

from symprobe.errors import PatternError
from symprobe.resolve.spec import SpecKind, parse


@pytest.mark.parametrize(
    ("text", "kind", "name", "version", "delta"),
    [
        ("exit", SpecKind.NAME, "exit", None, 0),
        ("memcpy@GLIBC_2.2.5", SpecKind.NAME, "memcpy", "GLIBC_2.2.5", 0),
        ("memcpy@@GLIBC_2.14", SpecKind.NAME, "memcpy", "GLIBC_2.14", 0),
        ("memcpy@*", SpecKind.NAME, "memcpy", "*", 0),
        ("mem*@GLIBC_2.2.5", SpecKind.GLOB, "mem*", "GLIBC_2.2.5", 0),
        ("malloc@plt", SpecKind.NAME, "malloc", "plt", 0),
        ("foo+0x10", SpecKind.NAME, "foo", None, 16),
        ("foo+16", SpecKind.NAME, "foo", None, 16),
        ("exit@@GLIBC_2.2.5+0x4", SpecKind.NAME, "exit", "GLIBC_2.2.5", 4),
        ("ns::f(int, char const*)", SpecKind.GLOB, "ns::f(int, char const*)", None, 0),
        ("ns::f(int)", SpecKind.NAME, "ns::f(int)", None, 0),
        ("operator+", SpecKind.NAME, "operator+", None, 0),
        ("a::operator+(a const&)+0x4", SpecKind.NAME, "a::operator+(a const&)", None, 4),
        ("operator[]", SpecKind.GLOB, "operator[]", None, 0),
        ("*exit*", SpecKind.GLOB, "*exit*", None, 0),
        ("/^_?exit$/", SpecKind.REGEX, "^_?exit$", None, 0),
        ("0x401136", SpecKind.ADDRESS, "0x401136", None, 0),
        ("0xzz", SpecKind.NAME, "0xzz", None, 0),
        ("@odd", SpecKind.NAME, "@odd", None, 0),
    ],
)
def test_forms(text: str, kind: SpecKind, name: str, version: str | None, delta: int) -> None:
    spec = parse(text)
    assert (spec.kind, spec.name, spec.version, spec.delta) == (kind, name, version, delta)
    assert spec.text == text


def test_addresses() -> None:
    assert parse("0x401136").vaddr == 0x401136


@pytest.mark.parametrize("text", ["", "a\0b"])
def test_what_is_no_symbol(text: str) -> None:
    with pytest.raises(PatternError):
        parse(text)
