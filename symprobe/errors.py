"""Every way in which symprobe can fail, as one tree.

SymprobeError                  exit code 2: it could not be done
├── FileError                  the file can't be opened or read
│   ├── NotElfError            it is readable, but not ELF; says what it looks like
│   └── MalformedError         it is ELF, but its bytes contradict each other or end early
├── TargetError                the TARGET names no file, process or mapped library
├── PatternError               a SYMBOL, regular expression or filter can't be understood
├── TraceError                 the kernel, BCC or the machine refuses to trace
└── NotFoundError              exit code 1: it ran, but nothing matched

Each carries what was wrong, with which file, and the next step to try: the
command line prints them as one line, `symprobe: FILE: what: next step`.
"""

from __future__ import annotations


class SymprobeError(Exception):
    """Base of all errors raised on purpose by symprobe.

    what: the fault, a short clause.  file: what it is about, as the user should
    read it (empty: nothing in particular).  next_step: what to try (may be empty).
    """

    exit_code = 2
    default_next_step = ""

    def __init__(self, what: str, *, file: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.file = file
        self.next_step = next_step or self.default_next_step

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.what, self.next_step) if part)


class FileError(SymprobeError):
    """A file can't be opened or read (missing, permission, directory, FIFO, I/O error)."""


class NotElfError(FileError):
    """The file can be read but does not begin with the ELF magic number."""

    default_next_step = "give an ELF executable, library, object file or archive"


class MalformedError(FileError):
    """The ELF file contradicts itself or ends before a table that it announces."""

    default_next_step = "compare with 'readelf -hlS', the file may be truncated or corrupt"


class TargetError(SymprobeError):
    """A TARGET (path, name, pid:N, pid:N:lib) stands for no file."""


class PatternError(SymprobeError):
    """A SYMBOL, regular expression or filter that can't be understood."""


class TraceError(SymprobeError):
    """The kernel, BCC or this machine can't do what a trace needs."""

    default_next_step = "run 'symprobe doctor'"


class NotFoundError(SymprobeError):
    """It ran, but what was asked for is not there."""

    exit_code = 1
