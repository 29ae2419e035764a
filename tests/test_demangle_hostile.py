"""Names made to do harm: they neither crash, nor stall, nor fill the memory, nor spoil others.

A stall shows as a process out of processor time, which the kernel ends.
"""

from __future__ import annotations

import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from symprobe import demangle as module
from symprobe.demangle import demangle, demangle_many
from tests.support.mangled import nm, run

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SMALL = DIGITS[:10] + DIGITS[10:].lower() + DIGITS[10:]


def substitution(index: int) -> str:
    return f"S{_in_base(index - 1, DIGITS)}_" if index else "S_"


def back_reference(position: int) -> str:
    return f"B{_in_base(position - 1, SMALL)}_" if position else "B_"


def _in_base(number: int, digits: str) -> str:
    text = digits[number % len(digits)]
    return _in_base(number // len(digits), digits) + text if number >= len(digits) else text


def doubling(levels: int, uses: int = 2) -> str:
    """A C++ name whose text grows uses^levels-fold."""
    parts = (f"S_I{substitution(level + 1) * uses}E" for level in range(levels))
    return "_Z1f1AIiiE" + "".join(parts)


def doubling_rust(levels: int, uses: int = 2) -> str:
    """A Rust v0 name whose text grows uses^levels-fold."""
    text, last = "INvC1a1fTuuE", len("INvC1a1f")
    for _ in range(levels):
        here = len(text)
        text += f"T{back_reference(last) * uses}E"
        last = here
    return f"_R{text}E"


def largest_tame() -> str:
    """As long, and growing as much, as what is demangled without precautions."""
    levels = (f"PFv{substitution(2 * level) * 3}E" for level in range(5))
    return f"_Z1f{900}{'x' * 900}" + "".join(levels)


HOSTILE = {
    "largest tame": largest_tame(),
    **{f"doubling {n}": doubling(n) for n in (4, 8, 16, 24, 60, 200)},
    **{f"tripling {n}": doubling(n, 3) for n in (4, 8, 12, 40)},
    **{f"doubling Rust {n}": doubling_rust(n) for n in (4, 8, 16, 24, 60, 200)},
    "Rust into itself": "_RINvC1a1fTB7_B7_B7_EE",
    "Rust lifetimes": "_RINvC1a1fFGZZZZZZZZZZ_EuE",
    **{
        f"nested packs {n}": f"_Z1fIJ{'y' * 100}EEv{'DpFvT_' * n}DpT_{'E' * n}"
        for n in (1, 2, 3, 9)
    },
    "unresolved": "_Z1fIXplsr3foo3barneDefLEEvv",
    "unresolved, short": "_Z1fIXplsr3foo3barLDnE",
    "unresolved in a clone": "_Z1fIXpl4ab.isra.0",
    **{f"identifier {n}": f"_Z{n}{'a' * n}v" for n in (900, 10**4, 10**6)},
    **{f"pointers {n}": f"_Z1f{'P' * n}i" for n in (900, 10**4, 10**6)},
    **{f"templates {n}": f"_Z1f{'1AI' * n}i{'E' * n}" for n in (200, 10**4, 10**6)},
    **{f"functions {n}": f"_Z1f{'PF' * n}i{'iE' * n}" for n in (200, 10**4, 10**6)},
    **{f"expressions {n}": f"_Z1fIX{'ng' * n}Li1EEEvv" for n in (400, 10**4, 10**6)},
    **{f"scopes {n}": f"_Z{'Z' * n}1fv{'E1a' * n}" for n in (200, 10**4, 10**6)},
    **{f"Rust tuples {n}": f"_RINvC1a1f{'T' * n}{'E' * n}E" for n in (400, 10**6)},
    **{f"Rust references {n}": f"_RINvC1a1f{'R' * n}uE" for n in (400, 10**6)},
    **{f"Rust paths {n}": f"_R{'Nv' * n}C1a{'1b' * n}" for n in (400, 10**6)},
    "Rust identifier": f"_RNvC1a{10**6}{'x' * 10**6}",
    "Rust string": f"_RINvC1a1fKRe{'61' * 500_000}_E",
    "legacy identifier": f"_ZN{10**6}{'x' * 10**6}17h0123456789abcdefE",
    "legacy parts": f"_ZN{'1x' * 500_000}17h0123456789abcdefE",
    "legacy hashes": f"_ZN{'17h0123456789abcdefE.' * 50_000}",
    "version": f"_Z1fv@{'@' * 10**6}",
    "dots": "." * 10**6 + "_Z1fv",
}

BOUNDED = """
import pickle, resource, sys
names = pickle.load(sys.stdin.buffer)
from symprobe.demangle import demangle, demangle_many
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
texts = demangle_many(names) if sys.argv[1] == "many" else list(map(demangle, names))
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
pickle.dump((texts, grown, children), sys.stdout.buffer)
"""


def bounded(names: list[str], how: str) -> tuple[list[str], int, int]:
    """(texts, KiB of memory added, KiB of the largest child), by a process with 20 s to spend."""
    done = run(sys.executable, "-c", BOUNDED, how, input=pickle.dumps(names))
    assert done.returncode == 0, (done.returncode, done.stderr.decode()[-500:])
    texts, grown, children = pickle.loads(done.stdout)
    return texts, grown, children


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_name_does_no_harm(kind: str) -> None:
    (text,), grown, children = bounded([HOSTILE[kind]], "one")
    assert text
    assert grown < 200 << 10
    assert children < 200 << 10


@pytest.mark.parametrize(
    "kind", ["doubling 24", "doubling 60", "nested packs 9", "unresolved", "doubling Rust 24"]
)
def test_what_would_grow_without_end_stays_raw(kind: str) -> None:
    assert demangle(HOSTILE[kind]) == HOSTILE[kind]


@pytest.mark.parametrize("kind", ["doubling 8", "tripling 4", "nested packs 1", "doubling Rust 8"])
def test_what_grows_with_measure_is_as_nm_prints_it(kind: str, tmp_path: Path) -> None:
    assert demangle(HOSTILE[kind]) != HOSTILE[kind]
    assert demangle(HOSTILE[kind]) == nm([HOSTILE[kind]], tmp_path / "name.o")[0]


def test_thousands_of_hostile_names_in_one_file() -> None:
    short = [name for name in HOSTILE.values() if len(name) < 3000]
    texts, grown, _ = bounded(short * 200 + ["_Z3foov", "main"], "many")
    assert grown < 200 << 10
    size = sum(map(len, short)) * 200
    allowed = max(module.GROWTH_FLOOR, module.GROWTH * size) + 128 * len(demangle(largest_tame()))
    assert size < sum(map(len, texts)) < size + allowed
    assert texts[-1] == "main"


def test_many_names_that_just_pass_as_harmless() -> None:
    names = [largest_tame()] * 20_000
    texts, grown, _ = bounded(names, "many")
    assert len(texts[0]) > 200_000
    assert grown < 250 << 10
    assert texts[-1] == names[-1]


def test_hostile_names_do_not_keep_others_from_their_text() -> None:
    names = ["_Z3foov", HOSTILE["unresolved"], "_Z3barv", HOSTILE["doubling 60"], doubling(8)]
    texts = demangle_many(names)
    assert texts[:4] == ["foo()", names[1], "bar()", names[3]]
    assert texts[4] == demangle(names[4]) != names[4]


def test_threads_may_demangle_at_once() -> None:
    names = [doubling(9), "_Z3foov", "_RNvC1a1b", HOSTILE["unresolved"]]
    expected = demangle_many(names)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(demangle_many, [names] * 12)) == [expected] * 12
