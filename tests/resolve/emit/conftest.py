"""Programs that count their own calls, built once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.resolve.emit.helpers import EVERYWHERE, needs
from tests.support.counting import Case, Programs


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    needs()
    built = Programs(tmp_path_factory.mktemp("emit"))
    with built.contained():
        yield built


@pytest.fixture(scope="session")
def cases(programs: Programs) -> list[Case]:
    return [programs.case(program, place) for program, place in EVERYWHERE]
