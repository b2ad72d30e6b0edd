"""Where monitoring looks: ``/health`` says whether the node does its work, ``/metrics`` how much. On loopback alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ctrecon.errors import NetworkError

Answer = tuple[int, str, str]
"""HTTP status, content type, text."""


class Health:
    """Answers GET by the functions in ``pages``, by path, until ``close``. Raises NetworkError."""

    def __init__(self, port: int, pages: dict[str, Callable[[], Answer]]) -> None:
        class Page(BaseHTTPRequestHandler):
            timeout = 5  # of a client that connects and says nothing

            def do_GET(self) -> None:
                page = pages.get(self.path)
                code, kind, text = page() if page else (404, "text/plain", f"one of {', '.join(pages)}\n")
                body = text.encode()
                self.send_response(code)
                self.send_header("Content-Type", f"{kind}; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                """Monitoring asks every few seconds: no line for it."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Who goes away before the answer is no error of ours."""

        try:
            self._server = Server(("127.0.0.1", port), Page)
        except OSError as why:
            raise NetworkError(
                f"cannot listen on 127.0.0.1:{port}: {why.strerror}; use another --health-port"
            ) from None
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="health", daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
