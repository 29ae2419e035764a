"""Where probes go: the values that resolve/ makes and trace/ takes.

NamedTuples, because `resolve` defines them at every start (see model.py).
"""

from typing import NamedTuple

from symprobe.model import FileOffset, FilePath, TextEnum, VAddr


class EntryCost(TextEnum):
    """What a uprobe on an instruction costs the traced program (x86-64, measured)."""

    EMULATED = "emulated"
    """The kernel emulates the instruction: about 0.5 µs a hit."""
    SINGLE_STEPPED = "single-stepped"
    """Executed out of line with a trap: about 10 µs a hit in a virtual machine."""
    UNKNOWN = "unknown"


class SourceInfo(NamedTuple):
    """What DWARF says of a function: parameters as (name, type), None when nobody knows them
    (assembler); number of inlined copies."""

    file: str
    line: int
    parameters: tuple[tuple[str, str], ...] | None = ()
    inlined: int = 0


class ProbeTarget(NamedTuple):
    """One place for one probe: unique by inode and file offset.

    offset is the function's entry; cheap_offset, when there is one, the place
    just behind `endbr64` and the like where a probe counts the same calls for
    a twentieth of the price (never for return probes).
    """

    file: FilePath
    inode: tuple[int, int]
    """(st_dev, st_ino) of the file opened."""
    build_id: str | None
    offset: FileOffset
    vaddr: VAddr
    names: tuple[str, ...]
    """Every alias as nm prints it, the preferred one first."""
    demangled: tuple[str, ...]
    """The same names as nm -C prints them, parallel to names."""
    kind: str
    size: int
    version: str | None = None
    cheap_offset: FileOffset | None = None
    cost: EntryCost = EntryCost.UNKNOWN
    return_probe: bool = True
    """False where a return probe would harm the program (Go)."""
    source: SourceInfo | None = None
    notes: tuple[str, ...] = ()


class Reason(TextEnum):
    """Why a name did not become a probe target."""

    NOT_FOUND = "not-found"
    UNDEFINED = "undefined"
    ONLY_INLINED = "only-inlined"
    NOT_CODE = "not-code"
    NOT_EXECUTABLE = "not-executable"
    NO_FILE_OFFSET = "no-file-offset"
    REFUSED_INSTRUCTION = "refused-instruction"
    UNSAFE_INSTRUCTION = "unsafe-instruction"
    """The kernel takes a probe there, and then runs the instruction wrongly."""
    NOT_INSTRUCTION_BOUNDARY = "not-instruction-boundary"
    OUTSIDE_FUNCTION = "outside-function"
    VERSION_NOT_FOUND = "version-not-found"
    GO_RETURN = "go-return"
    KERNEL = "kernel"


class Rejected(NamedTuple):
    """A name that can't be probed: the reason as a value, and a sentence for the reader."""

    name: str
    reason: Reason
    detail: str


class Resolution(NamedTuple):
    """The answer to `resolve`: where probes go, and what can't be probed and why.

    unmatched: the SYMBOL arguments that gave no target at all.
    """

    targets: tuple[ProbeTarget, ...]
    rejected: tuple[Rejected, ...]
    unmatched: tuple[str, ...] = ()
