"""`symprobe find`: who defines a symbol, and who imports it?"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from symprobe.cli import options as opt
from symprobe.cli.output import complain, emit, emit_document
from symprobe.cli.progress import progress
from symprobe.cli.writing import Output
from symprobe.contract.names import wanted
from symprobe.contract.occurrence import Scanned
from symprobe.contract.walk import Problem, Walk
from symprobe.errors import FileError, PatternError
from symprobe.render.find import hit_lines, hit_value

if TYPE_CHECKING:
    from symprobe.contract.index import Index

app = typer.Typer(rich_markup_mode=None, add_completion=False)


_SymbolAndPaths = Annotated[
    list[str],
    typer.Argument(
        metavar="SYMBOL PATH...",
        help="Name, NAME@VERSION, glob or /regex/; then files and directories.",
    ),
]
_MoreSymbols = Annotated[
    list[str] | None,
    typer.Option(
        "--symbol",
        "-e",
        metavar="SYMBOL",
        help="Look for this one (repeatable); then all arguments are PATHs.",
    ),
]


@app.command(name="find", cls=opt.Command)
def find_command(
    arguments: _SymbolAndPaths,
    symbol: _MoreSymbols = None,
    defines: Annotated[bool, typer.Option("--defines", help="Only who defines it.")] = False,
    imports: Annotated[bool, typer.Option("--imports", help="Only who imports it.")] = False,
    all_tables: Annotated[
        bool,
        typer.Option("--all", help="Also definitions that others can't bind to (static ones)."),
    ] = False,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-L", help="Also what symbolic links lead to outside the PATHs."),
    ] = False,
    index: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Keep what was read in FILE, to read it once only."),
    ] = None,
    refresh: Annotated[
        bool | None,
        typer.Option(
            "--refresh/--no-refresh",
            help="Compare every file with the index; or answer from it as it is.",
        ),
    ] = None,
    export: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write a Parquet table (needs pyarrow) instead of text."),
    ] = None,
    as_json: opt.AsJson = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only the exit code.")] = False,
    jobs: opt.Jobs = None,
) -> int:
    """Say which files below PATHs define a symbol and which import it, as they are found.

    Exit code 0: some file does; 1: none does; 2: something could not be read.
    """  # fmt: skip
    symbols, paths = _arguments(arguments, symbol)
    query = _Query(symbols, paths, follow, all_tables, jobs or len(os.sched_getaffinity(0)))
    if index is None and refresh is not None:
        raise PatternError(f"--{'' if refresh else 'no-'}refresh without --index")
    if index is not None:
        answers = _indexed(query, index, refresh)
    else:
        gathers = as_json or quiet or export is not None or not sys.stdout.isatty()
        answers = _walked(query, build_ids=export is not None, bar=gathers)
    seen = _Seen(defines, imports)
    heard = _told(seen.through(answers), export=export, as_json=as_json, quiet=quiet)
    return 0 if not heard else 2 if seen.failed else 0 if seen.count else 1


def _told(hits: Iterator[Scanned], *, export: str | None, as_json: bool, quiet: bool) -> bool:
    """Write the hits; False when the reader has gone."""
    if export is not None:
        from symprobe.contract.export import write_parquet

        with Output(export) as file:
            write_parquet(file.file, export, hits)
    elif as_json:
        from symprobe.render.json import document

        found = sorted(hits, key=lambda hit: hit.path)
        emit_document([document("find", {"files": [hit_value(each) for each in found]})])
    else:
        for each in hits:
            if not quiet and not emit(hit_lines(each)):
                return False
    return True


class _Query(NamedTuple):
    """What was asked for."""

    symbols: list[str]
    paths: list[str]
    follow: bool
    all_tables: bool
    jobs: int


class _Seen:
    """Counts the answers that pass, and complains of what could not be read."""

    def __init__(self, defines: bool, imports: bool) -> None:
        self._only = defines if defines != imports else None
        self.count = 0
        self.failed = False

    def through(self, answers: Iterable[Scanned | Problem]) -> Iterator[Scanned]:
        """The answers with something of what was asked for."""
        for answer in answers:
            if isinstance(answer, Problem):
                complain(f"{answer.path}: {answer.reason}")
                self.failed = True
                continue
            if answer.error:
                complain(f"{answer.path}: {answer.error}")
                self.failed = True
            kept = tuple(o for o in answer.occurrences if self._only in (None, o.defined))
            if kept:
                self.count += 1
                yield answer._replace(occurrences=kept)


def _walked(query: _Query, *, build_ids: bool, bar: bool) -> Iterator[Scanned | Problem]:
    """Every file is read."""
    from symprobe.contract.find import find  # with the readers of ELF, which an index spares

    walk = Walk(query.paths, follow=query.follow)
    with progress("searching", None, shown=bar) as advance:
        yield from find(
            query.symbols,
            walk,
            jobs=query.jobs,
            locals_too=query.all_tables,
            build_ids=build_ids,
            progress=advance,
        )
    yield from walk.problems


def _indexed(query: _Query, path: str, every_file: bool | None) -> Iterator[Scanned | Problem]:
    """Only the files that the index does not know are read. every_file: None to look at those that
    may matter, False for none."""
    from symprobe.contract.index import Index

    if query.all_tables:
        raise PatternError("an index holds no local symbols", next_step="leave out --all")
    if every_file is False and not os.path.exists(path):
        raise FileError("no such index", file=path, next_step="leave out --no-refresh")
    tops = [os.path.abspath(top) for top in query.paths]
    symbols = [wanted(text) for text in query.symbols]
    index = Index(path, tell=complain, as_it_is=every_file is False)
    answers: list[Scanned | Problem] = []

    def ask() -> None:
        answers.clear()
        answers.extend(_refreshed(index, tops, query, every_file))
        answers.extend(index.find(symbols, tops))

    try:
        index.guarded(ask)
    finally:
        index.close()
    yield from answers


def _refreshed(
    index: Index, tops: list[str], query: _Query, every_file: bool | None
) -> list[Problem]:
    from symprobe.contract.refresh import refresh, unanswered

    if every_file is False:
        return list(unanswered(index.connection, tops))
    with progress("indexing", None) as advance:
        return refresh(
            index,
            tops,
            follow=query.follow,
            every_file=bool(every_file),
            jobs=query.jobs,
            progress=advance,
        )


def _arguments(arguments: list[str], symbol: list[str] | None) -> tuple[list[str], list[str]]:
    symbols, paths = (symbol, arguments) if symbol else (arguments[:1], arguments[1:])
    if not paths:
        raise PatternError("no PATH given", next_step="for example: symprobe find memcpy /usr/lib")
    return symbols, paths
