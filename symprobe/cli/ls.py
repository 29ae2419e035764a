"""`symprobe ls`: list symbols."""

import gc
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import typer

from symprobe.binary import Binary, open_binaries
from symprobe.cli import options as opt
from symprobe.cli.complete import symbol_names
from symprobe.cli.output import complain, emit, emit_document
from symprobe.cli.targets import target
from symprobe.debuginfo import DEFAULT_DEBUG_ROOTS
from symprobe.demangle import demangle_many
from symprobe.elf.gather import Rows, gather
from symprobe.elf.notes import UsdtProbe
from symprobe.elf.rows import types_of
from symprobe.elf.symbols import SymbolTable
from symprobe.errors import PatternError, SymprobeError
from symprobe.grep import Grep
from symprobe.model import Kind, Symbol
from symprobe.render.ls import row_lines, symbol_lines, symbol_value, usdt_lines, usdt_value
from symprobe.render.text import path_line
from symprobe.target import Target

app = typer.Typer(rich_markup_mode=None, add_completion=False)


_AT_ONCE = 64
"""Blocks of lines that are written together."""
_MANY = 10_000
"""Entries of each table of a file, above which two processes list them."""
_ORDERS: dict[str, Callable[[Symbol], Any]] = {
    "name": lambda s: (s.name, s.vaddr),
    "address": lambda s: (not s.defined, s.vaddr, s.name),
    "size": lambda s: (s.size, s.vaddr, s.name),
}


_Pattern = Annotated[
    str | None,
    typer.Option(
        "--grep",
        "-g",
        metavar="RE",
        autocompletion=symbol_names,
        help="Only names (raw or demangled) in which this regular expression is found; "
        "with an @ in it, also names with their version.",
    ),
]
_KindNames = Annotated[
    str | None,
    typer.Option(
        metavar="KIND,...",
        help="Only func, object, ifunc, tls, notype, common, section, file, or a number.",
    ),
]
_Defined = Annotated[
    bool | None,
    typer.Option("--defined/--undefined", help="Only symbols defined, or needed, here."),
]
_Table = Annotated[Literal["dynsym", "symtab", "all"], typer.Option(help="Which symbol table.")]
_Order = Annotated[
    Literal["name", "address", "size"] | None,
    typer.Option(help="Order; the file's own without it."),
]


@app.command(cls=opt.Command)
def ls(
    targets: opt.Targets,
    grep: _Pattern = None,
    ignore_case: Annotated[bool, typer.Option("-i", "--ignore-case")] = False,
    fixed: Annotated[bool, typer.Option("-F", "--fixed-strings", help="RE is plain text.")] = False,
    kind: _KindNames = None,
    defined: _Defined = None,
    table: _Table = "all",
    sort: _Order = None,
    no_demangle: Annotated[bool, typer.Option("--no-demangle", help="Raw names.")] = False,
    count: Annotated[bool, typer.Option("--count", "-c", help="Only the number of rows.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only the exit code.")] = False,
    usdt: Annotated[bool, typer.Option(help="USDT probes instead of symbols.")] = False,
    debug_root: opt.DebugRoots = None,
    no_debug: Annotated[
        bool, typer.Option("--no-debug", help="No names from separate debug files.")
    ] = False,
    as_json: opt.AsJson = False,
) -> int:
    """List the symbols of ELF files, dynamic and static tables merged.

    Exit code 0: something was listed; 1: nothing matched; 2: a file could not be read.
    """
    gc.disable()  # rows make no cycles, and looking for them doubles the time of a long listing
    wanted = Grep(grep, ignore_case=ignore_case, fixed=fixed) if grep is not None else None
    kinds = _kinds(kind)
    plain = kinds if kinds is not None and Kind.COMMON not in kinds else None
    roots = () if no_debug else (*(debug_root or ()), *DEFAULT_DEBUG_ROOTS)
    writer = _Writer(as_json=as_json, count=count, quiet=quiet, demangled=not no_demangle)
    # A listing as text, without search, filter or order, needs no Symbols.
    whole = not as_json and wanted is None and defined is None and sort is None and plain == kinds
    failed = False
    for text in targets:
        try:
            found = target(text)
            for binary in open_binaries(found.file, debug_roots=roots):
                if usdt:
                    probes = [p for p in binary.usdt_probes if _wants(wanted, p)]
                    writer.usdt(found, binary, probes)
                elif whole and (tables := binary.plain_tables(table)) is not None:
                    writer.tables(found, binary, tables, types_of(plain))
                else:
                    symbols = binary.symbols(
                        wanted, table=table, demangle=not no_demangle, kinds=plain
                    )
                    symbols = _filtered(symbols, kinds, defined)
                    if sort is not None:
                        symbols.sort(key=_ORDERS[sort])
                    writer.symbols(found, binary, symbols)
                failed |= _warned(binary) and not writer.rows
        except SymprobeError as error:
            complain(str(error))
            failed = True
    writer.finish()
    if failed:
        return 2
    return 0 if writer.rows else 1


def _kinds(text: str | None) -> set[str] | None:
    if text is None:
        return None
    kinds = {part.strip().lower() for part in text.split(",") if part.strip()}
    unknown = [k for k in kinds if not k.isdigit() and k not in list(Kind)]
    if unknown:
        raise PatternError(
            f"unknown kind {', '.join(sorted(unknown))}", next_step=f"one of {', '.join(Kind)}"
        )
    return kinds


def _filtered(rows: list[Symbol], kinds: set[str] | None, defined: bool | None) -> list[Symbol]:
    if kinds is not None:
        common = Kind.COMMON in kinds
        rows = [s for s in rows if s.kind in kinds or (common and s.section == "COM")]
    if defined is not None:
        rows = [s for s in rows if s.defined == defined]
    return rows


def _wants(grep: Grep | None, probe: UsdtProbe) -> bool:
    return grep is None or grep.keep_text(f"{probe.provider}:{probe.name}")


def _warned(binary: Binary) -> bool:
    """Tell what is wrong with a file; whether anything was. Then "not there" can't be said."""
    for clause in binary.warnings:
        complain(f"{binary.path.shown}: warning: {clause}")
    return bool(binary.warnings)


class _Writer:
    """Prints each file's rows as they come, or gathers them for the JSON document."""

    def __init__(self, *, as_json: bool, count: bool, quiet: bool, demangled: bool) -> None:
        self._json = as_json
        self._count = count
        self._quiet = quiet
        self._demangled = demangled
        self._files: list[dict[str, Any]] = []
        self.rows = 0

    def symbols(self, found: Target, binary: Binary, rows: list[Symbol]) -> None:
        self.rows += len(rows)
        if self._json:
            self._files.append(
                _head(found, binary)
                | ({"count": len(rows)} if self._count else {"symbols": [*map(symbol_value, rows)]})
            )
        elif self._count or self._quiet:
            self._total(found, binary, len(rows))
        else:
            lines = symbol_lines(rows, binary.image.bits, demangled=self._demangled)
            emit([path_line(binary.path.shown, found.links) + ":", *lines])

    def tables(
        self,
        found: Target,
        binary: Binary,
        tables: list[SymbolTable],
        types: frozenset[int] | None,
    ) -> None:
        """All rows of tables, merged: the way of a long listing, which builds no Symbols."""
        rows = gather([(table, None) for table in tables[:1]], types)
        self.rows += len(rows)

        def further() -> Rows:
            more = gather([(table, None) for table in tables[1:]], types, known=rows)
            self.rows += len(more)
            return more

        if self._count or self._quiet:
            self._total(found, binary, len(rows) + len(further()))
            return
        emit([path_line(binary.path.shown, found.links) + ":"])
        demangle = demangle_many if self._demangled else None
        first = row_lines(binary.image, rows, demangle)
        if len(tables) > 1 and min(table.count for table in tables) > _MANY:
            self._beside(first, lambda: row_lines(binary.image, further(), demangle), binary)
        else:
            emit(first, _AT_ONCE)
            emit(row_lines(binary.image, further(), demangle), _AT_ONCE)

    def _beside(
        self, first: Iterator[str], others: Callable[[], Iterator[str]], binary: Binary
    ) -> None:
        """Lines, and others behind them that a child process makes meanwhile."""
        from symprobe.aside import Aside

        known = list(binary.warnings)

        def careful() -> Iterator[str]:
            yield from others()
            if binary.warnings != known:
                raise SymprobeError("there are warnings, which the child can't give")

        with Aside(careful) as aside:
            if not emit(first, _AT_ONCE):
                return
            text = aside.text()
        if text is None:
            emit(others(), _AT_ONCE)
        elif text:
            self.rows += text.count("\n")
            emit([text[:-1]])

    def usdt(self, found: Target, binary: Binary, probes: list[UsdtProbe]) -> None:
        self.rows += len(probes)
        if self._json:
            body = {"count": len(probes)} if self._count else {"usdt": [*map(usdt_value, probes)]}
            self._files.append(_head(found, binary) | body)
        elif self._count or self._quiet:
            self._total(found, binary, len(probes))
        else:
            lines = usdt_lines(probes, binary.image.bits)
            emit([path_line(binary.path.shown, found.links) + ":", *lines])

    def _total(self, found: Target, binary: Binary, number: int) -> None:
        if not self._quiet:
            emit([f"{number} {path_line(binary.path.shown, found.links)}"])

    def finish(self) -> None:
        if self._json and not self._quiet:
            from symprobe.render.json import document

            emit_document([document("ls", {"files": self._files})])


def _head(found: Target, binary: Binary) -> dict[str, Any]:
    from symprobe.render.json import put_text, texts

    value: dict[str, Any] = {}
    put_text(value, "path", binary.path.shown)
    put_text(value, "realpath", found.realpath)
    value["links"] = texts(found.links)
    if binary.warnings:
        value["warnings"] = list(binary.warnings)
    return value
