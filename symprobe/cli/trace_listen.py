"""--listen: the newest numbers of a trace over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from symprobe.errors import TraceError
from symprobe.render.openmetrics import CONTENT_TYPE, openmetrics
from symprobe.trace.counts import By
from symprobe.trace.snapshot import Snapshot

PATIENCE = 5.0
"""Seconds that a client may be silent."""
DEADLINE = 20.0
"""Seconds that a client may take in all, a byte at a time."""
MOST_CLIENTS = 8
"""Clients served at a time: more are turned away."""


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
