"""check: many files, many rules, in several processes."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from symprobe.contract.contractfile import Clause
from symprobe.contract.judge import Outcome, judge
from symprobe.contract.pool import parallel
from symprobe.contract.rules import Rule
from symprobe.contract.subject import Subject, Surroundings
from symprobe.contract.walk import Problem, Walk, why
from symprobe.elf.source import open_regular
from symprobe.errors import FileError, SymprobeError
from symprobe.model import FilePath

_CHUNK = 16


class Candidate(NamedTuple):
    """A file to check. named: given by name, so that it has to be ELF, and to be there."""

    file: FilePath
    named: bool


class FileReport(NamedTuple):
    """What came of one file. error: why it could not be checked, empty when it was."""

    path: str
    outcomes: tuple[Outcome, ...]
    error: str = ""

    @property
    def held(self) -> bool:
        return not self.error and all(outcome.held for outcome in self.outcomes)


@dataclass(frozen=True)
class Report:
    """files: those checked, in the order of the candidates.  problems: what could not be looked
    at, unreadable directories for example."""

    files: tuple[FileReport, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def held(self) -> bool:
        """Whether everything promised is kept, and all of it could be checked."""
        return not self.problems and all(file.held for file in self.files)

    @property
    def errors(self) -> list[Problem]:
        """What could not be checked."""
        return [*self.problems, *(Problem(f.path, f.error) for f in self.files if f.error)]


@dataclass
class Candidates:
    """The files that TARGETs stand for, and what went wrong when they were gathered."""

    files: list[Candidate] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, text: str, locate: Callable[[str], FilePath]) -> None:
        """A directory, a glob, or whatever else `locate` knows. Errors: those of `locate`."""
        if os.path.isdir(text):
            self._walk([text])
        elif any(char in text for char in "*?[") and not os.path.lexists(text):
            found = sorted(glob.glob(text, recursive=True))
            if not found:
                self.problems.append(Problem(text, "no file matches"))
            self._walk(found)
        else:
            self.files.append(Candidate(locate(text), True))

    def _walk(self, paths: Sequence[str]) -> None:
        walk = Walk(paths)
        self.files += [Candidate(FilePath.plain(path), False) for path in walk]
        # A glob may well match what is no file.
        named = set(paths) if len(paths) > 1 else set()
        self.problems += [p for p in walk.problems if p.path not in named or os.path.isdir(p.path)]


def check(
    candidates: Sequence[Candidate],
    clauses: Sequence[Clause],
    surroundings: Surroundings,
    *,
    jobs: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[FileReport]:
    """A report for each ELF file among the candidates that a clause applies to, in their order.

    progress: called with the number of candidates that were looked at since the last call.
    """
    work = partial(_check_some, tuple(clauses), surroundings)
    numbered = enumerate(candidates)
    reports: dict[int, FileReport | None] = {}
    following = 0
    for number, report in parallel(work, numbered, jobs=jobs, chunk=_CHUNK):
        progress(1)
        reports[number] = report
        while following in reports:
            ready = reports.pop(following)
            following += 1
            if ready is not None:
                yield ready


def _check_some(
    clauses: tuple[Clause, ...],
    surroundings: Surroundings,
    numbered: list[tuple[int, Candidate]],
) -> list[tuple[int, FileReport | None]]:
    return [(number, _check_one(clauses, surroundings, each)) for number, each in numbered]


def _check_one(
    clauses: tuple[Clause, ...], surroundings: Surroundings, candidate: Candidate
) -> FileReport | None:
    """None: no ELF file, or none that a clause applies to."""
    file = candidate.file
    if not candidate.named:
        problem = _not_elf(file)
        if problem is None or problem:
            return FileReport(file.shown, (), problem) if problem else None
    rules = rules_for(clauses, file.shown)
    if not rules:
        if not candidate.named:
            return None
        return FileReport(file.shown, (), "no [[file]] of the contract applies to it")
    try:
        subject = Subject(file, surroundings)
        outcomes = tuple(judge(subject, rule) for rule in rules)
    except SymprobeError as error:
        if not candidate.named and not os.path.lexists(file.opened):
            return None  # it was there when the tree was walked
        return FileReport(file.shown, (), error.what)
    return FileReport(file.shown, outcomes)


def _not_elf(file: FilePath) -> str | None:
    """None: not ELF, or gone meanwhile.  Empty: ELF.  Else why it can't be read."""
    try:
        fd = open_regular(file)
    except FileNotFoundError:
        return None
    except FileError as error:
        return error.what
    except (OSError, ValueError) as error:
        return why(error)
    try:
        return "" if os.pread(fd, 4, 0) == b"\x7fELF" else None
    except OSError as error:
        return why(error)
    finally:
        os.close(fd)


def rules_for(clauses: Iterable[Clause], path: str) -> tuple[Rule, ...]:
    """The rules of all clauses that apply to a path, each once."""
    rules = (rule for clause in clauses if clause.applies(path) for rule in clause.rules)
    return tuple(dict.fromkeys(rules))


def unmatched(clauses: Iterable[Clause], paths: Sequence[str]) -> list[FileReport]:
    """A broken promise for each clause that is about none of the files: it would hold silently."""
    return [
        FileReport(
            clause.pattern,
            (Outcome("exists", "exists", False, "no ELF file matches this path"),),
        )
        for clause in clauses
        if not clause.optional and not any(map(clause.applies, paths))
    ]
