"""Programs that count their own calls, the places of their functions by nm and readelf, and a
shell whose mounts nobody else sees."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from symprobe.model import FileOffset, FilePath, VAddr
from symprobe.probe import ProbeTarget
from tests.support.offsets import by_segments
from tests.support.readelf import run

SOURCES = Path(__file__).parents[2] / "fixtures" / "resolve_emit"
LINKED = {
    "pie": ("-pie", "-fPIE"),
    "nopie": ("-no-pie", "-fno-pie"),
    "static": ("-static",),
    "static-pie": ("-static-pie", "-fPIE"),
    # Its segments lie at several distances from their places in the file.
    "moved": ("-pie", "-fPIE", "-Wl,--section-start=.text=0x10000"),
    "covered": ("-pie", "-fPIE", "-Wl,--section-start=.text=0x10000", "-DCOVER"),
    "no-debug": ("-pie", "-fPIE", "-g0"),
}
ODD = b"o dd,d'\"$(x):\xc3\xa9\xc3\xa0#;*[a]\\\n\x1b\xff"
"""A directory whose name no tool takes as it is."""
FAIR = 'fair d,"q$(y)=é;&{}|!~`'
"""A directory whose name wants quoting."""
FUNCTIONS = ("work", "twin", "other-twin", "fast", "api_old", "api_new")

ISOLATED = """
mount -t tmpfs tmpfs /run
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
"""


class Case(NamedTuple):
    """A place, and how often one run of all programs calls it, as they counted themselves."""

    program: str
    place: str
    target: ProbeTarget
    calls: int

    @property
    def name(self) -> str:
        return f"{self.program} {self.place}"


class Programs:
    """The programs in a directory of their own; `run_all` is a shell script that runs each once."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._symbols: dict[str, Path] = {}  # of which file nm reads the symbols
        self._files: dict[str, FilePath] = {}
        self._commands: list[str] = []
        self.executables: dict[str, Path] = {}
        self._linked()
        self._library()
        self._stripped("pie")
        self._stripped("nopie")
        self._copied("odd", ODD)
        self._copied("fair", FAIR.encode())
        self.calls = self._counted()
        self.run_all = directory / "run-all.sh"
        self.rewrite()

    def rewrite(self, *more: str) -> None:
        self.run_all.write_text("\n".join((*self._commands, *more, "")))

    def case(self, program: str, place: str) -> Case:
        """A place such as `work`, or `work+1`, whose names say which session this is, because
        the kernel's events are everybody's."""
        function, _, delta = place.partition("+")
        name, nth = ("twin", function == "other-twin") if "twin" in function else (function, 0)
        symbols = self._symbols[program]
        rows = re.findall(rf"^([0-9a-f]+) [tT] {name}$", run("nm", "-n", str(symbols)), re.M)
        vaddr = VAddr(int(rows[nth], 16) + int(delta or 0))
        offset = by_segments(str(symbols))(_at(vaddr))
        assert offset is not None
        file = self._files[program]
        status = os.stat(file.opened)
        names = (f"{name}_{program.replace('-', '_')}_{os.getpid()}@@V2+0x{int(delta or 0):x}",)
        target = ProbeTarget(
            file, (status.st_dev, status.st_ino), None, FileOffset(offset), vaddr,
            names, names, "func", 0, return_probe=not delta,
        )  # fmt: skip
        return Case(program, place, target, self.calls[function])

    @contextmanager
    def contained(self) -> Iterator[None]:
        """While this lasts two more programs run with the others, in the mount namespace of a
        process: `contained` is seen through /proc/PID/root, `deleted` through a descriptor."""
        box, go, done = (self.directory / name for name in ("box", "go", "done"))
        box.mkdir()
        os.mkfifo(go)
        os.mkfifo(done)
        source, inside = self.executables["nopie"], box / "contained"
        script = (
            f"mount -t tmpfs tmpfs {box} && cp {source} {inside} && cp {source} {box}/deleted\n"
            f"exec 9<{box}/deleted; rm {box}/deleted && echo ready\n"
            f"while read -r line <{go}; do {{ {inside}; /proc/self/fd/9; }} >{done}; done"
        )
        command = ["unshare", "--mount", "sh", "-c", script]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            own = f"/proc/{process.pid}"
            self._symbols |= {"contained": source, "deleted": source}
            self._files["contained"] = FilePath(f"{own}/root{inside}", str(inside))
            self._files["deleted"] = FilePath(f"{own}/fd/9", f"{box}/deleted")
            self.rewrite(f"echo go >{go}", f"cat {done}")
            try:
                yield
            finally:
                self.rewrite()
                process.terminate()

    def _linked(self) -> None:
        for program, flags in LINKED.items():
            _compile(self.directory / program, *flags, "main.c", "counted.c", "twin.c")
            self._add(program, self.directory / program)

    def _library(self) -> None:
        library, user = self.directory / "libcounted.so", self.directory / "user"
        flags = ("-shared", "-fPIC", "-DLIBRARY", "-Wl,-soname,libcounted.so")
        versions = f"-Wl,--version-script={SOURCES}/versions.map"
        _compile(library, *flags, versions, "counted.c", "twin.c")
        _compile(user, "main.c", str(library), "-Wl,-rpath,$ORIGIN")
        self._add("library", library, user)
        stripped = self.directory / "stripped"
        stripped.mkdir()
        shutil.copy(user, stripped)
        run("strip", "-o", str(stripped / library.name), str(library))
        self._add("library-stripped", stripped / library.name, stripped / user.name)
        self._symbols["library-stripped"] = library

    def _stripped(self, program: str) -> None:
        stripped = self.directory / f"{program}-stripped"
        run("strip", "-o", str(stripped), str(self.directory / program))
        self._add(stripped.name, stripped)
        self._symbols[stripped.name] = self.directory / program

    def _copied(self, name: str, folder: bytes) -> None:
        path = self.directory / os.fsdecode(folder) / "pie"
        path.parent.mkdir()
        path.write_bytes((self.directory / "pie").read_bytes())
        path.chmod(0o755)
        self._add(name, path)
        self._symbols[name] = self.directory / "pie"
        link = self.directory / f"run-{name}"
        link.symlink_to(path)
        self._commands[-1] = str(link)

    def _add(self, program: str, file: Path, executable: Path | None = None) -> None:
        self._symbols[program] = file
        self._files[program] = FilePath.plain(str(file))
        self.executables[program] = executable or file
        self._commands.append(shlex.quote(str(executable or file)))

    def _counted(self) -> dict[str, int]:
        """What each program says that it counted: the same for all."""
        said = {run("sh", "-c", command) for command in self._commands}
        assert len(said) == 1
        rows = (line.split() for line in said.pop().splitlines())
        calls = {name: int(count) for name, count in rows}
        assert tuple(calls) == FUNCTIONS
        assert len(set(calls.values())) == len(calls)
        return calls


def isolated(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """A bash script in a mount namespace of its own: /run is empty, tracefs is there."""
    shell = ["timeout", "100", "bash", "-c", ISOLATED + script, "bash"]
    command = ["unshare", "--mount", *shell, *map(str, arguments)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)


def _compile(output: Path, *arguments: str) -> None:
    options = ("-g", "-O1", "-fcf-protection=none", "-o", str(output))
    subprocess.run(["gcc", *options, *arguments], cwd=SOURCES, check=True)


class _At(NamedTuple):
    vaddr: int
    section: str = ""
    kind: str = "func"


def _at(vaddr: int) -> _At:
    return _At(vaddr)
