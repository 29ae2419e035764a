"""Every program of this machine: the loader's own list, in its order."""

from __future__ import annotations

from tests.support.compare_ldd import differences


def test_the_programs_of_this_machine() -> None:
    """`make verify` compares all libraries too."""
    compared, _, found = differences(["/usr/bin", "/usr/sbin"])
    assert compared > 50
    assert found == []
