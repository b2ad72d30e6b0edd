"""Where monitoring looks: ``/health`` says whether the node does its work, ``/metrics`` how much. On loopback alone.

Any user of the machine can connect there, and as often as he likes: one thread answers all, holds a few connections,
and a few kilobytes of each. Where there are more the oldest goes, so that whoever asks at once gets an answer.
"""

from __future__ import annotations

import re
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ctrecon.errors import NetworkError

Answer = tuple[int, str, str]
"""HTTP status, content type, text."""

MOST_CONNECTIONS = 32
MOST_BYTES = 8192
"""Of what a client asks, with its headers."""
PATIENCE_S = 2.0
_TICK_S = 0.1
_BACKLOG = 128
_MOST_NEW = 64
_REQUEST = re.compile(rb"([A-Z]{1,16}) (/[!-~]{0,1000}) HTTP/1\.[01]\r?\n")
_END = re.compile(rb"\r?\n\r?\n")
_REASONS = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip


@dataclass
class _Guest:
    socket: socket.socket
    until: float
    asked: bytes = b""


class Health:
    """Answers GET and HEAD by the functions in ``pages``, by path, until ``close``. Raises NetworkError."""

    def __init__(self, port: int, pages: dict[str, Callable[[], Answer]]) -> None:
        self._pages, self._stop = pages, threading.Event()
        self._guests: dict[int, _Guest] = {}  # the oldest first
        try:
            self._listening = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        except OSError as why:
            raise NetworkError(
                f"cannot listen on 127.0.0.1:{port}: {why.strerror}; use another --health-port"
            ) from None
        self._listening.setblocking(False)
        self.port = int(self._listening.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._stop.set()
        self._thread.join()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as self._watched, self._listening:
            self._watched.register(self._listening, selectors.EVENT_READ)
            while not self._stop.is_set():
                ready = self._watched.select(_TICK_S)
                # Who is here already is read before others may push him out.
                for key, _ in ready:
                    if key.fileobj is not self._listening:
                        self._read(self._guests[key.fd])
                if any(key.fileobj is self._listening for key, _ in ready):
                    self._accept()
                for guest in [one for one in self._guests.values() if one.until < time.monotonic()]:
                    self._leave(guest)
            for guest in list(self._guests.values()):
                self._leave(guest)

    def _accept(self) -> None:
        for _ in range(_MOST_NEW):
            try:
                new, _ = self._listening.accept()
            except BlockingIOError:
                return
            except OSError:  # no more files, or gone again
                if not self._guests:
                    self._stop.wait(_TICK_S)
                    return
                self._leave(next(iter(self._guests.values())))
                continue
            new.setblocking(False)
            guest = self._guests[new.fileno()] = _Guest(new, time.monotonic() + PATIENCE_S)
            self._watched.register(new, selectors.EVENT_READ)
            self._read(guest)  # most have asked by now
            if len(self._guests) > MOST_CONNECTIONS:
                self._leave(next(iter(self._guests.values())))

    def _read(self, guest: _Guest) -> None:
        try:
            piece = guest.socket.recv(MOST_BYTES + 1 - len(guest.asked))
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        guest.asked += piece
        answer = self._answer(guest.asked)
        if answer:
            with suppress(OSError):  # who goes away before the answer, or does not take it, is no concern of ours
                guest.socket.send(answer)
                guest.socket.shutdown(socket.SHUT_WR)
        if answer or not piece:
            self._leave(guest)

    def _leave(self, guest: _Guest) -> None:
        del self._guests[guest.socket.fileno()]
        self._watched.unregister(guest.socket)
        guest.socket.close()

    def _answer(self, asked: bytes) -> bytes:
        """Nothing while the request is not whole."""
        if not _END.search(asked):
            return _as_http(431, "text/plain", "too long\n") if len(asked) > MOST_BYTES else b""
        found = _REQUEST.match(asked)
        if found is None:
            return _as_http(400, "text/plain", "no request of HTTP/1.1\n")
        method, path = found[1].decode(), found[2].decode().partition("?")[0]
        if method not in ("GET", "HEAD"):
            return _as_http(405, "text/plain", "GET or HEAD\n", "Allow: GET, HEAD\r\n")
        page = self._pages.get(path)
        try:
            answer = page() if page else (404, "text/plain", f"one of {', '.join(self._pages)}\n")
        except Exception as why:  # whatever it is, the next one is to get an answer
            answer = (500, "text/plain", f"the state of the node cannot be read: {type(why).__name__}\n")
        return _as_http(*answer, bare=method == "HEAD")


def _as_http(code: int, kind: str, text: str, more: str = "", *, bare: bool = False) -> bytes:
    body = text.encode()
    head = (
        f"HTTP/1.1 {code} {_REASONS[code]}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\nConnection: close\r\n{more}\r\n"
    )
    return head.encode() + (b"" if bare else body)
