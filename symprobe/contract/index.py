"""An index of what files define and import, in an SQLite file, so that each is read once only.

What it holds and how it is asked; refresh.py keeps it true. Several runs may use one index:
SQLite's locks keep them apart, a reader sees the state before or after another's update.

Source: "File Locking And Concurrency", "Write-Ahead Logging", "Pragma Statements" of SQLite.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from symprobe.contract.names import Wanted
from symprobe.contract.occurrence import NO_KEY, Occurrence, Scanned
from symprobe.demangle import demangle_many
from symprobe.errors import FileError

Result = TypeVar("Result")

_APPLICATION = 0x53594D50
"""PRAGMA application_id: "SYMP"."""
_VERSION = 2
_PATIENCE = 600.0
"""Seconds to wait for another run that updates the same index."""
_SCHEMA = """
CREATE TABLE files (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, stamp BLOB NOT NULL,
  build_id TEXT, error TEXT NOT NULL, watched INTEGER NOT NULL);
CREATE INDEX files_watched ON files (path) WHERE watched;
CREATE INDEX files_that_failed ON files (id) WHERE error != '';
CREATE TABLE directories (path BLOB PRIMARY KEY, stamp BLOB NOT NULL, problem TEXT NOT NULL)
  WITHOUT ROWID;
CREATE TABLE names (id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE);
CREATE TABLE symbols (name INTEGER NOT NULL, file INTEGER NOT NULL, member BLOB NOT NULL,
  version BLOB, is_default INTEGER, defined INTEGER, kind TEXT, bind TEXT, size, address,
  origin TEXT)
"""
SYMBOL_INDEXES = {
    "symbols_by_name": "CREATE INDEX symbols_by_name ON symbols (name)",
    "symbols_by_file": "CREATE INDEX symbols_by_file ON symbols (file)",
}
"""Apart from the rest: a table that is filled for the first time gets them at the end."""
_STATEMENTS = frozenset([*map(str.strip, _SCHEMA.split(";")), *SYMBOL_INDEXES.values()])
_STRANGE = "holds what symprobe does not write"
_OCCURRENCE = (
    int, bytes, (bytes, type(None)), int, int, str, str, (int, str), (int, str), str,
)  # fmt: skip


class Index:
    """An open index. Errors: FileError when the file is another program's, or stays locked."""

    def __init__(
        self, path: str, *, tell: Callable[[str], None] = lambda _: None, as_it_is: bool = False
    ) -> None:
        """tell: called with a sentence when the index had to be rebuilt.  as_it_is: nobody will
        fill an empty one, so that a file that can't be used is an error (FileError) and stays."""
        self._path = path
        self._tell = tell
        self._as_it_is = as_it_is
        self.connection = self._open()

    def _open(self) -> sqlite3.Connection:
        try:
            return _patiently(self._connect)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise self._failure(error) from None
            return self.rebuild(error)

    def _connect(self) -> sqlite3.Connection:
        # Before: connecting opens the file, whose place another run may give to a new one.
        self._inode = _inode(self._path)
        connection = sqlite3.connect(self._path, timeout=1.0, isolation_level=None)
        try:
            connection.execute("BEGIN")  # one state, though another run may be making the index
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
            schema = {statement for (statement,) in rows}
            connection.execute("COMMIT")
            if application != _APPLICATION and schema:
                raise FileError(
                    "is a database of another program",
                    file=self._path,
                    next_step="name another file for --index",
                )
            ours = application == _APPLICATION and version == _VERSION and schema == _STATEMENTS
            if schema and not ours:  # no view or trigger of a stranger's is ever evaluated
                raise sqlite3.DatabaseError("made by another version of symprobe")
            if self._as_it_is and not schema:
                raise sqlite3.DatabaseError("an empty file")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            if not schema:
                self._create(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        _patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for statement in sorted(_STATEMENTS, reverse=True):  # tables before their indexes
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all that is done inside it counts, or none.

        Errors: sqlite3.Error, FileError.
        """
        connection = self.connection
        _patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def rebuild(self, why: sqlite3.DatabaseError) -> sqlite3.Connection:
        """Put a file that can't be used aside and begin anew: it may be something of value."""
        if self._as_it_is:
            raise FileError(
                f"the index can't be used: {why}",
                file=self._path,
                next_step="leave out --no-refresh to build it anew",
            )
        with suppress(FileNotFoundError), open(self._path, "rb") as file:
            # Another run may find the same, and must not put aside what this one makes.
            fcntl.flock(file, fcntl.LOCK_EX)
            if _inode(self._path) == self._inode:
                self._put_aside()
        try:
            self.connection = _patiently(self._connect)
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from None
        return self.connection

    def _put_aside(self) -> None:
        aside = f"{self._path}.corrupt"
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.unlink(self._path + suffix)
        os.replace(self._path, aside)
        self._tell(f"{self._path}: corrupt: kept as {aside}, rebuilt")

    def _failure(self, error: sqlite3.Error) -> FileError:
        return FileError(
            f"the index can't be used: {error}",
            file=self._path,
            next_step="is its directory writable, does another run use it?",
        )

    def close(self) -> None:
        self.connection.close()

    def guarded(self, action: Callable[[], None]) -> None:
        """Run an action on the index, once more on a new one when the file proves corrupt.

        Errors: FileError.
        """
        try:
            try:
                action()
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                self.connection.close()
                self.rebuild(error)
                action()
        except sqlite3.Error as error:
            raise self._failure(error) from None

    def find(self, wanted: Sequence[Wanted], tops: Sequence[str]) -> list[Scanned]:
        """As find() of the files below `tops` that the index knows, in the order of their paths.

        Errors: sqlite3.Error.
        """
        self.connection.execute("BEGIN")  # one state, whatever another run writes meanwhile
        try:
            rows = [row for row in self._found(wanted) if _below(row.path, tops)]
        finally:
            self.connection.execute("COMMIT")
        return sorted(rows, key=lambda row: row.path)

    def _found(self, wanted: Sequence[Wanted]) -> Iterator[Scanned]:
        """The files with an occurrence, then those that could not be read."""
        found: dict[int, dict[Occurrence, None]] = {}
        for each in wanted:
            for name, number in self._names(each):
                for file, occurrence in self._occurrences(name, number):
                    if each.version in (None, occurrence.version):
                        found.setdefault(file, {})[occurrence] = None
        execute, types = self.connection.execute, (bytes, (str, type(None)), str)
        query = "SELECT path, build_id, error FROM files WHERE id = ?"
        for file, occurrences in found.items():
            for path, build_id, error in of_types(execute(query, (file,)), *types):
                yield Scanned(os.fsdecode(path), NO_KEY, build_id, tuple(occurrences), error)
        failed = execute("SELECT id, path, build_id, error FROM files WHERE error != ''")
        for file, path, build_id, error in of_types(failed, int, *types):
            if file not in found:
                yield Scanned(os.fsdecode(path), NO_KEY, build_id, (), error)

    def _names(self, wanted: Wanted) -> Iterator[tuple[str, int]]:
        """The names of the index that a SYMBOL means, with their numbers."""
        execute, types = self.connection.execute, (bytes, int)
        if wanted.prefixes is not None:  # a few places of the sorted names hold them all
            rows: list[tuple[bytes, int]] = []
            for prefix in wanted.prefixes:
                query = "SELECT name, id FROM names WHERE name >= ? AND name < ?"
                rows += of_types(execute(query, (prefix, prefix + b"\xff")), *types)
        else:
            rows = list(of_types(execute("SELECT name, id FROM names"), *types))
        kept = set(wanted.among([name for name, _ in rows]))
        for name, number in rows:
            if name in kept:
                yield name.decode("utf-8", "surrogateescape"), number

    def _occurrences(self, name: str, number: int) -> Iterator[tuple[int, Occurrence]]:
        columns = "file, member, version, is_default, defined, kind, bind, size, address, origin"
        query = f"SELECT {columns} FROM symbols WHERE name = ?"
        (readable,) = demangle_many([name])
        for row in of_types(self.connection.execute(query, (number,)), *_OCCURRENCE):
            file, member, version, default, defined, kind, bind, size, address, origin = row
            if not (f"{size}{address}".isdecimal() and f"{kind}{bind}{origin}".isprintable()):
                raise sqlite3.DatabaseError(_STRANGE)
            yield file, Occurrence(
                member.decode("utf-8", "surrogateescape"), name, readable,
                None if version is None else version.decode("utf-8", "surrogateescape"),
                bool(default), bool(defined), kind, bind, int(size), int(address), origin,
            )  # fmt: skip


def of_types(rows: Iterable[Any], *types: type | tuple[type, ...]) -> Iterator[Any]:
    """The rows, whose columns are what symprobe writes: the file may be anybody's.

    Errors: sqlite3.DatabaseError.
    """
    for row in rows:
        if not all(map(isinstance, row, types)):
            raise sqlite3.DatabaseError(_STRANGE)
        yield row


def _below(path: str, tops: Sequence[str]) -> bool:
    return any(path == top or path.startswith(os.path.join(top, "")) for top in tops)


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None


def _patiently(action: Callable[[], Result]) -> Result:
    """What an action gives once no other run holds the index locked."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return action()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
