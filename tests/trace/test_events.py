"""Events: each call once, with what its arguments and its result were."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"
EVENT = json.loads((SCHEMAS / "trace-event.json").read_text())
DOCUMENT = json.loads((SCHEMAS / "trace.json").read_text())
TEXTS = ["alpha", "beta", "gam\x1b[31mma"]


@pytest.fixture(scope="module")
def timed(compiled: Callable[..., Path]) -> Path:
    return compiled("timed.c")


def events(*words: object) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The events and the summary that `symprobe trace ... --json` prints."""
    command = [sys.executable, "-m", "symprobe", "trace", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for event in lines[:-1][:5]:
        jsonschema.validate(event, EVENT)
    jsonschema.validate(lines[-1], DOCUMENT)
    return lines[:-1], lines[-1]


def test_exit_codes_of_256_processes(compiled: Callable[..., Path]) -> None:
    program = compiled("timed.c", "-static")
    script = f"for code in $(seq 0 255); do {program} life 0 $code; done; true"
    options = ("--events", "--arg", "0:int", "--json")
    seen, summary = events(program, "exit", *options, "--", "sh", "-c", script)
    assert sorted(event["args"]["arg0"] for event in seen) == list(range(256))
    assert {event["comm"] for event in seen} == {"timed"}
    assert len({event["pid"] for event in seen}) == 256
    assert all(event["function"] == "exit" and event["event"] == "call" for event in seen)
    times = [event["time_ns"] for event in seen]
    assert times == sorted(times)
    assert (summary["events"], summary["dropped"]) == (256, 0)


def test_a_burst_of_a_million(timed: Path) -> None:
    seen, summary = events(
        timed, "quick", "--events", "--arg", "0", "--json", "--", timed, "burst", 1_000_000
    )
    assert summary["targets"][0]["calls"] == 1_000_000
    assert summary["events"] == len(seen)
    assert summary["events"] + summary["dropped"] == 1_000_000
    numbers = [event["args"]["arg0"] for event in seen]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("by_name", [True, False])
def test_arguments_and_results(by_name: bool, timed: Path) -> None:
    names = ["number", "text", "small", "large"] if by_name else ["arg0", "arg1", "arg2", "arg3"]
    options = [f"--arg={name}" for name in names]
    seen, _ = events(timed, "mixed", *options, "--retval", "--json", "--", timed, "values", 50)
    for number, event in enumerate(seen):
        assert event["event"] == "return"
        assert event["retval"] == (-1 if number % 7 == 0 else number)
        assert event["duration_ns"] > 0
        shown = dict(zip(names, [number, TEXTS[number % 3]], strict=False))
        shown |= {names[2]: 200 if number % 4 else 7, names[3]: 0xFFFFFFFF00000000 + number % 2}
        assert event["args"] == shown
    assert len(seen) == 50


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--arg=0:int", 49),
        ("--arg=3:hex", 0xFFFFFFFF00000001),
        ("--arg=3:long", 0xFFFFFFFF00000001 - (1 << 64)),
        ("--arg=3:uint", 1),
        ("--arg=1:bytes:4", b"beta".hex()),
        ("--arg=1:str", "beta"),
        ("--arg=0:str", None),
    ],
)
def test_types(option: str, expected: object, timed: Path) -> None:
    seen, _ = events(timed, "mixed", option, "--json", "--", timed, "values", 50)
    (value,) = seen[49]["args"].values()
    assert value == expected


def test_arguments_of_32_bit_programs(compiled: Callable[..., Path]) -> None:
    program = compiled("timed.c", "-m32")
    options = ("--arg=number", "--arg=text", "--arg=large", "--retval", "--json")
    seen, _ = events(program, "mixed", *options, "--", program, "values", 9)
    assert [event["args"]["number"] for event in seen] == list(range(9))
    assert [event["args"]["text"] for event in seen] == TEXTS * 3


@pytest.mark.parametrize("options", [("-O2",), ("-O0",), ("-m32",)])
def test_arguments_are_where_the_abi_has_them(
    options: tuple[str, ...], compiled: Callable[..., Path]
) -> None:
    """With and without registers in the debug information."""
    program = compiled("passed.c", *options)

    def seen(function: str, *names: str) -> list[object]:
        asked = [f"--arg={name}" for name in names]
        (event,), _ = events(program, function, *asked, "--json", "--", program)
        return [event["args"][name] for name in names]

    assert seen("behind_float", "number") == [-3]
    assert seen("behind_struct", "text") == ['he said "\\"']
    assert seen("on_the_stack", "a", "g", "seventh", "eighth") == [1, 7, -8, -9]
    assert seen("returned", "number") == [41]


def test_a_compilers_own_copy_has_its_own_places(compiled: Callable[..., Path]) -> None:
    program = compiled("passed.c")
    command = [sys.executable, "-m", "symprobe", "trace", program, "reworked.*", "--arg"]
    done = subprocess.run([*command, "unused", "--", program], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"unused: where reworked is given it is not known" in done.stderr
    seen, _ = events(program, "reworked.*", "--arg=number", "--json", "--", program)
    assert [event["args"] for event in seen] == [{"number": number} for number in (5, 6, 7)]


def test_what_is_not_known_is_not_guessed(compiled: Callable[..., Path]) -> None:
    program = compiled("passed.c", "-O0")
    for function, option, message in (
        ("behind_struct", "--arg=number", "number: where behind_struct is given it is not known"),
        ("behind_float", "--arg=factor:hex", "register that BPF programs can't read"),
        ("nothing", "--retval", "retval: nothing returns nothing"),
        ("returned", "--retval", "retval: returned returns a struct wide by value"),
        ("/^(is_positive|behind_float)$/", "--retval", "not of the same type in all functions"),
        ("nothing", "--where=number == 'x'", "number is a number"),
        ("nothing", "--where= ", "--where is empty"),
    ):
        command = [sys.executable, "-m", "symprobe", "trace", program, function, option, "--"]
        done = subprocess.run([*command, program], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert message in done.stderr
    (event,), _ = events(program, "is_positive", "--retval", "--json", "--", program)
    assert event["retval"] is True


def test_one_argument_as_several_types(compiled: Callable[..., Path]) -> None:
    program = compiled("passed.c")
    options = ("--arg=0:int", "--arg=0:uint", "--arg=0:str", "--arg=0:int", "--json")
    (event,), _ = events(program, "is_positive", *options, "--", program)
    assert event["args"] == {"arg0:int": 1, "arg0:uint": 1, "arg0:str": None}
    command = [sys.executable, "-m", "symprobe", "trace", program, "nothing", "is_positive"]
    command += ["--arg=0:str", "--", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "is_positive(arg0=(unreadable 0x1))" in done.stdout
    assert "nothing(arg0=NULL)" in done.stdout


def test_a_quote_in_a_text_does_not_end_it(compiled: Callable[..., Path]) -> None:
    program = compiled("passed.c")
    command = [sys.executable, "-m", "symprobe", "trace", program, "behind_struct", "--arg=text"]
    done = subprocess.run([*command, "--", program], capture_output=True, text=True, check=True)
    assert r'behind_struct(text="he said \"\\\"")' in done.stdout


def test_a_text_line_is_one_line_and_inert(timed: Path) -> None:
    command = [sys.executable, "-m", "symprobe", "trace", timed, "mixed", "--arg", "1:str"]
    command += ["--retval:int", "--", timed, "values", "6"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    assert 'mixed(arg1="gam\\x1b[31mma") = 2 <' in lines[2]
    assert "\x1b" not in done.stdout
    assert "6 events, 0 dropped" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--arg", "9x"], "9x: not an argument"),
        (["--arg", "0:nonsense"], "nonsense: not a type"),
        (["--arg", "0:bytes:999"], "bytes:999: not a type"),
        (["--arg", "nobody"], "mixed has no such parameter: it has number, text, small, large"),
        (["--arg", "0:double"], "register that BPF programs can't read"),
        (["--retval:float"], "register that BPF programs can't read"),
        (["--events", "--latency"], "exclude each other"),
        (["--folded"], "--folded goes with --stack"),
    ],
)
def test_what_can_not_be_asked(options: list[str], message: str, timed: Path) -> None:
    command = [sys.executable, "-m", "symprobe", "trace", timed, "mixed", *options, "--", timed]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_values_are_counted(timed: Path) -> None:
    def values(what: str) -> Counter[object]:
        _, summary = events(timed, "mixed", "--values", what, "--json", "--", timed, "values", 210)
        (row,) = summary["targets"]
        assert row["calls"] == 210
        return Counter({each["value"]: each["count"] for each in row["values"]})

    assert values("arg1:str") == Counter(dict.fromkeys(TEXTS, 70))
    assert values("small") == Counter({7: 53, 200: 157})
    _, summary = events(timed, "mixed", "--values=0", "--json", "--", timed, "values", 12)
    assert [each["value"] for each in summary["targets"][0]["values"]] == list(range(12))
    assert set(values("number:str")) == {None}  # small numbers are no addresses
    results = Counter(-1 if n % 7 == 0 else n for n in range(210))
    assert values("retval") == results
    assert values("retval:int") == results
    assert values("large:hex")[0xFFFFFFFF00000000] == 105


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("arg0 > 40", lambda n: n > 40),
        ("number <= 3 or number == 0x10", lambda n: n <= 3 or n == 16),
        ("retval < 0", lambda n: n % 7 == 0),
        ("retval:int < 0 && arg0 >= 14", lambda n: n % 7 == 0 and n >= 14),
        ("not (text == 'beta') and 5 > arg0", lambda n: n % 3 != 1 and n < 5),
        ('text != "gam\\\x1b[31mma"', lambda n: n % 3 != 2),
        ("text == 'alph' || text == 'alphaa'", lambda n: False),
        ("large == 0xffffffff00000001", lambda n: n % 2 == 1),
        ("arg3:hex >= 0xffffffff00000001", lambda n: n % 2 == 1),
        ("small:uint < 10", lambda n: n % 4 == 0),
        ('comm == "timed" and !(comm == "time")', lambda n: True),
        ('comm != "timed"', lambda n: False),
        ("pid == tid && uid == 0", lambda n: True),
        ("number > small", lambda n: n > (200 if n % 4 else 7)),
    ],
)
def test_conditions(condition: str, holds: Callable[[int], bool], timed: Path) -> None:
    expected = sum(holds(number) for number in range(50))
    command = ["--where", condition, "--json", "--", timed, "values", 50]
    _, summary = events(timed, "mixed", *command)
    assert [row["calls"] for row in summary["targets"]] == [expected]
    seen, summary = events(timed, "mixed", "--arg=0", *command)
    assert [event["args"]["arg0"] for event in seen] == [n for n in range(50) if holds(n)]
    if not expected:
        assert "no call met the condition" in summary["targets"][0]["note"]
