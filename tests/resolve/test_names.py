"""Spellings: what c++filt prints, and what a person makes of it."""

from __future__ import annotations

import re
import subprocess

import pytest

from symprobe.demangle import demangle
from symprobe.resolve.names import clone_parent, normal, spellings, structor


@pytest.mark.parametrize(
    ("raw", "typed"),
    [
        ("_ZN2ns1fEi", "ns::f"),
        ("_ZN2ns1fEi", "ns::f(int)"),
        ("_ZN2ns1fEPKci", "ns::f(char const *, int)"),
        ("_ZNK2ns1fEv", "ns::f() const"),
        ("_ZNK2ns1fEv", "ns::f"),
        ("_ZNO2ns1fEv", "ns::f"),
        ("_Z1fIiEvT_", "f<int>"),
        ("_Z1fIiEvT_", "void f<int>(int)"),
        ("_Z1fIiEvT_", "f"),
        ("_ZN2ns4tmaxIiEET_S1_S1_", "ns::tmax"),
        ("_ZN12_GLOBAL__N_11fEi", "(anonymous namespace)::f"),
        ("_ZN1AclEi", "A::operator()"),
        ("_ZN1AixEi", "A::operator[]"),
        ("_ZN1AcvbEv", "A::operator bool"),
        ("_ZN1AplERKS_", "A::operator+"),
        ("_Znwm", "operator new"),
        ("_Znam", "operator new[](unsigned long)"),
        ("_Z8with_tagB6taggedv", "with_tag[abi:tagged]"),
        ("_Z8with_tagB6taggedv", "with_tag"),
        ("_Z1fSt8functionIFviEE", "f"),
        ("_ZNSt6vectorIiSaIiEE9push_backEOi", "std::vector<int, std::allocator<int>>::push_back"),
        ("_ZN1AC1Ei", "A::A(int)"),
        ("_ZN1AD0Ev", "A::~A"),
        ("_ZN4core3fmt9Formatter3pad17hf267fb4e2bd1f64aE", "core::fmt::Formatter::pad"),
        (
            "_ZN4core3fmt9Formatter3pad17hf267fb4e2bd1f64aE",
            "core::fmt::Formatter::pad::hf267fb4e2bd1f64a",
        ),
    ],
)
def test_each_way_to_say_it(raw: str, typed: str) -> None:
    judged = subprocess.run(["c++filt", raw], capture_output=True, text=True, check=True)
    # c++filt is verbose about Rust: it keeps the hash that nm -C leaves out
    assert demangle(raw) == re.sub(r"::h[0-9a-f]{16}$", "", judged.stdout.strip())
    assert normal(typed) in spellings(raw, demangle(raw))


@pytest.mark.parametrize(
    ("raw", "typed"),
    [
        ("_ZN2ns1fEi", "f"),
        ("_ZN2ns1fEi", "ns::f(long)"),
        ("_ZN2ns1fEi", "ns"),
        ("f", "F"),
        ("_ZN1AcvSt6vectorIiSaIiEEEv", "A::operator std::vector"),
        ("_ZN1AltERKS_", "A::operator"),
    ],
)
def test_what_it_does_not_mean(raw: str, typed: str) -> None:
    assert normal(typed) not in spellings(raw, demangle(raw))


@pytest.mark.parametrize(
    ("name", "parent"),
    [
        ("f.part.0", "f"),
        ("f.isra.0.cold", "f"),
        ("f.constprop.12", "f"),
        ("_Z1fv.lto_priv.3", "_Z1fv"),
        ("f.llvm.1234567", "f"),
        ("f", None),
        ("f.data", None),
        (".cold", None),
    ],
)
def test_clones(name: str, parent: str | None) -> None:
    assert clone_parent(name) == parent


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ("_ZN1AC1Ei", "C1"),
        ("_ZN1AC2ERKS_", "C2"),
        ("_ZN1AD0Ev", "D0"),
        ("_ZN5ArrayIiED2Ev", "D2"),
        ("_ZN1A2C1Ev", None),
        ("_ZN2ns1fEi", None),
        ("main", None),
    ],
)
def test_constructors_and_destructors(raw: str, what: str | None) -> None:
    found = structor(raw, demangle(raw))
    assert (found is None) if what is None else (found is not None and f"({what})" in found)
