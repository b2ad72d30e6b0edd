"""A real Orthanc on loopback with its own configuration, stopped again."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

Handler = Callable[[BaseHTTPRequestHandler], None]
ORTHANC = shutil.which("Orthanc") or next((p for p in ("/usr/sbin/Orthanc",) if Path(p).is_file()), None)
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "tester", "a password of the test"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(frozen=True)
class Orthanc:
    port: int
    http: int
    move_port: int
    folder: Path

    @property
    def node(self) -> str:
        return f"ORTHANC@127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}/dicom-web"

    def rest(self, path: str, data: bytes | None = None, method: str = "GET") -> Any:
        answer = self.raw(path, data, method)
        return json.loads(answer) if answer else None

    def raw(self, path: str, data: bytes | None = None, method: str = "GET") -> bytes:
        import base64

        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data=data, method=method)
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())

    def clear(self) -> None:
        for patient in self.rest("/patients"):
            self.rest(f"/patients/{patient}", method="DELETE")

    def instances(self) -> list[str]:
        return list(self.rest("/instances"))


@contextmanager
def running(folder: Path, **changes: object) -> Iterator[Orthanc]:
    """Orthanc with its own folder and free ports, which ends with the block."""
    if ORTHANC is None or not PLUGIN.is_file():
        pytest.skip("Orthanc is not installed here (Debian: orthanc, orthanc-dicomweb)")
    node = Orthanc(free_port(), free_port(), free_port(), folder)
    configuration = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(PLUGIN)],
        "HttpPort": node.http,
        "DicomPort": node.port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "DicomCheckCalledAet": True,
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "DicomModalities": {"ctrecon": ["CTRECON", "127.0.0.1", node.move_port]},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "StableAge": 1,
        "JobsHistorySize": 0,
        "ConcurrentJobs": 1,
        "HttpThreadsCount": 4,
        "DicomThreadsCount": 2,
        **changes,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([ORTHANC, str(folder / "orthanc.json")], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    node.rest("/system")
                    break
                except OSError:
                    if process.poll() is not None or time.monotonic() > deadline:
                        pytest.fail("Orthanc did not start: " + (folder / "orthanc.log").read_text()[-2000:])
                    time.sleep(0.1)
            yield node
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
