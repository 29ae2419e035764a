"""Shell completion: what the shell's script would get."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.run import symprobe

Fixture = Callable[[str], Path]


def completed(line: str) -> list[str]:
    """What bash is offered at the end of a command line."""
    env = {
        "_SYMPROBE_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - (not line.endswith(" "))),
    }
    return [line for line in symprobe(env=env).lines if line]


def test_commands_and_options() -> None:
    assert "ls" in completed("symprobe l")
    assert "--grep" in completed("symprobe ls --gr")


def test_symbol_names_of_the_target_before() -> None:
    offered = completed("symprobe ls libc.so.6 --grep qui")
    assert "quick_exit" in offered
    assert all(name.startswith("qui") for name in offered)


def test_hostile_names_are_not_offered(fixture: Fixture) -> None:
    offered = completed(f"symprobe ls {fixture('liboddnames.so')} --grep ")
    assert all(name.isprintable() for name in offered)


def test_an_unreadable_target_offers_nothing() -> None:
    assert completed("symprobe ls /no/such/file --grep re") == []
