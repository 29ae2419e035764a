"""find: who defines a symbol and who imports it, over whole trees, in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from symprobe.contract.names import wanted
from symprobe.contract.occurrence import Scanned
from symprobe.contract.pool import parallel
from symprobe.contract.scan import Scope, scan


def find(
    symbols: Sequence[str],
    files: Iterable[str],
    *,
    jobs: int = 1,
    locals_too: bool = False,
    build_ids: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Scanned]:
    """The files that define or import any of the SYMBOLs, or could not be read, as they come.

    files: paths; those that are neither ELF nor archives are passed over, those that are gone
    too.  Errors: PatternError.
    """
    for text in symbols:
        wanted(text)
    work = partial(_find_some, tuple(symbols), locals_too, build_ids)
    for result in parallel(work, files, jobs=jobs):
        progress(1)
        if result is not None:
            yield result


def _find_some(
    symbols: tuple[str, ...], locals_too: bool, build_ids: bool, paths: list[str]
) -> list[Scanned | None]:
    scope = Scope(tuple(map(wanted, symbols)), locals_too, build_ids)
    return [_with_hits(scan(path, scope)) for path in paths]


def _with_hits(scanned: Scanned | None) -> Scanned | None:
    if scanned is None or not (scanned.occurrences or scanned.error):
        return None
    return scanned
