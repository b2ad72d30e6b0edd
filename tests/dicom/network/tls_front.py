"""Ends TLS before a plain HTTP service and demands certificates of its clients, as sites put before theirs.

Orthanc 1.10.1 has that itself (SslVerifyPeers), but the Debian build falls over at the first request.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def front(context: ssl.SSLContext, behind: int) -> Iterator[int]:
    """Its port; ``behind`` is that of the service."""
    server = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(1 << 16):
                target.sendall(part)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def serve(client: socket.socket) -> None:
        client.settimeout(20)
        with suppress(OSError), context.wrap_socket(client, server_side=True) as secure:
            with socket.create_connection(("127.0.0.1", behind), timeout=20) as plain:
                there = threading.Thread(target=pump, args=(secure, plain))
                there.start()
                pump(plain, secure)
                with suppress(OSError):
                    socket.socket.shutdown(secure, socket.SHUT_RDWR)
                there.join()

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)
