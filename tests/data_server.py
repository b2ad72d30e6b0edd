"""A server of data sets on the loopback interface: a record and its files, connections that break, ranges."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

CONTENT = np.random.default_rng(0).bytes(3_000_000)
NOTES = b"id\n1\n"


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}"


class Server(ThreadingHTTPServer):
    """Serves a record and its files; ``breaks`` is after how many bytes the next answers break off."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content: dict[str, bytes] = {"scan.mat": CONTENT, "notes.csv": NOTES}
        self.stated = {name: md5(content) for name, content in self.content.items()}
        self.breaks: list[int] = []
        self.asked: list[tuple[str, str | None]] = []
        self.etag, self.ranges, self.record_body = '"one"', True, b""

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def record(self) -> bytes:
        files = [
            {"key": name, "size": len(content), "checksum": self.stated[name],
             "links": {"self": f"{self.root}/files/{name}"}}
            for name, content in self.content.items()
        ]
        return self.record_body or json.dumps({"files": files, "metadata": {"license": {"id": "cc-by-4.0"}}}).encode()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path == "/api/records/1":
            self._send(200, self.server.record())
            return
        name = self.path.removeprefix("/files/")
        wanted = self.headers.get("Range")
        self.server.asked.append((name, wanted))
        if name not in self.server.content:
            self._send(404, b"not here")
            return
        content, begin, status = self.server.content[name], 0, 200
        same = self.headers.get("If-Range", self.server.etag) == self.server.etag
        if wanted is not None and self.server.ranges and same:
            begin, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
            if begin >= len(content):
                self._send(416, b"")
                return
        self._send(status, content[begin:], begin, len(content))

    def _send(self, status: int, body: bytes, begin: int = 0, total: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", self.server.etag)
        if status == 206:
            self.send_header("Content-Range", f"bytes {begin}-{total - 1}/{total}")
        self.end_headers()
        if self.path.startswith("/files/") and self.server.breaks:
            self.wfile.write(body[: self.server.breaks.pop(0)])
            self.close_connection = True
            return
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def data_server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()
