"""A desk that serves for a test, and a client that asks it as its page does."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.workbench.desk.open import open_desk
from ctrecon.workbench.desk.server import DeskServer


@contextmanager
def serving(place: Path) -> Iterator[DeskServer]:
    with open_desk(place) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Client:
    """Asks a desk as its page does."""

    def __init__(self, server: DeskServer) -> None:
        self.server = server
        self.token = server.guard.token
        self.numbers = {f"{one['group']}/{one['name']}".strip("/"): one["number"]
                        for one in self.json("list")["entries"]}  # fmt: skip

    def raw(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        port = self.server.guard.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.putrequest(method, path, skip_host=True)
        for name, value in {"Host": f"127.0.0.1:{port}", **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), body

    def get(self, rest: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        return self.raw(f"/{self.token}/{rest}", method)

    def json(self, rest: str, method: str = "GET") -> Any:
        return json.loads(self.get(rest, method)[2])

    def plane(self, name: str, k: int = 0) -> np.ndarray:
        status, headers, body = self.get(f"plane/{self.numbers[name]}/{k}")
        assert status == 200, body
        shape = [int(n) for n in headers["Desk-Shape"].split(",")]
        return np.frombuffer(body, "<f4").reshape(shape)
