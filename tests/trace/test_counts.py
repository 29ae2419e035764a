"""Reading the counters back, and what happens when a table is full."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from symprobe.model import FilePath
from symprobe.trace import tables
from symprobe.trace.counts import By
from symprobe.trace.session import Tracer
from symprobe.trace.tables import possible_cpus
from tests.trace.helpers import proceed, target, waiting


@pytest.mark.parametrize(
    ("text", "number"), [("0\n", 1), ("0-1\n", 2), ("0-3,8-11\n", 8), ("0,2,4-5", 4)]
)
def test_possible_cpus(text: str, number: int, tmp_path: Path) -> None:
    path = tmp_path / "possible"
    path.write_text(text)
    assert possible_cpus(str(path)) == number


@pytest.mark.parametrize("batch", [True, False])
def test_more_groups_than_the_table_holds(
    batch: bool, compiled: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls beyond are reported, and still count for their function."""
    if not batch:

        def refused(*_: object) -> tuple[bytes, bytes]:
            raise OSError(95, "no batch operations")

        monkeypatch.setattr(tables, "lookup_all", refused)
    counted = compiled("counted.c")
    with (
        waiting(counted, "--wait", "thread", "1009", "5") as process,
        Tracer([target(counted, "work")], by=By.TID, most_groups=3) as tracer,
    ):
        assert proceed(process) == "work 5045\n"
        snapshot = tracer.snapshot()
    (hits,) = snapshot.hits
    assert hits.calls == 5045
    assert len(hits.by) <= 3
    grouped = sum(group.calls for group in hits.by)
    assert 0 < grouped < 5045
    assert snapshot.overflow == 5045 - grouped


def test_comms_that_are_not_text(counted: Path, tmp_path: Path) -> None:
    odd = tmp_path / "od\udcff\x1b[31m"
    odd.write_bytes(counted.read_bytes())
    odd.chmod(0o755)
    known = target(counted, "work")
    status = odd.stat()
    work = known._replace(file=FilePath.plain(str(odd)), inode=(status.st_dev, status.st_ino))
    with waiting(odd, "--wait", "thread", "23") as process, Tracer([work], by=By.COMM) as tracer:
        proceed(process)
        (hits,) = tracer.snapshot().hits
    assert [(group.key, group.calls) for group in hits.by] == [(odd.name, 23)]
