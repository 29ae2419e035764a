"""`symprobe check`: a gate for pipelines."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Annotated

import typer

from symprobe.cli import check_ask as ask
from symprobe.cli import options as opt
from symprobe.cli.output import complain, emit, emit_document
from symprobe.cli.progress import progress
from symprobe.cli.targets import target
from symprobe.cli.writing import Output
from symprobe.contract.check import Candidate, Candidates, Report, check, unmatched
from symprobe.contract.contractfile import Clause, contract_lines, read_contract
from symprobe.contract.subject import Subject, Surroundings
from symprobe.debuginfo import DEFAULT_DEBUG_ROOTS
from symprobe.errors import PatternError, SymprobeError
from symprobe.render.check import report_lines, report_value

app = typer.Typer(rich_markup_mode=None, add_completion=False)


class Format(str, Enum):
    text = "text"
    json = "json"
    junit = "junit"
    sarif = "sarif"
    github = "github"


@app.command(name="check", cls=opt.Command)
def check_command(
    targets: ask.Targets = None,
    require: ask.Require = None,
    forbid: ask.Forbid = None,
    imported: ask.Imported = False,
    exported: ask.Exported = False,
    max_version: ask.MaxVersion = None,
    no_missing: ask.NoMissing = False,
    no_unresolved: ask.NoUnresolved = False,
    linkage: ask.Linkages = None,
    hardening: ask.Hardening = None,
    soname: ask.Soname = None,
    no_rpath: ask.NoRpath = False,
    probe: ask.Probe = None,
    contract: ask.Contracts = None,
    write_contract: ask.WriteContract = False,
    report_format: Annotated[Format, typer.Option("--format", help="Of the report.")] = Format.text,
    as_json: Annotated[bool, typer.Option("--json", help="As --format json.")] = False,
    output: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the report there, and text to the terminal."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also what holds, with the reason.")
    ] = False,
    jobs: opt.Jobs = None,
    library_path: Annotated[
        str | None, typer.Option(metavar="PATH", help="Instead of LD_LIBRARY_PATH.")
    ] = None,
    root: Annotated[
        str, typer.Option(metavar="DIR", help="What is / for the loader (--no-missing).")
    ] = "",
    debug_root: opt.DebugRoots = None,
) -> int:
    """Check that files hold what was promised: a gate for pipelines.

    Exit code 0: everything holds; 1: a rule is broken; 2: something could not be checked.
    """
    asked = ask.Asked(
        require or (), forbid or (), imported, exported, max_version or (), no_missing,
        no_unresolved, linkage, hardening, soname, no_rpath, probe or (),
    )  # fmt: skip
    around = _surroundings(library_path, root, debug_root or ())
    found = _candidates(targets or [os.path.dirname(c) or "." for c in contract or ()])
    if write_contract:
        return _write_contract(found, around)
    rules = asked.rules()
    clauses = [clause for path in contract or () for clause in read_contract(path)]
    if not rules and not clauses:
        raise PatternError("no rule given", next_step="see 'symprobe check --help'")
    own = [Clause("*", tuple(rules))] if rules else []
    report = _report(found, own, clauses, around, jobs or len(os.sched_getaffinity(0)))
    _show(report, Format.json if as_json else report_format, output, verbose)
    return 2 if report.errors else 0 if report.held else 1


def _surroundings(library_path: str | None, root: str, debug_roots: Sequence[str]) -> Surroundings:
    return Surroundings(
        library_path=os.environ.get("LD_LIBRARY_PATH") if library_path is None else library_path,
        preload=os.environ.get("LD_PRELOAD") if library_path is None else None,
        root=root,
        debug_roots=(*debug_roots, *DEFAULT_DEBUG_ROOTS),
    )


def _candidates(texts: list[str]) -> Candidates:
    found = Candidates()
    if not texts:
        raise PatternError("no TARGET given", next_step="see 'symprobe check --help'")
    for text in texts:
        found.add(text, lambda text: target(text).file)
    return found


def _report(
    found: Candidates, own: list[Clause], clauses: list[Clause], around: Surroundings, jobs: int
) -> Report:
    with progress("checking", len(found.files)) as advance:
        files = list(check(found.files, [*own, *clauses], around, jobs=jobs, progress=advance))
    problems = list(found.problems)
    if not files and not problems:
        raise SymprobeError("no ELF file to check", next_step="a gate without files holds nothing")
    if any(not candidate.named for candidate in found.files):
        files += unmatched(clauses, [file.path for file in files])
    return Report(tuple(files), tuple(problems))


def _show(report: Report, wanted: Format, output: str | None, verbose: bool) -> None:
    for problem in report.errors:
        complain(f"{problem.path}: {problem.reason}")
    lines = _lines(report, wanted, verbose)
    if output is None:
        (emit if wanted is Format.text else emit_document)(lines)
        return
    with Output(output) as file:
        for line in lines:
            file.write(f"{line}\n")
    emit(report_lines(report, verbose=verbose))


def _lines(report: Report, wanted: Format, verbose: bool) -> Iterator[str]:
    if wanted is Format.text:
        yield from report_lines(report, verbose=verbose)
    elif wanted is Format.json:
        from symprobe.render.json import document

        yield document("check", report_value(report))
    elif wanted is Format.junit:
        from symprobe.render.junit import junit_lines

        yield from junit_lines(report)
    elif wanted is Format.sarif:
        from importlib.metadata import version

        from symprobe.render.sarif import sarif_document

        yield sarif_document(report, version("symprobe"))
    else:
        from symprobe.render.github import github_lines

        yield from github_lines(report)


def _write_contract(found: Candidates, around: Surroundings) -> int:
    """Print a [[file]] table for each ELF file."""
    failed = bool(found.problems)
    for problem in found.problems:
        complain(f"{problem.path}: {problem.reason}")
    written = 0
    for candidate in found.files:
        try:
            subject = Subject(candidate.file, around)
        except SymprobeError as error:
            failed |= candidate.named
            if candidate.named:
                complain(str(error))
            continue
        lines = contract_lines(subject, _pattern(candidate))
        emit_document(["", *lines] if written else lines)
        written += 1
    if not written:
        raise SymprobeError("no ELF file to write a contract of")
    return 2 if failed else 0


def _pattern(candidate: Candidate) -> str:
    """The path below the current directory as a glob; of files elsewhere, the name alone. TOML
    has no way to write a byte that is not UTF-8: any one character stands for it."""
    path = os.path.relpath(candidate.file.shown)
    pattern = glob.escape(os.path.basename(path) if path.startswith("..") else path)
    return re.sub("[\ud800-\udfff]", "?", pattern)
