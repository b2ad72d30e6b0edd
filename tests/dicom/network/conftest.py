"""What the tests of the network share: a real Orthanc for those that ask for one, certificates, a server of pages."""

from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from orthanc_server import Handler, Orthanc, free_port, running
from tls_certificates import write_certificates


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
