"""Keeping an index true: what changed since is read again, what is gone is taken out.

Files are known by path, size, mtime, ctime, device and inode. When every directory is as it was,
no file has come, gone or been replaced, and only those are looked at whose bytes matter: ELF files,
archives, and what is likely to become one in place. Else the whole tree is walked, and each file's
status compared.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from symprobe.contract.index import SYMBOL_INDEXES, Index, of_types
from symprobe.contract.occurrence import NO_KEY, Key, Scanned, stat_key
from symprobe.contract.walk import Problem, Walk

_SETTLED = 2_000_000_000
"""Nanoseconds after which the times of a file or directory tell any later change."""
_NEVER = b""
"""The stamp of what is to be looked at again in any case."""
_FOREIGN = "another file system"
"""The problem of a directory that is not entered. Its stamp is its device number."""
_pack = struct.Struct("=qqqQQ").pack
_Progress = Callable[[int], None]


def refresh(
    index: Index,
    tops: Sequence[str],
    *,
    follow: bool = False,
    every_file: bool = False,
    jobs: int = 1,
    progress: _Progress = lambda _: None,
) -> list[Problem]:
    """Make the index say what is below `tops` (absolute paths) now. Returns what could not be
    looked at.

    follow: as of Walk.  every_file: compare the status of each, whatever it is.  Errors:
    sqlite3.Error, SymprobeError; then the index stays as it was.
    """
    if not (follow or every_file) and _are_apart(tops):
        quick = _changed_below(index.connection, tops)
        if quick is not None:
            changed, problems = quick
            if changed:
                with index.writing() as connection:
                    known = {path: _known_file(connection, path) for path in changed}
                    _update(connection, changed, known, jobs, progress)
            return problems
    walk = Walk(tops, follow=follow)
    with index.writing() as connection:
        known = {path: row for top in tops for path, row in _known_below(connection, top)}
        _update(connection, walk, known, jobs, progress)
        _put_directories(connection, walk, tops, whole=not follow and walk.is_whole)
    return walk.problems


def unanswered(connection: sqlite3.Connection, tops: Sequence[str]) -> Iterator[Problem]:
    """What an index as it is can't answer for: `tops` (absolute paths) that it has never seen,
    directories that could not be read. Errors: sqlite3.Error."""
    for top in tops:
        where, values = _range(top)
        query = f"SELECT path, problem FROM directories WHERE {where} AND problem != ?"
        rows = list(of_types(connection.execute(query, (*values, _FOREIGN)), bytes, str))
        yield from (Problem(os.fsdecode(path), problem) for path, problem in rows if problem)
        query = f"SELECT 1 FROM files WHERE {where}"
        if not rows and connection.execute(query, values).fetchone() is None:
            yield Problem(top, "not in the index: leave out --no-refresh")


# -- what is not as the index knows it


def _are_apart(tops: Sequence[str]) -> bool:
    """Whether no top is, or is inside, another one."""
    real = sorted(os.path.join(os.path.realpath(top), "") for top in tops)
    return not any(b.startswith(a) for a, b in itertools.pairwise(real))


def _changed_below(
    connection: sqlite3.Connection, tops: Sequence[str]
) -> tuple[list[str], list[Problem]] | None:
    """The files whose bytes may have changed, and the directories that still can't be read. None:
    a directory is not as it was, or not known."""
    problems: list[Problem] = []
    changed: list[str] = []
    for top in tops:
        where, values = _range(top)
        query = f"SELECT path, stamp, problem FROM directories WHERE {where}"
        rows = list(of_types(connection.execute(query, values), bytes, bytes, str))
        if not rows or rows[0][0] != os.fsencode(top):
            return None
        for path, stamp, problem in rows:
            if problem == _FOREIGN:
                if _device_of(path) != stamp:
                    return None
                continue
            if _stamp_of(path) != stamp:
                return None
            if problem:
                if os.access(path, os.R_OK | os.X_OK):
                    return None
                problems.append(Problem(os.fsdecode(path), problem))
        query = f"SELECT path, stamp FROM files WHERE watched AND {where}"
        for path, stamp in of_types(connection.execute(query, values), bytes, bytes):
            if _stamp_of(path) != stamp:
                changed.append(os.fsdecode(path))
    return changed, problems


def _range(top: str) -> tuple[str, tuple[bytes, ...]]:
    """An SQL condition on `path`: the top and what is below it."""
    inside = os.fsencode(os.path.join(top, ""))
    after = inside[:-1] + bytes([inside[-1] + 1])
    return "(path = ? OR path >= ? AND path < ?)", (os.fsencode(top), inside, after)


def _stamp_of(path: str | bytes) -> bytes | None:
    try:
        return _pack(*stat_key(os.stat(path)))
    except OSError:
        return None  # gone, or the scan will say


def _device_of(path: bytes) -> bytes | None:
    try:
        return _device(os.lstat(path).st_dev)
    except OSError:
        return None


def _device(number: int) -> bytes:
    return b"%d" % number


def _settled(key: Key) -> bytes:
    """The stamp; none for what was written a moment ago, and may be again without its times
    telling."""
    if key == NO_KEY or time.time_ns() - max(key[1], key[2]) < _SETTLED:
        return _NEVER
    return _pack(*key)


# -- updating

_Row = tuple[bytes, int]
"""Stamp and number of a file that the index knows."""


def _known_below(connection: sqlite3.Connection, top: str) -> Iterator[tuple[str, _Row]]:
    where, values = _range(top)
    query = f"SELECT path, stamp, id FROM files WHERE {where}"
    for path, stamp, number in of_types(connection.execute(query, values), bytes, bytes, int):
        yield os.fsdecode(path), (stamp, number)


def _known_file(connection: sqlite3.Connection, path: str) -> _Row | None:
    query = "SELECT stamp, id FROM files WHERE path = ?"
    row: _Row | None = connection.execute(query, (os.fsencode(path),)).fetchone()
    return row


def _update(
    connection: sqlite3.Connection,
    files: Iterable[str],
    known: dict[str, _Row | None] | dict[str, _Row],
    jobs: int,
    progress: _Progress,
) -> None:
    """Read the files that are not as they are known, take out those known that are not met."""
    from symprobe.contract.pool import parallel

    writer = _Writer(connection)
    remaining: dict[str, _Row | None] = dict(known)
    for scanned in parallel(_scan_some, _changed(files, remaining, writer, progress), jobs=jobs):
        if scanned is not None:
            writer.put(scanned)
    for row in remaining.values():
        if row is not None:
            writer.drop(row[1])
    writer.finish()


def _changed(
    files: Iterable[str], known: dict[str, _Row | None], writer: _Writer, progress: _Progress
) -> Iterator[str]:
    """The files that are not as the index knows them. Takes those that are there out of `known`,
    and out of the index when it knows them otherwise."""
    for path in files:
        progress(1)
        row = known.pop(path, None)
        if row is not None:
            if _stamp_of(path) == row[0]:
                continue
            writer.drop(row[1])
        yield path


def _scan_some(paths: list[str]) -> list[Scanned | None]:
    # Here: who asks an index that is true needs no reader of ELF files.
    from symprobe.contract.scan import Scope, scan

    return [scan(path, Scope(None, build_ids=True)) for path in paths]


def _put_directories(
    connection: sqlite3.Connection, walk: Walk, tops: Sequence[str], *, whole: bool
) -> None:
    """Remember the directories as they were before they were read. whole: a walk that met all that
    any later walk would meet."""
    for top in tops:
        where, values = _range(top)
        connection.execute(f"DELETE FROM directories WHERE {where}", values)
    if not whole:
        return
    reasons = {problem.path: problem.reason for problem in walk.problems}
    rows = [
        (os.fsencode(path), _settled(stat_key(info)), reasons.get(path, ""))
        for path, info in walk.directories.items()
    ]
    rows += [(os.fsencode(path), _device(n), _FOREIGN) for path, n in walk.foreign.items()]
    connection.executemany("INSERT OR REPLACE INTO directories VALUES (?, ?, ?)", rows)


class _Writer:
    """Puts files into an index, and numbers names."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._rows: list[tuple[object, ...]] = []
        self._numbers: dict[str, int] = {}
        self._is_first = not connection.execute("SELECT 1 FROM symbols LIMIT 1").fetchone()
        if self._is_first:
            for name in SYMBOL_INDEXES:
                connection.execute(f"DROP INDEX {name}")

    def drop(self, number: int) -> None:
        """Take out one file."""
        if not self._is_first:
            self._connection.execute("DELETE FROM symbols WHERE file = ?", (number,))
        self._connection.execute("DELETE FROM files WHERE id = ?", (number,))

    def put(self, scanned: Scanned) -> None:
        """Put in one file that the index does not know."""
        stamp = _settled(scanned.key)
        values = (
            os.fsencode(scanned.path), stamp, scanned.build_id, scanned.error,
            scanned.watched or not stamp,
        )  # fmt: skip
        query = "INSERT INTO files VALUES (NULL, ?, ?, ?, ?, ?)"
        file = self._connection.execute(query, values).lastrowid
        for each in scanned.occurrences:
            self._rows.append(
                (
                    self._number(each.name), file, _bytes(each.member), _bytes(each.version),
                    each.default_version, each.defined, each.kind, each.bind, _whole(each.size),
                    _whole(each.vaddr), each.table,
                )
            )  # fmt: skip
        if len(self._rows) > 20_000:
            self._flush()

    def finish(self) -> None:
        """Write what is still to be written."""
        self._flush()
        if self._is_first:
            for statement in SYMBOL_INDEXES.values():
                self._connection.execute(statement)

    def _flush(self) -> None:
        marks = ", ".join("?" * 11)
        self._connection.executemany(f"INSERT INTO symbols VALUES ({marks})", self._rows)
        self._rows.clear()
        if len(self._numbers) > 2_000_000:
            self._numbers.clear()

    def _number(self, name: str) -> int:
        known = self._numbers.get(name)
        if known is None:
            raw = (_bytes(name),)
            execute = self._connection.execute
            row = execute("SELECT id FROM names WHERE name = ?", raw).fetchone()
            known = row[0] if row else execute("INSERT INTO names VALUES (NULL, ?)", raw).lastrowid
            assert known is not None
            self._numbers[name] = known
        return known


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-8", "surrogateescape")


def _whole(number: int) -> int | str:
    """SQLite's integers end at 2^63."""
    return number if number < 1 << 63 else str(number)
