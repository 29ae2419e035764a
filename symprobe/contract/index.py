"""An index of what files define and import, in an SQLite file, so that each is read once only.

Files are known by path, size, mtime, ctime, device and inode; what changed is read again, what is
gone is taken out. Several runs may use one index: SQLite's locks keep them apart, a reader sees
the state before or after another's update.

Source: "File Locking And Concurrency", "Write-Ahead Logging", "Pragma Statements" of SQLite.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from symprobe.contract.names import Wanted
from symprobe.contract.pool import parallel
from symprobe.contract.scan import NO_KEY, Key, Occurrence, Scanned, Scope, scan, stat_key
from symprobe.demangle import demangle_many
from symprobe.errors import FileError

_APPLICATION = 0x53594D50
"""PRAGMA application_id: "SYMP"."""
_VERSION = 1
_SETTLED = 2_000_000_000
"""Nanoseconds after which a file's times tell any later change."""
_PATIENCE = 600.0
"""Seconds to wait for another run that updates the same index."""
_SCHEMA = """
CREATE TABLE files (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, stamp TEXT NOT NULL,
  build_id TEXT, error TEXT NOT NULL, is_elf INTEGER);
CREATE TABLE names (id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE);
CREATE TABLE symbols (name INTEGER NOT NULL, file INTEGER NOT NULL, member BLOB NOT NULL,
  version BLOB, is_default INTEGER, defined INTEGER, kind TEXT, bind TEXT, size TEXT, address TEXT,
  origin TEXT);
CREATE INDEX symbols_by_name ON symbols (name);
CREATE INDEX symbols_by_file ON symbols (file);
CREATE INDEX files_that_failed ON files (id) WHERE error != '';
"""


class Index:
    """An open index. Errors: FileError when the file is another program's, or stays locked."""

    def __init__(self, path: str, *, tell: Callable[[str], None] = lambda _: None) -> None:
        """tell: called with a sentence when the index had to be rebuilt."""
        self._path = path
        self._tell = tell
        self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise self._failure(error) from None
            return self.rebuild()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=1.0, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if application != _APPLICATION and tables:
                raise FileError(
                    "is a database of another program",
                    file=self._path,
                    next_step="name another file for --index",
                )
            if application == _APPLICATION and version == _VERSION:
                return connection
            if tables:
                raise sqlite3.DatabaseError("made by another version of symprobe")
            self._create(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        self._begin(connection)
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("COMMIT")

    def rebuild(self) -> sqlite3.Connection:
        """Put a file that can't be used aside and begin anew: it may be something of value."""
        aside = f"{self._path}.corrupt"
        for suffix in ("-wal", "-shm"):
            if os.path.exists(self._path + suffix):
                os.unlink(self._path + suffix)
        if os.path.exists(self._path):
            os.replace(self._path, aside)
        self._tell(f"{self._path}: corrupt: kept as {aside}, rebuilt")
        try:
            self._connection = self._connect()
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from None
        return self._connection

    def _begin(self, connection: sqlite3.Connection) -> None:
        """A transaction that writes, once others have finished theirs."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise

    def _failure(self, error: sqlite3.Error) -> FileError:
        return FileError(
            f"the index can't be used: {error}",
            file=self._path,
            next_step="is its directory writable, does another run use it?",
        )

    def close(self) -> None:
        self._connection.close()

    def guarded(self, action: Callable[[], None]) -> None:
        """Run an action on the index, once more on a new one when the file proves corrupt.

        Errors: FileError.
        """
        try:
            try:
                action()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                self._connection.close()
                self.rebuild()
                action()
        except sqlite3.Error as error:
            raise self._failure(error) from None

    # -- updating

    def update(
        self,
        files: Iterable[str],
        tops: Sequence[str],
        *,
        jobs: int,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Make the index say what is below `tops` now. files: all that are there.

        Errors: sqlite3.Error, SymprobeError; then the index stays as it was.
        """
        connection = self._connection
        self._begin(connection)
        try:
            writer = _Writer(connection)
            known = {path: (stamp, number) for path, stamp, number in self._known(tops)}
            changed = _changed(files, known, writer.drop, progress)
            for scanned in parallel(_scan_some, changed, jobs=jobs):
                if scanned is not None:
                    writer.put(scanned)
            for _, number in known.values():  # those that were not met are gone
                writer.drop(number)
            writer.flush()
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _known(self, tops: Sequence[str]) -> Iterator[tuple[str, str, int]]:
        for path, stamp, number in self._connection.execute("SELECT path, stamp, id FROM files"):
            text = os.fsdecode(path)
            if _below(text, tops):
                yield text, stamp, number

    # -- asking

    def find(self, wanted: Sequence[Wanted], tops: Sequence[str]) -> Iterator[Scanned]:
        """As find() of the files below `tops` that the index knows, in the order of their paths.

        Errors: sqlite3.Error.
        """
        found: dict[int, dict[Occurrence, None]] = {}
        for each in wanted:
            for name, number in self._names(each):
                for file, occurrence in self._occurrences(name, number):
                    if each.version in (None, occurrence.version):
                        found.setdefault(file, {})[occurrence] = None
        rows = []
        query = "SELECT path, build_id, error FROM files WHERE id = ?"
        for file, occurrences in found.items():
            path, build_id, error = self._connection.execute(query, (file,)).fetchone()
            rows.append((os.fsdecode(path), build_id, error, occurrences))
        failed = "SELECT path, build_id, error FROM files WHERE error != ''"
        known = {row[0] for row in rows}
        for path, build_id, error in self._connection.execute(failed):
            if os.fsdecode(path) not in known:
                rows.append((os.fsdecode(path), build_id, error, {}))
        for text, build_id, error, occurrences in sorted(rows, key=lambda row: row[0]):
            if _below(text, tops):
                yield Scanned(text, NO_KEY, build_id, tuple(occurrences), error)

    def _names(self, wanted: Wanted) -> Iterator[tuple[str, int]]:
        """The names of the index that a SYMBOL means, with their numbers."""
        execute = self._connection.execute
        if wanted.prefixes is not None:  # a few places of the sorted names hold them all
            rows: list[tuple[bytes, int]] = []
            for prefix in wanted.prefixes:
                rows += execute(
                    "SELECT name, id FROM names WHERE name >= ? AND name < ?",
                    (prefix, prefix + b"\xff"),
                )
        else:
            rows = execute("SELECT name, id FROM names").fetchall()
        kept = set(wanted.among([name for name, _ in rows]))
        for name, number in rows:
            if name in kept:
                yield name.decode("utf-8", "surrogateescape"), number

    def _occurrences(self, name: str, number: int) -> Iterator[tuple[int, Occurrence]]:
        columns = "file, member, version, is_default, defined, kind, bind, size, address, origin"
        query = f"SELECT {columns} FROM symbols WHERE name = ?"
        (readable,) = demangle_many([name])
        for row in self._connection.execute(query, (number,)):
            file, member, version, default, defined, kind, bind, size, address, origin = row
            yield file, Occurrence(
                member.decode("utf-8", "surrogateescape"), name, readable,
                None if version is None else version.decode("utf-8", "surrogateescape"),
                bool(default), bool(defined), kind, bind, int(size), int(address), origin,
            )  # fmt: skip


def _below(path: str, tops: Sequence[str]) -> bool:
    return any(path == top or path.startswith(os.path.join(top, "")) for top in tops)


def _changed(
    files: Iterable[str],
    known: dict[str, tuple[str, int]],
    drop: Callable[[int], None],
    progress: Callable[[int], None],
) -> Iterator[str]:
    """The files that are not as the index knows them. Takes those that are there out of `known`,
    and out of the index when it knows them otherwise."""
    for path in files:
        progress(1)
        entry = known.pop(path, None)
        if entry is not None:
            if _stamp_of(path) == entry[0]:
                continue
            drop(entry[1])
        yield path


def _stamp_of(path: str) -> str | None:
    try:
        return _stamp(stat_key(os.stat(path)))
    except OSError:
        return None  # gone, or the scan will say


def _stamp(key: Key) -> str:
    return ":".join(map(str, key))


def _scan_some(paths: list[str]) -> list[Scanned | None]:
    return [scan(path, Scope(None, build_ids=True)) for path in paths]


def _settled(key: Key) -> str:
    """The stamp; none for a file written a moment ago, which may change again without its times
    telling: it will be read anew."""
    return _stamp(key) if time.time_ns() - key[2] > _SETTLED else ""


class _Writer:
    """Puts files into an index, and numbers names."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._rows: list[tuple[object, ...]] = []
        self._numbers: dict[str, int] = {}

    def drop(self, number: int) -> None:
        self._connection.execute("DELETE FROM symbols WHERE file = ?", (number,))
        self._connection.execute("DELETE FROM files WHERE id = ?", (number,))

    def put(self, scanned: Scanned) -> None:
        """Put in one file that the index does not know."""
        execute = self._connection.execute
        values = (
            os.fsencode(scanned.path), _settled(scanned.key), scanned.build_id, scanned.error,
            scanned.is_elf,
        )  # fmt: skip
        file = execute("INSERT INTO files VALUES (NULL, ?, ?, ?, ?, ?)", values).lastrowid
        for each in scanned.occurrences:
            self._rows.append(
                (
                    self._number(each.name), file, _bytes(each.member), _bytes(each.version),
                    each.default_version, each.defined, each.kind, each.bind, str(each.size),
                    str(each.vaddr), each.table,
                )
            )  # fmt: skip
        if len(self._rows) > 20_000:
            self.flush()

    def flush(self) -> None:
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
