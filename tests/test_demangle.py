"""Demangling against `nm -C`: names of real files, odd forms, and a Rust program."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symprobe.demangle import demangle, demangle_many, is_mangled
from tests.conftest import unavailable
from tests.support.mangled import mangled_names, nm, real_file, run

REAL_FILES = ("libstdc++.so.6", "gdb", "node", "libLLVM-14.so.1", "librustc_driver", "cargo")


def explained(name: str, ours: str, theirs: str) -> bool:
    """What we know to differ: of versions of libiberty, and one fault of binutils.

    Constants of 128 bits in Rust names: rust-demangle.c reads their digits one too late.
    Unresolved names in expressions: whether they stand in parentheses.
    """
    if name.startswith("_R"):
        return re.search(r"[0-9a-f]{17}_", name) is not None
    bare = [re.sub(r"[() ]", "", text) for text in (ours, theirs)]
    return "sr" in name and bare[0] == bare[1]


@pytest.mark.parametrize("name", REAL_FILES)
def test_real_names_are_as_nm_prints_them(name: str, tmp_path: Path) -> None:
    names = mangled_names(real_file(name))
    if not names:
        pytest.skip(f"{name} has no mangled names")
    ours, theirs = demangle_many(names), nm(names, tmp_path / "names.o")
    wrong = [
        (raw, our, their)
        for raw, our, their in zip(names, ours, theirs, strict=True)
        if our != their and not explained(raw, our, their)
    ]
    assert not wrong[:5]
    assert sum(raw != our for raw, our in zip(names, ours, strict=True)) > 0.8 * len(names)


_ODD = """
_GLOBAL__I_foo _GLOBAL__D_foo _GLOBAL_.I_foo _GLOBAL_$D_foo _GLOBAL__I__Z3foov _GLOBAL__I_a.0
_GLOBAL__sub_I_main _GLOBAL__sub_I__Z3foov _GLOBAL__N_1 _GLOBAL_ _GLOBAL__I_
._Z3foov $_Z3foov .$.$_Z3foov __Z3foov ___Z3foov_block_invoke .L.str . $ @ _Z _R _Z3 _Z3fo
_Z3foov.constprop.0 _Z3foov.isra.0.cold _Z3foov.llvm.123 _Z3foov@plt _Z3foov@@V1 _Z3foov@V@W
_Z3foov$plt _Z3foo\udcff _Z3fo\udcc3 _Z3fooi\udcff _Z4f\u00e9ov _GLOBAL__I_\udcff
_ZGVZ3foovE1x _ZTVN3foo3barE _ZThn8_N3foo3barEv _ZN12_GLOBAL__N_13fooEv _ZNSsC1Ev _ZNSaIcED2Ev
_ZplRK3fooS1_ _ZN3foocviEv _Zli3_usy _ZZ3foovENKUlvE_clEv _Z3fooIJidEEvDpT_ _ZTAXtl3fooEE
_ZN3foo17h0123456789abcdefE _ZN3foo17h0123456789abcdefE.llvm.5 _ZN3foo17h0123456789abcdefE.a.b@V
_ZN3foo17h0123411111111111E _ZN3foo17h0123011111111111E _ZN3foo17h0000000000000000E
_ZN3foo17h0123456789abcdefEv _ZNK3foo17h0123456789abcdefE _ZN17h0123456789abcdefE
_ZN3foo17hasSomethingElseEv _ZN2\u00e917h0123456789abcdefE _ZN3foo17h0123456789abcdefE$x
_ZN57_$LT$str$u20$as$u20$core..fmt..Display$GT$3fmt17h0123456789abcdefE
_RNvC1a1b _RNvC1a1b.llvm.1 _RNvC1a1b@V@x ._RNvC1a1b _RNvC1a1bv _RNvC1a1b$x _RNvC1a4f\u00e9o
_RNvC1au8gdel_5qa _RNCNvC1a1b0 _RINvC1a1bmKj7_E _RNvXs_C1aNtB4_1bNtB4_1c1d _RNvMC1aRe1b _ReadFile
_Z1fIXntsr3stdE3fooIT_EEEvv _Z1fIXsr1A1xEEvv main foo.bar _start
"""
ODD = _ODD.split()


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_as_nm_prints_them(name: str, tmp_path: Path) -> None:
    assert demangle(name) == nm([name], tmp_path / "name.o")[0]


def test_many_are_as_one_by_one_and_in_order() -> None:
    names = list(ODD) * 5
    assert demangle_many(iter(names)) == [demangle(name) for name in names]
    assert demangle_many([]) == []


RUST = """
#![allow(dead_code, uncommon_codepoints, non_camel_case_types)]
pub mod größe {
    pub struct Wert<T, const N: usize>(pub [T; N]);
    pub trait Maß { fn messen(&self) -> u64; }
    impl<T, const N: usize> Maß for Wert<T, N> {
        #[inline(never)]
        fn messen(&self) -> u64 { let f = |x: u64| x + N as u64; call(&f) }
    }
    #[inline(never)]
    pub fn call(f: &dyn Fn(u64) -> u64) -> u64 { f(41) }
}
use größe::{Maß, Wert};
#[inline(never)]
fn generic<T: Maß + ?Sized, F: FnMut(&mut [u8])>(t: &T, mut f: F) -> u64 { f(&mut [1]); t.messen() }
fn main() {
    let wert = Wert([1i8, -2]);
    println!("{}", generic(&wert, |b| b[0] = 2) + generic(&wert as &dyn Maß, |_| ()));
}
"""


@pytest.mark.parametrize("scheme", ["legacy", "v0"])
def test_a_rust_program(scheme: str, tmp_path: Path) -> None:
    if not shutil.which("rustc"):
        unavailable("rustc is not installed")
    (tmp_path / "main.rs").write_text(RUST)
    options = ["-C", f"symbol-mangling-version={scheme}", "-C", "opt-level=0"]
    if scheme == "legacy":
        options += ["-Z", "unstable-options"]
    done = run(
        *("rustc", "--crate-name", "probe", *options, "-o", "main", "main.rs"),
        cwd=tmp_path,
        env={**os.environ, "RUSTC_BOOTSTRAP": "1"},
    )
    assert done.returncode == 0, done.stderr.decode()
    names = [name for name in mangled_names(tmp_path / "main") if "probe" in name]
    texts = dict(zip(names, demangle_many(names), strict=True))
    # libiberty leaves a legacy name's parts that hold ö or ß as they are; rustc's tools do not.
    judged = [name for name in names if not re.search(r"\$u(f6|df)\$", name)]
    assert [texts[name] for name in judged] == nm(judged, tmp_path / "names.o")
    assert len(judged) >= 5
    assert "<probe::größe::Wert<" in "".join(texts.values())
    assert any(text.endswith(("::{closure#0}", "::{{closure}}")) for text in texts.values())
    assert not any(re.search(r"h[0-9a-f]{16}$", text) for text in texts.values())


@given(st.lists(st.text() | st.from_regex(r"[.$]?_(Z|R|ZN|GLOBAL__I_)[0-9A-Za-z_$.@]{0,40}")))
@settings(deadline=None)
def test_any_text_is_an_answer(names: list[str]) -> None:
    texts = demangle_many(names)
    assert len(texts) == len(names)
    assert all(
        text == name for name, text in zip(names, texts, strict=True) if not is_mangled(name)
    )


@pytest.mark.parametrize(
    "code",
    [
        "import symprobe.demangle",
        "from symprobe.demangle import demangle_many; demangle_many(['main', '_start', 'foo.bar'])",
        "from symprobe.demangle import demangle; demangle('_RNvC1a1b')",
    ],
)
def test_ctypes_is_loaded_for_cxx_names_only(code: str) -> None:
    look = f"{code}; import sys; print({{'ctypes', 'cxxfilt', 'subprocess'}} & set(sys.modules))"
    assert run(sys.executable, "-c", look).stdout == b"set()\n"


def test_without_libstdcxx_cxx_names_stay_raw() -> None:
    library = real_file("libstdc++.so.6").resolve()
    code = (
        "from symprobe.demangle import demangle_many;"
        "print(demangle_many(['_Z3foov', '_RNvC1a1b', '_Z1fIXplsr3foo3barLDnE', 'main']))"
    )
    hide = 'mount --bind /dev/null "$0" && exec "$@"'
    done = run("unshare", "-m", "sh", "-c", hide, library, sys.executable, "-c", code)
    if b"not permitted" in done.stderr or b"permission denied" in done.stderr:
        unavailable("mounting in a namespace of its own needs root")
    assert done.stdout == b"['_Z3foov', 'a::b', '_Z1fIXplsr3foo3barLDnE', 'main']\n", done.stderr
