"""`symprobe deps --json`: the loader's answer as JSON objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from symprobe.loader.mapped import Mapped
from symprobe.loader.references import Import, Unresolved
from symprobe.loader.values import Attempt, Dependency, DependencyGraph, VersionError
from symprobe.render.deps import needed_chains
from symprobe.render.json import put_text, texts
from symprobe.render.text import escape


def graph_value(graph: DependencyGraph, realpath: str, links: tuple[str, ...]) -> dict[str, Any]:
    """The JSON object of one file."""
    value: dict[str, Any] = {}
    put_text(value, "path", graph.file.shown)
    put_text(value, "realpath", realpath)
    value["links"] = texts(links)
    value["linkage"] = graph.verdict.linkage
    value["evidence"] = texts(graph.verdict.evidence)
    put_text(value, "interpreter", graph.verdict.interpreter)
    value["loader"] = graph.flavor
    value["loader_version"] = None if graph.version is None else ".".join(map(str, graph.version))
    value["secure"] = graph.secure
    value["libraries"] = [_dependency_value(item) for item in graph.libraries]
    value["missing"] = texts(graph.missing)
    value["version_errors"] = [_version_error_value(error) for error in graph.version_errors]
    value["unresolved"] = []
    value["fatal"] = None
    if graph.fatal is not None:
        value["fatal"] = escape(str(graph.fatal))
    value["warnings"] = [escape(warning) for warning in graph.warnings]
    return value


def _dependency_value(item: Dependency) -> dict[str, Any]:
    value: dict[str, Any] = {}
    put_text(value, "name", item.name)
    value["names"] = texts(item.names)
    put_text(value, "soname", item.soname)
    put_text(value, "path", item.path)
    put_text(value, "realpath", item.realpath)
    value["links"] = texts(item.links)
    value["found_by"] = item.found_by
    put_text(value, "found_in", item.found_in or None)
    value["needed_by"] = texts(item.needed_by)
    value["tried"] = [_attempt_value(attempt) for attempt in item.tried]
    return value


def _attempt_value(attempt: Attempt) -> dict[str, Any]:
    value: dict[str, Any] = {}
    put_text(value, "path", attempt.path)
    value["by"] = attempt.by
    put_text(value, "of", attempt.of or None)
    value["outcome"] = attempt.outcome
    value["detail"] = escape(attempt.detail)
    return value


def _version_error_value(error: VersionError) -> dict[str, Any]:
    value: dict[str, Any] = {}
    put_text(value, "provider", error.provider)
    put_text(value, "version", error.version)
    put_text(value, "required_by", error.required_by)
    value["message"] = escape(str(error))
    return value


def why_values(graph: DependencyGraph, found: Iterable[Dependency]) -> list[dict[str, Any]]:
    """`why[]`: each library of that name, with the ways from it to the program."""
    chains = needed_chains(graph)
    values = []
    for item in found:
        value = _dependency_value(item)
        value["chains"] = [texts(chains.get(by, [by])) for by in item.needed_by]
        values.append(value)
    return values


def unresolved_values(found: Iterable[Unresolved]) -> list[dict[str, Any]]:
    """`unresolved[]`."""
    values = []
    for symbol in found:
        value: dict[str, Any] = {}
        put_text(value, "name", symbol.name)
        put_text(value, "version", symbol.version)
        put_text(value, "needed_by", symbol.needed_by)
        values.append(value)
    return values


def import_values(graph: DependencyGraph, found: Iterable[Import]) -> list[dict[str, Any]]:
    """`who[]`: path is null when nothing defines the name."""
    values = []
    for item in found:
        value: dict[str, Any] = {}
        put_text(value, "name", item.name)
        put_text(value, "version", item.version)
        value["imported_by"] = texts(item.imported_by)
        binding = item.binding
        provider = binding.dependency if binding is not None else None
        path = None
        if binding is not None:
            path = graph.file.shown if provider is None else provider.path
        put_text(value, "path", path)
        put_text(value, "provided_version", binding.version if binding is not None else None)
        value["default_version"] = binding.default if binding is not None else None
        value["address"] = binding.vaddr if binding is not None else None
        values.append(value)
    return values


def mapped_values(found: Iterable[Mapped]) -> list[dict[str, Any]]:
    """`mapped[]`: what the process has, and what it would get now."""
    values = []
    for item in found:
        value: dict[str, Any] = {}
        put_text(value, "path", item.path)
        value["state"] = item.state
        put_text(value, "now", item.dependency.path if item.dependency is not None else None)
        values.append(value)
    return values
