"""Where the numbers of a running trace go besides the terminal: a file, a port."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import typer

from symprobe.cli.writing import Output
from symprobe.errors import TraceError
from symprobe.render.openmetrics import CONTENT_TYPE, openmetrics
from symprobe.trace.counts import By
from symprobe.trace.snapshot import Snapshot

LOOPBACK = "127.0.0.1"
PATIENCE = 5.0
"""Seconds that a client may be silent."""
DEADLINE = 20.0
"""Seconds that a client may take in all, a byte at a time."""
MOST_CLIENTS = 8
"""Clients served at a time: more are turned away."""


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


class Listener:
    """Serves the newest snapshot under /metrics. Errors: TraceError when the port can't be had."""

    def __init__(self, address: tuple[str, int], by: By | None) -> None:
        self._by = by
        self._newest: Snapshot | None = None
        host, port = address
        try:
            self._server = _Server(address, _handler(self._scraped))
        except (OSError, OverflowError) as error:
            what = getattr(error, "strerror", None) or error
            raise TraceError(
                f"--listen {host}:{port}: {what}", next_step="choose another port"
            ) from error
        self.address = f"{host}:{self._server.server_address[1]}"
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()

    def publish(self, snapshot: Snapshot) -> None:
        """From now on this one is served."""
        self._newest = snapshot

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _scraped(self) -> bytes | None:
        return None if self._newest is None else openmetrics(self._newest, self._by)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        import socket

        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self._room = threading.BoundedSemaphore(MOST_CLIENTS)
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        end = threading.Timer(DEADLINE, self.shutdown_request, (request,))
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or talks nonsense, is none of the reader's business."""


def _handler(scraped: Callable[[], bytes | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE
        server_version = "symprobe"
        sys_version = ""

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            status, kind, body = 404, "text/plain; charset=utf-8", b"see /metrics\n"
            path = self.path.partition("?")[0]
            if path == "/":
                status = 200
            elif path == "/metrics":
                metrics = scraped()
                status = 503 if metrics is None else 200
                if metrics is not None:
                    kind, body = CONTENT_TYPE, metrics
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """stderr is for the reader of the trace."""

    return Handler
