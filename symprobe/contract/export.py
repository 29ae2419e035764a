"""What find found as a Parquet table, for DuckDB, Spark, Trino: whatever reads Parquet.

Columns: path, member, build_id, name, demangled, version (null: none), default_version, defined
(else imported), kind, bind, table, size, address (bytes and link-time address of a definition).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, BinaryIO

from symprobe.contract.occurrence import Scanned
from symprobe.errors import FileError, SymprobeError

_BATCH = 50_000


def write_parquet(file: BinaryIO, name: str, found: Iterable[Scanned]) -> int:
    """One row an occurrence, written as they come. Returns the number of rows.

    name: of the file, in errors.

    Texts that are not UTF-8 have their bytes written out as \\udcXX. Errors: SymprobeError
    without pyarrow, FileError.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise SymprobeError(
            "Parquet needs pyarrow", next_step="pip install 'symprobe[parquet]'"
        ) from None
    text, number, flag = pa.string(), pa.uint64(), pa.bool_()
    shape = {
        "path": text, "member": text, "build_id": text, "name": text, "demangled": text,
        "version": text, "default_version": flag, "defined": flag, "kind": text, "bind": text,
        "table": text, "size": number, "address": number,
    }  # fmt: skip
    schema = pa.schema(list(shape.items()))
    count = 0
    rows: list[tuple[Any, ...]] = []
    try:
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:

            def flush() -> None:
                columns = list(zip(*rows, strict=True)) or [()] * len(shape)
                arrays = [
                    pa.array(column, kind)
                    for column, kind in zip(columns, shape.values(), strict=True)
                ]
                writer.write_table(pa.Table.from_arrays(arrays, schema=schema))
                rows.clear()

            for scanned in found:
                rows.extend(_rows(scanned))
                count += len(scanned.occurrences)
                if len(rows) >= _BATCH:
                    flush()
            flush()
    except OSError as error:
        raise FileError(f"can't be written: {error}", file=name) from None
    return count


def _rows(scanned: Scanned) -> Iterable[tuple[Any, ...]]:
    path = _utf8(scanned.path)
    for o in scanned.occurrences:
        yield (
            path, _utf8(o.member) if o.member else None, scanned.build_id, _utf8(o.name),
            _utf8(o.demangled), None if o.version is None else _utf8(o.version),
            o.default_version, o.defined, o.kind, o.bind, o.table, o.size, o.vaddr,
        )  # fmt: skip


def _utf8(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
