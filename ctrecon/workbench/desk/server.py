"""The desk over HTTP, on 127.0.0.1 alone. A bad request or a broken file is an answer, and never ends the server."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np

from ctrecon.errors import CtreconError, SettingError
from ctrecon.support.limits import reason
from ctrecon.support.text import printable
from ctrecon.workbench.desk.desk import Desk
from ctrecon.workbench.desk.guard import COMMON, OF_PAGE, OF_REPORT, Guard

ADDRESS = "127.0.0.1"
_HERE = files("ctrecon.workbench.desk")
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_FILES = {name: name for name in ("desk.css", "list.js", "pane.js", "look.js", "desk.js")} | {"": "page.html"}
_NUMBER = r"(\d{1,9})"
_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    """A body of ``kind``, and further headers."""

    code: int
    body: bytes
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(values: Any, code: int = 200) -> Answer:
    """Values as JSON."""
    return Answer(code, json.dumps(values, allow_nan=False).encode())


NOT_HERE = as_json({"why": "there is nothing here"}, 404)


class DeskServer(ThreadingHTTPServer):
    """Serves ``desk``; ``guard.url`` is its address. ``port`` 0 takes a free one.

    Raises SettingError for a port in use.
    """

    daemon_threads = True

    def __init__(self, desk: Desk, port: int = 0) -> None:
        self.desk = desk
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as why:
            raise SettingError(f"port {port} on {ADDRESS} cannot be used ({reason(why)}); leave out --port") from None
        self.guard = Guard(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke off: nothing to say, and nothing to end.

        Args:
            request: Its socket; not used.
            client_address: Of the other side; not used.
        """

    def server_close(self) -> None:
        """Close port and files."""
        super().server_close()
        self.desk.close()

    def answer(self, method: str, path: str) -> Answer:
        """What is said to a request that is ours.

        Args:
            method: ``GET`` or ``POST``.
            path: Without query.

        Returns:
            The answer; 404 for what is not there, whatever it is, and for an address without the secret.
        """
        report = re.fullmatch(rf"/report/([0-9a-f]{{64}})/{_NUMBER}", path)
        if report is not None and method == "GET":
            page = self.desk.report(int(report[2]), report[1])
            return Answer(200, page, "text/html; charset=utf-8", OF_REPORT)
        rest = self.guard.within(path)
        if rest is None:
            return NOT_HERE
        if method == "GET" and rest in _FILES:
            name = _FILES[rest]
            kind = f"{_TYPES[name.rpartition('.')[2]]}; charset=utf-8"
            return Answer(200, (_HERE / name).read_bytes(), kind, OF_PAGE)
        for wanted, pattern, act in _ROUTES:
            found = re.fullmatch(pattern, rest) if wanted == method else None
            if found is not None:
                answer: Answer = act(self.desk, *map(int, found.groups()))
                return answer
        return NOT_HERE


def _again(desk: Desk) -> Answer:
    desk.index.look_again()
    return as_json(desk.listed())


def _plane(desk: Desk, number: int, k: int) -> Answer:
    values = desk.plane(number, k)
    shape = {"Desk-Shape": ",".join(map(str, values.shape))}
    return Answer(200, np.ascontiguousarray(values, dtype="<f4").tobytes(), "application/octet-stream", shape)


_ROUTES: tuple[tuple[str, str, Any], ...] = (
    ("GET", "list", lambda desk: as_json(desk.listed())),
    ("POST", "again", _again),
    ("GET", f"status/{_NUMBER}", lambda desk, number: as_json(desk.status(number))),
    ("GET", f"look/{_NUMBER}", lambda desk, number: as_json(desk.look(number))),
    ("GET", f"plane/{_NUMBER}/{_NUMBER}", _plane),
    ("GET", f"sinogram/{_NUMBER}", lambda desk, number: Answer(200, desk.sinogram(number), "image/png")),
    ("POST", f"check/{_NUMBER}", lambda desk, number: as_json(desk.check(number))),
)


class _Handler(BaseHTTPRequestHandler):
    server: DeskServer
    protocol_version = "HTTP/1.1"
    timeout: ClassVar[int] = _SECONDS
    server_version, sys_version = "ctrecon", ""

    def do_GET(self) -> None:
        self._respond("GET")

    def do_POST(self) -> None:
        self.close_connection = True  # a body, which no request of the page has, is not read
        self._respond("POST")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: addresses hold the secret."""

    def _respond(self, method: str) -> None:
        if not self.server.guard.ours(self.headers.get_all("Host", []), self.headers.get_all("Origin", [])):
            self._send(as_json({"why": "this server answers its own page alone"}, 403))
            return
        try:
            answer = self.server.answer(method, urlsplit(self.path).path)
        except CtreconError as why:
            folder = f"{self.server.desk.index.folder}/"
            answer = as_json({"why": printable(" ".join(str(why).replace(folder, "").split()))}, 422)
        except Exception as why:  # whatever a library says of a broken file: the next one may be sound
            answer = as_json({"why": f"it cannot be read ({type(why).__name__}: {printable(reason(why))})"}, 422)
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.code)
        headers = {"Content-Type": answer.kind, "Content-Length": str(len(answer.body)), **COMMON, **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)
