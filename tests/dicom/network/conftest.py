"""A real Orthanc on loopback for the tests that ask for one, with its own configuration, stopped again."""

from __future__ import annotations

import gc
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tls_certificates import write_certificates

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


@pytest.fixture(scope="session")
def shared_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running(tmp_path_factory.mktemp("orthanc")) as node:
        yield node


@pytest.fixture
def orthanc(shared_orthanc: Orthanc) -> Orthanc:
    """The session's Orthanc, empty."""
    shared_orthanc.clear()
    return shared_orthanc


@pytest.fixture
def start_orthanc(tmp_path: Path) -> Iterator[Callable[..., Orthanc]]:
    """Start another one, with other settings."""
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(running(tmp_path / f"orthanc{free_port()}", **changes))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as :func:`tls_certificates.write_certificates` makes it."""
    return write_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def serve() -> Iterator[Callable[[Handler], str]]:
    servers = []

    def start(handler: Handler) -> str:
        kind = type("Kind", (BaseHTTPRequestHandler,), {
            "do_GET": handler, "do_POST": handler, "log_message": lambda *_: None, "protocol_version": "HTTP/1.1",
        })
        server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True, scope="module")
def _sockets_that_the_library_forgets() -> Iterator[None]:
    """pynetdicom leaves the socket of a failed connection to the garbage collector: here, not in another module."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))
