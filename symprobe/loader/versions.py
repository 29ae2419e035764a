"""Whether every library has the symbol versions that the others need of it.

Source: _dl_check_map_versions and match_symbol in elf/dl-version.c of glibc.
"""

from __future__ import annotations

from collections.abc import Iterator

from symprobe.loader.objects import LinkMap
from symprobe.loader.values import VersionError

_RELR_VERSION = "GLIBC_ABI_DT_RELR"


def version_errors(
    objects: list[LinkMap], version: tuple[int, int] | None
) -> Iterator[VersionError]:
    """What the loader would refuse to start for, object by object in load order.

    version: the loader's; None: unknown.
    """
    by_name: dict[str, LinkMap] = {}
    for item in objects:
        for name in (*item.names, item.path):
            by_name.setdefault(name, item)
    knows_relr = version is None or version >= (2, 36)
    for item in objects:
        if item.library is None:
            continue
        has_relr_version = False
        for file, versions in item.library.requirements:
            provider = by_name.get(file)
            yield from _missing(item, file, provider, versions)
            found = provider is not None and provider.library is not None
            has_relr_version |= found and any(name == _RELR_VERSION for name, _ in versions)
        if knows_relr and item.library.has_relr and not has_relr_version:
            yield from _relr_error(item)


def _missing(
    item: LinkMap, file: str, provider: LinkMap | None, versions: tuple[tuple[str, bool], ...]
) -> Iterator[VersionError]:
    if provider is None:
        reason = "versions are needed of it, but nothing loaded has that name: the loader aborts"
        yield VersionError(file, "", item.shown, reason)
        return
    definitions = provider.library.definitions if provider.library is not None else None
    if definitions is None:  # not found, or without versions at all: silent
        return
    for name, weak in versions:
        if name not in definitions and not weak:
            yield VersionError(provider.shown, name, item.shown)


def _relr_error(item: LinkMap) -> Iterator[VersionError]:
    """A file with DT_RELR says with a version of libc that it needs a loader that knows it."""
    assert item.library is not None
    for _, name in item.library.requests:
        if item.library.requirements and name.startswith("libc.so."):
            reason = f"DT_RELR without {_RELR_VERSION} dependency"
            yield VersionError(item.shown, _RELR_VERSION, item.shown, reason)
            return
