"""`symprobe deps`: the loader's answer as lines, as a tree, in graphviz's language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from symprobe.linkage import Linkage
from symprobe.loader.values import Attempt, Dependency, DependencyGraph, FoundBy, Outcome
from symprobe.render.text import escape, path_line

if TYPE_CHECKING:
    from symprobe.loader.mapped import Mapped
    from symprobe.loader.references import Import, Unresolved

_INDENT = "    "
_LABELS = {
    FoundBy.INTERPRETER: "program interpreter",
    FoundBy.PRELOAD: "LD_PRELOAD",
    FoundBy.PRELOAD_FILE: "/etc/ld.so.preload",
    FoundBy.PATH: "path",
    FoundBy.RPATH: "RPATH",
    FoundBy.LIBRARY_PATH: "LD_LIBRARY_PATH",
    FoundBy.RUNPATH: "RUNPATH",
    FoundBy.CACHE: "ld.so.cache",
    FoundBy.SYSTEM: "system directory",
    FoundBy.MUSL_PATH: "musl's directories",
}
_OUTCOMES = {
    Outcome.FOUND: "found",
    Outcome.MISSING: "no such file",
    Outcome.NO_DIRECTORY: "no such directory",
    Outcome.UNREADABLE: "can't be opened",
    Outcome.OTHER_CLASS: "passed over, another ELF class",
    Outcome.OTHER_MACHINE: "passed over, for another machine",
    Outcome.NOT_IN_CACHE: "not in the cache",
    Outcome.NODEFLIB: "dropped, DF_1_NODEFLIB of the library that asks",
    Outcome.TOKEN: "dropped, a token in it has no value",
    Outcome.NOT_SETUID: "passed over, secure mode preloads setuid files only",
    Outcome.FATAL: "the loader gives up here",
}
_STATES = {
    "replaced": "is mapped, but replaced on disk",
    "deleted": "is mapped, but deleted",
    "loaded-later": "is mapped without being a dependency (dlopen)",
    "not-mapped": "would be loaded now, but is not mapped",
}


def head_line(graph: DependencyGraph, links: tuple[str, ...]) -> str:
    """The file, the verdict, whose rules hold."""
    verdict = graph.verdict
    parts = [str(verdict.linkage)]
    if verdict.interpreter is not None:
        argument = f" {verdict.interpreter_argument}" if verdict.interpreter_argument else ""
        parts.append(f"interpreter {escape(verdict.interpreter + argument)}")
    if graph.flavor is not None:
        version = ".".join(map(str, graph.version)) if graph.version is not None else ""
        parts.append(f"{graph.flavor} {version}".rstrip())
    if graph.secure:
        parts.append("secure mode")
    return f"{path_line(graph.file.shown, links)}: {', '.join(parts)}"


def graph_lines(graph: DependencyGraph, links: tuple[str, ...]) -> Iterator[str]:
    """The verdict, then a line a library as ldd prints them, then what is wrong."""
    yield head_line(graph, links)
    if graph.flavor is None:
        yield _INDENT + _why_none(graph.verdict.linkage)
    elif not graph.libraries and graph.fatal is None:
        yield f"{_INDENT}it needs no libraries"
    for dependency in graph.libraries:
        yield _INDENT + dependency_line(dependency)
    yield from problem_lines(graph)


def _why_none(linkage: Linkage) -> str:
    if linkage is Linkage.SCRIPT:
        return "a script: its interpreter is loaded (--follow shows with what)"
    if linkage in (Linkage.STATIC, Linkage.STATIC_PIE):
        return "statically linked: no library is loaded"
    if linkage is Linkage.LOADER:
        return "the dynamic loader itself: no library is loaded"
    return "not loaded by a dynamic loader"


def dependency_line(dependency: Dependency) -> str:
    """`libc.so.6 => /lib64/libc.so.6 -> libc-2.17.so  [ld.so.cache]`"""
    name, path = escape(dependency.name), dependency.path
    if path is None:
        by = f"  (needed by {escape(', '.join(dependency.needed_by))})"
        return f"{name} => not found{by if dependency.needed_by else ''}"
    place = path_line(path, dependency.links)
    found = f"[{_label(dependency.found_by, dependency.found_in)}]"
    return f"{place}  {found}" if path == dependency.name else f"{name} => {place}  {found}"


def _label(by: FoundBy | None, of: str) -> str:
    label = _LABELS[by] if by is not None else ""
    return f"{label} of {escape(of)}" if of else label


def problem_lines(graph: DependencyGraph) -> Iterator[str]:
    """What the loader would end the program for, and what it would warn of."""
    for error in graph.version_errors:
        yield f"{_INDENT}version error: {escape(str(error))}"
    if graph.fatal is not None:
        yield f"{_INDENT}fatal: {escape(str(graph.fatal))}"
    for warning in graph.warnings:
        yield f"{_INDENT}warning: {escape(warning)}"


def tree_lines(graph: DependencyGraph, links: tuple[str, ...]) -> Iterator[str]:
    """Who needs whom; what was shown above is not unfolded again."""
    yield head_line(graph, links)
    children = _children(graph)
    seen: set[int] = set()
    stack = [(1, child) for child in reversed(children.get(graph.file.shown, []))]
    while stack:
        depth, item = stack.pop()
        below = children.get(item.path or "", [])
        again = id(item) in seen and bool(below)
        yield f"{_INDENT * depth}{dependency_line(item)}{'  (see above)' if again else ''}"
        if id(item) not in seen:
            seen.add(id(item))
            stack += ((depth + 1, child) for child in reversed(below))
    yield from problem_lines(graph)


def _children(graph: DependencyGraph) -> dict[str, list[Dependency]]:
    """Dependencies by the shown path of who needs them; preloaded ones under the program."""
    found: dict[str, list[Dependency]] = {}
    for dependency in graph.libraries:
        for by in dependency.needed_by or (graph.file.shown,):
            found.setdefault(by, []).append(dependency)
    return found


def dot_lines(graph: DependencyGraph) -> Iterator[str]:
    """A digraph for graphviz: an arrow from who needs to what is needed."""
    yield "digraph dependencies {"
    yield f"{_INDENT}{_quoted(graph.file.shown)} [shape=box];"
    for number, item in enumerate(graph.libraries):
        node = _node(item, number)
        if item.path is None:
            yield f"{_INDENT}{node} [label={_quoted(item.name)}, color=red, style=dashed];"
        else:
            label = _quoted(f"{item.name}\\n{item.path}")
            yield f"{_INDENT}{node} [label={label}];"
        for by in item.needed_by or (graph.file.shown,):
            yield f"{_INDENT}{_quoted(by)} -> {node};"
    yield "}"


def _node(item: Dependency, number: int) -> str:
    return _quoted(item.path or f"{item.name} (not found, {number})")


def _quoted(text: str) -> str:
    line = escape(text).replace('"', '\\"')
    return f'"{line}"'


def why_lines(graph: DependencyGraph, found: Iterable[Dependency]) -> Iterator[str]:
    """Who needs a library, by which way, and each place that was tried for it."""
    chains = needed_chains(graph)
    for item in found:
        yield dependency_line(item)
        for by in item.needed_by:
            yield f"{_INDENT}needed by {' <- '.join(escape(p) for p in chains.get(by, [by]))}"
        if len(item.names) > 1:
            yield f"{_INDENT}answers to {', '.join(escape(name) for name in item.names)}"
        for attempt in item.tried:
            yield f"{_INDENT}tried {_attempt(attempt)}"


def needed_chains(graph: DependencyGraph) -> dict[str, list[str]]:
    """A shortest way from each object to the program, by shown paths."""
    chains = {graph.file.shown: [graph.file.shown]}
    for item in graph.libraries:  # breadth first already: the first one to ask is the nearest
        if item.path is not None and item.path not in chains:
            by = item.needed_by[0] if item.needed_by else graph.file.shown
            chains[item.path] = [item.path, *chains.get(by, [by])]
    return chains


def _attempt(attempt: Attempt) -> str:
    detail = f" ({escape(attempt.detail)})" if attempt.detail else ""
    label = _label(attempt.by, attempt.of)
    return f"{escape(attempt.path) or '.'}  [{label}]: {_OUTCOMES[attempt.outcome]}{detail}"


def unresolved_lines(found: Iterable[Unresolved]) -> Iterator[str]:
    """One line a symbol, as `ldd -r` orders the words."""
    for symbol in found:
        name = _versioned(symbol.name, symbol.version)
        yield f"{_INDENT}undefined symbol: {name}  ({escape(symbol.needed_by)})"


def import_lines(graph: DependencyGraph, found: Iterable[Import]) -> Iterator[str]:
    """`malloc@GLIBC_2.2.5 => /lib/libc.so.6: malloc@@GLIBC_2.2.5  (imported by ...)`"""
    for item in found:
        by = ", ".join(escape(path) for path in item.imported_by)
        users = f"  (imported by {by})" if by else "  (nobody imports it; as dlsym would)"
        wanted = _versioned(item.name, item.version)
        if item.binding is None:
            yield f"{wanted} => not defined{users}"
            continue
        provider = item.binding.dependency
        path = graph.file.shown if provider is None else provider.path or ""
        at = "@@" if item.binding.default else "@"
        name = escape(item.binding.name)
        if item.binding.version is not None:
            name += at + escape(item.binding.version)
        yield f"{wanted} => {escape(path)}: {name}{users}"


def _versioned(name: str, version: str | None) -> str:
    return escape(name if version is None else f"{name}@{version}")


def mapped_lines(found: Iterable[Mapped]) -> Iterator[str]:
    """Where a process and the disk differ."""
    for item in found:
        if item.state not in _STATES:
            continue
        now = item.dependency.path if item.dependency is not None else None
        other = f", now {escape(now)}" if now is not None and now != item.path else ""
        yield f"{_INDENT}{escape(item.path)} {_STATES[item.state]}{other}"
