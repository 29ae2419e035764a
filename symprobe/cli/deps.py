"""`symprobe deps`: what the dynamic loader would load, without running anything."""

import os
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from symprobe.cli import options as opt
from symprobe.cli.output import complain, emit, emit_document
from symprobe.cli.targets import target
from symprobe.errors import NotFoundError, PatternError, SymprobeError
from symprobe.linkage import Linkage
from symprobe.loader import Dependency, DependencyGraph, Session, dependency_graph
from symprobe.model import FilePath
from symprobe.render import deps as render
from symprobe.target import Target

if TYPE_CHECKING:
    from symprobe.loader.mapped import Mapped
    from symprobe.loader.references import Import, Unresolved

app = typer.Typer(rich_markup_mode=None, add_completion=False)
_MOST_SCRIPTS = 5
"""Scripts run by scripts: the kernel's own limit (fs/exec.c)."""


class Options(NamedTuple):
    """The command line, but the targets."""

    tree: bool
    dot: bool
    root: str
    library_path: str | None
    preload: str | None
    hwcaps: tuple[str, ...] | None
    secure: bool | None
    unresolved: bool
    why: str | None
    who: str | None
    follow: bool


class Answer(NamedTuple):
    """All that was asked of one target."""

    graph: DependencyGraph
    realpath: str
    links: tuple[str, ...]
    unresolved: "tuple[Unresolved, ...]" = ()
    imports: "tuple[Import, ...]" = ()
    mapped: "tuple[Mapped, ...]" = ()

    @property
    def holds(self) -> bool:
        """Whether the loader would start the file, and everything asked for was found."""
        gone = ("replaced", "deleted")
        return (
            self.graph.complete
            and not self.unresolved
            and all(item.binding is not None for item in self.imports)
            and not any(item.state in gone for item in self.mapped)
        )


@app.command(cls=opt.Command)
def deps(
    targets: opt.Targets,
    tree: Annotated[bool, typer.Option("--tree", help="Who needs whom, indented.")] = False,
    dot: Annotated[bool, typer.Option("--dot", help="A graph for graphviz.")] = False,
    root: Annotated[
        str, typer.Option(metavar="DIR", help="A root directory; TARGET is a path inside it.")
    ] = "",
    library_path: Annotated[
        str | None, typer.Option(metavar="L", help="In the place of LD_LIBRARY_PATH.")
    ] = None,
    preload: Annotated[
        str | None, typer.Option(metavar="P", help="In the place of LD_PRELOAD.")
    ] = None,
    hwcaps: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL,...",
            help="The processor: x86-64-v3, power10, z15, ... (with the levels below it), or none.",
        ),
    ] = None,
    secure: Annotated[
        bool | None,
        typer.Option("--secure/--no-secure", help="As a setuid program; else by the file's mode."),
    ] = None,
    show_unresolved: Annotated[
        bool, typer.Option("--unresolved", help="Also symbols that nothing defines.")
    ] = False,
    why: Annotated[
        str | None,
        typer.Option(metavar="SONAME", help="Who needs this library, and where it was searched."),
    ] = None,
    who: Annotated[
        str | None,
        typer.Option(metavar="SYMBOL[@VERSION]", help="Which library would provide this symbol."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Of a script, show its interpreter.")
    ] = False,
    as_json: opt.AsJson = False,
) -> int:
    """Show what the dynamic loader would load, in its order, and how each library is found.

    Nothing is executed. Exit code 0: all is there; 1: a library, version or symbol is missing, or
    the loader would give up; 2: a file could not be read.
    """
    options = Options(
        tree, dot, root, library_path, preload, _levels(hwcaps), secure, show_unresolved, why,
        who, follow,
    )  # fmt: skip
    return _told(targets, options, as_json=as_json)


def _told(targets: list[str], options: Options, *, as_json: bool) -> int:
    """Answer for each target; the exit code."""
    session = Session(options.root, options.hwcaps)
    values: list[dict[str, Any]] = []
    code = 0
    for text in targets:
        try:
            answer = _answer(text, options, session)
            if as_json:
                values.append(_value(answer, options))
            else:
                (emit_document if options.dot else emit)(_lines(answer, options))
            code = max(code, 0 if answer.holds else 1)
        except SymprobeError as error:
            complain(str(error))
            code = max(code, error.exit_code)
    if as_json and values:
        from symprobe.render.json import document

        emit_document([document("deps", values[0] if len(targets) == 1 else {"files": values})])
    return code


def _levels(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    from symprobe.loader.cpu import LEVELS

    names = tuple(name for name in text.replace(":", ",").split(",") if name and name != "none")
    known = {level for levels in LEVELS.values() for level in levels}
    if unknown := [name for name in names if name not in known]:
        raise PatternError(
            f"unknown hardware level {', '.join(unknown)}",
            next_step=f"one of {', '.join(sorted(known))}, none",
        )
    return names


def _answer(text: str, options: Options, session: Session) -> Answer:
    found = None if options.root else target(text)
    if found is not None and found.pid is not None:
        graph, mapped = _of_process(found, found.pid, options)
        return _asked(Answer(graph, found.realpath, found.links, mapped=tuple(mapped)), options)
    path: str | FilePath = found.file if found is not None else _inside(text, options.root)
    graph = _graph(path, options, session)
    for _ in range(_MOST_SCRIPTS):
        if not options.follow or graph.verdict.linkage is not Linkage.SCRIPT:
            break
        graph = _graph(_interpreter(graph, options), options, session)
    realpath, links = session.trace(graph.file.shown)
    return _asked(Answer(graph, realpath, links), options)


def _inside(text: str, root: str) -> str:
    """A path inside the root, also when it is given as seen from outside."""
    top = os.path.abspath(root)
    path = os.path.abspath(text)
    if top != "/" and path.startswith(f"{top}/") and os.path.lexists(path):
        return path[len(top) :]
    return text if text.startswith("/") else f"/{text}"


def _graph(path: str | FilePath, options: Options, session: Session) -> DependencyGraph:
    own = not options.root  # another root's loader would not be started from this environment
    return dependency_graph(
        path,
        library_path=_chosen(options.library_path, "LD_LIBRARY_PATH" if own else None),
        preload=_chosen(options.preload, "LD_PRELOAD" if own else None),
        secure=options.secure,
        session=session,
    )


def _chosen(option: str | None, variable: str | None) -> str | None:
    return option if option is not None or variable is None else os.environ.get(variable)


def _interpreter(graph: DependencyGraph, options: Options) -> str | FilePath:
    """What the kernel runs for a script; what env(1) would find, if that is its interpreter."""
    path, argument = graph.verdict.interpreter, graph.verdict.interpreter_argument
    if path is None:
        raise NotFoundError("a script without an interpreter", file=graph.file.shown)
    if os.path.basename(path) == "env" and argument and not options.root:
        word = next((w for w in argument.split() if not w.startswith("-") and "=" not in w), None)
        if word is not None:
            return target(word).file
    return path if options.root else target(path).file


def _of_process(
    found: Target, pid: int, options: Options
) -> "tuple[DependencyGraph, list[Mapped]]":
    """What the files on disk would give the process now, and what it has mapped. Its own
    environment counts, not ours."""
    from symprobe.loader.mapped import MappedFile, compare
    from symprobe.process import environment, mapping_file, mappings

    started_with = environment(pid)
    session = Session(f"/proc/{pid}/root", options.hwcaps)
    graph = dependency_graph(
        found.file,
        library_path=options.library_path or started_with.get("LD_LIBRARY_PATH"),
        preload=options.preload or started_with.get("LD_PRELOAD"),
        secure=options.secure,
        session=session,
    )
    if found.text.count(":") > 1:  # pid:N:library
        return graph, []
    files: dict[str, MappedFile] = {}
    for mapping in mappings(pid):
        if "x" in mapping.permissions and mapping.path not in files:
            try:
                info = os.stat(mapping_file(pid, mapping).opened)
                inode = (info.st_dev, info.st_ino)
            except OSError:
                inode = mapping.inode
            files[mapping.path] = MappedFile(mapping.path, inode, mapping.deleted)
    return graph, compare(graph, list(files.values()))


def _asked(answer: Answer, options: Options) -> Answer:
    """The answer with what else was asked for. Errors: NotFoundError for --why."""
    graph = answer.graph
    if options.why is not None and not _named(graph, options.why):
        what = f"no library named {options.why} is needed"
        raise NotFoundError(what, file=graph.file.shown)
    if not options.unresolved and options.who is None:
        return answer
    from symprobe.loader.lookup import Scope
    from symprobe.loader.references import imports, unresolved

    scope = Scope(graph)
    if options.unresolved:
        answer = answer._replace(unresolved=tuple(unresolved(graph, scope)))
    if options.who is not None:
        name, _, version = options.who.partition("@")
        found = imports(graph, scope, name, version.lstrip("@") or None)
        answer = answer._replace(imports=tuple(found))
    return answer


def _named(graph: DependencyGraph, name: str) -> list[Dependency]:
    return [d for d in graph.libraries if name in d.names or name in (d.path, d.realpath)]


def _lines(answer: Answer, options: Options) -> Iterator[str]:
    graph, behind = answer.graph, ""
    if options.why is not None:
        yield from render.why_lines(graph, _named(graph, options.why))
    elif options.who is not None:
        yield from render.import_lines(graph, answer.imports)
    elif options.dot:
        yield from render.dot_lines(graph)
        behind = "//"  # as comments, the rest leaves the graph one
    else:
        lines = render.tree_lines if options.tree else render.graph_lines
        yield from lines(graph, answer.links)
    for line in chain(
        render.mapped_lines(answer.mapped), render.unresolved_lines(answer.unresolved)
    ):
        yield behind + line


def _value(answer: Answer, options: Options) -> dict[str, Any]:
    from symprobe.render import deps_json as values

    graph = answer.graph
    value = values.graph_value(graph, answer.realpath, answer.links)
    value["unresolved"] = values.unresolved_values(answer.unresolved)
    if options.why is not None:
        value["why"] = values.why_values(graph, _named(graph, options.why))
    if options.who is not None:
        value["who"] = values.import_values(graph, answer.imports)
    if answer.mapped:
        value["mapped"] = values.mapped_values(answer.mapped)
    return value
