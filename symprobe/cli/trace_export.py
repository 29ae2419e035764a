"""Where the numbers of a running trace go besides the terminal: to a file, to a listener."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from symprobe.cli.writing import Output
from symprobe.render.openmetrics import openmetrics
from symprobe.trace.counts import By
from symprobe.trace.snapshot import Snapshot

if TYPE_CHECKING:
    from symprobe.cli.trace_listen import Listener

LOOPBACK = "127.0.0.1"


def export_path(text: str) -> str:
    """The FILE of `openmetrics:FILE`. BadParameter: anything else; FileError: no place for it."""
    kind, _, path = text.partition(":")
    if kind != "openmetrics" or not path:
        raise typer.BadParameter(f"--export {text}: write openmetrics:FILE")
    with Output(path):  # said before the trace; nothing is written yet
        pass
    return path


def listen_address(text: str) -> tuple[str, int]:
    """`PORT`, `:PORT` (loopback), `HOST:PORT` or `[IPV6]:PORT`. BadParameter: anything else."""
    host, _, port = text.rpartition(":")
    if not port.isdigit() or int(port) > 65535 or (":" in host and not host.startswith("[")):
        raise typer.BadParameter(f"--listen {text}: write PORT or HOST:PORT")
    return host.strip("[]") or LOOPBACK, int(port)


def write_metrics(path: str, snapshot: Snapshot, by: By | None) -> None:
    """Replace the file in one step: a reader sees the old one or the new one. Errors: FileError."""
    with Output(path) as output:
        output.write(openmetrics(snapshot, by))


class Published:
    """All that a trace's numbers go to; nothing when nothing was asked for."""

    def __init__(self, *, path: str | None, listener: Listener | None, by: By | None) -> None:
        self._path = path
        self._listener = listener
        self._by = by

    @property
    def wanted(self) -> bool:
        return self._path is not None or self._listener is not None

    def publish(self, snapshot: Snapshot) -> None:
        """Write the file, serve the snapshot. Errors: FileError."""
        if self._path is not None:
            write_metrics(self._path, snapshot, self._by)
        if self._listener is not None:
            self._listener.publish(snapshot)
