"""`dependency_graph`: the verdict on a file, whose rules hold for it, and their answer."""

import os
import stat

from symprobe.elf.source import FileSource
from symprobe.errors import FileError, SymprobeError
from symprobe.linkage import Linkage, Verdict, file_verdict
from symprobe.loader.candidate import HeaderRules
from symprobe.loader.constants import LoaderConstants, usual_constants
from symprobe.loader.library import Library
from symprobe.loader.objects import origin_of
from symprobe.loader.program import Loaded, Program
from symprobe.loader.session import Session
from symprobe.loader.values import DependencyGraph, Fatal, Flavor, Outcome
from symprobe.model import FilePath

_UNMAPPABLE_PROGRAM = (
    "object file has no dynamic section",
    "object file has no loadable segments",
    "cannot read file data",
)
"""What ends even the program itself: most of all, files that hold debug information only."""
_LOADED = (Linkage.DYNAMIC, Linkage.DYNAMIC_PIE, Linkage.SHARED_LIBRARY)


def dependency_graph(
    path: str | FilePath,
    *,
    library_path: str | None = None,
    preload: str | None = None,
    root: str = "",
    hwcaps: tuple[str, ...] | None = None,
    secure: bool | None = None,
    session: Session | None = None,
) -> DependencyGraph:
    """What the loader would load for a program or library; nothing is executed.

    path: as seen below `root`, or a FilePath (opened under one name, shown under another).
    library_path, preload: what LD_LIBRARY_PATH and LD_PRELOAD would hold; the environment is not
    looked at.  root: a directory that is `/` for the file and all that it needs.  hwcaps:
    glibc-hwcaps levels of the processor, each with those below it; None: this machine's for
    programs that it can run.  secure: setuid rules; None: when the file is setuid, setgid or has
    capabilities (as for an ordinary user).  session: keeps what was read for the next call (then
    root and hwcaps are the session's).
    Errors: FileError, NotElfError, MalformedError for the file itself; whatever is wrong with the
    libraries is part of the answer.

    >>> [d.name for d in dependency_graph("/bin/true").libraries][0]
    'libc.so.6'
    """
    session = session or Session(root, hwcaps)
    session.attempts = 0
    file = _locate(path, session) if isinstance(path, str) else path
    source = FileSource(file)
    try:
        verdict = file_verdict(source, None)
        library = session.library(source) if verdict.linkage in _LOADED else None
    finally:
        source.close()
    realpath = session.trace(file.shown)[0]
    graph = DependencyGraph(file, realpath, verdict)
    if library is None:
        return graph
    if secure is None:
        secure = verdict.interpreter is not None and _is_secure(file.opened, library.mode)
    return _loaded(graph, library, session, library_path, preload, secure)


def _locate(path: str, session: Session) -> FilePath:
    try:
        return session.root.locate(path)
    except OSError as error:
        what = "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror)
        raise FileError(what, file=path, next_step="check the path") from None


def _is_secure(opened: str, mode: int) -> bool:
    """Whether the kernel starts a file in secure mode for an ordinary user: setuid, setgid with
    group execution, or file capabilities (security/commoncap.c of Linux)."""
    group = stat.S_ISGID | stat.S_IXGRP
    if mode & stat.S_ISUID or mode & group == group:
        return True
    try:
        return bool(os.getxattr(opened, "security.capability"))
    except OSError:
        return False


def _loaded(
    graph: DependencyGraph,
    library: Library,
    session: Session,
    library_path: str | None,
    preload: str | None,
    secure: bool,
) -> DependencyGraph:
    """The graph with the loader's answer."""
    interpreter, fatal = _interpreter(graph.verdict, library, session)
    if library.unmappable in _UNMAPPABLE_PROGRAM:
        fatal = Fatal(graph.file.shown, library.unmappable)
    constants = _constants(interpreter, graph.verdict, library, session)
    cwd = "/" if session.root.directory else os.getcwd()
    runs = graph.verdict.interpreter is not None
    program = Program(
        shown=graph.file.shown,
        library=library,
        # The kernel tells the loader the real path of a program; a library keeps the path given.
        origin=os.path.dirname(graph.realpath) if runs else origin_of(graph.file.shown, cwd),
        interpreter=interpreter,
        constants=constants,
        library_path=library_path,
        preload=preload,
        secure=secure,
        cwd=cwd,
    )
    loaded = _run(program, session)
    warnings = loaded.warnings
    if constants.flavor is Flavor.GLIBC:
        cache = session.cache(constants.cache_path, library.machine) if library.requests else None
        if cache is not None and cache.problem:
            warnings += (f"{constants.cache_path} {cache.problem}",)
    return graph._replace(
        flavor=constants.flavor,
        interpreter=interpreter,
        version=constants.version,
        secure=secure,
        libraries=loaded.libraries,
        version_errors=loaded.version_errors,
        fatal=fatal or loaded.fatal,
        scope=loaded.scope,
        warnings=warnings,
    )


def _run(program: Program, session: Session) -> Loaded:
    if program.constants.flavor is Flavor.MUSL:
        from symprobe.loader.musl import MuslLoader

        return MuslLoader(program, session).run()
    from symprobe.loader.glibc import GlibcLoader

    return GlibcLoader(program, session).run()


def _interpreter(
    verdict: Verdict, library: Library, session: Session
) -> tuple[FilePath | None, Fatal | None]:
    """The loader's file, or why exec fails; for a library, the usual loader if it is there."""
    machine = library.machine
    if verdict.interpreter is None:
        for path in _usual_interpreters(library):
            file = session.open(path, machine, HeaderRules.GLIBC).file
            if file is not None:
                return file, None
        return None, None
    path = verdict.interpreter
    opened = session.open(path, machine, HeaderRules.GLIBC)
    if opened.file is not None:
        return opened.file, None
    if opened.outcome is Outcome.MISSING:
        return None, Fatal(path, "the interpreter does not exist: exec fails with ENOENT")
    if opened.outcome in (Outcome.OTHER_CLASS, Outcome.OTHER_MACHINE):
        reason = f"the interpreter is not for {machine.name} ({opened.detail}): exec fails"
        return None, Fatal(path, reason)
    return None, Fatal(path, f"the interpreter can't be used: {opened.detail or opened.outcome}")


def _usual_interpreters(library: Library) -> tuple[str, ...]:
    """A library names no interpreter, but musl's libc has names of its own."""
    machine = library.machine
    musl = (f"/lib/ld-musl-{machine.musl_name}.so.1",)
    for _, name in library.requests:
        if name == "libc.so" or name.startswith("libc.musl-"):
            return musl + machine.interpreters
    return machine.interpreters


def _constants(
    interpreter: FilePath | None, verdict: Verdict, library: Library, session: Session
) -> LoaderConstants:
    machine = library.machine
    if interpreter is not None:
        try:
            return session.constants(interpreter, machine)
        except SymprobeError:
            pass
    path = verdict.interpreter or ""
    flavor = Flavor.MUSL if "/ld-musl-" in path else Flavor.GLIBC
    return usual_constants(flavor, machine, session.usual_directories(machine))
