"""The storage provider of a listening node (PS3.4, B): what it accepts, and what it answers to each object."""

from __future__ import annotations

import hmac
import socket
import socketserver
import ssl
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctrecon.dicom.network.associate import entity
from ctrecon.dicom.network.contexts import RECEIVED_CLASSES, RECEIVED_SYNTAXES, UNCOMPRESSED
from ctrecon.dicom.network.node import Connection
from ctrecon.dicom.network.objects import name_for, read_header
from ctrecon.dicom.network.queue import ConflictError, FullError, Queue
from ctrecon.errors import InputError, NetworkError

SUCCESS, OUT_OF_RESOURCES, MISMATCH, NOT_UNDERSTOOD, CONFLICT, NOT_AUTHORISED = (
    0x0000, 0xA700, 0xA900, 0xC000, 0xC002, 0x0124,
)
VERIFICATION = "1.2.840.10008.1.1"
MOST_ASSOCIATIONS = 10


@dataclass
class Arrivals:
    """Receives objects into a queue and knows which studies have been quiet for how long."""

    queue: Queue
    connection: Connection
    log: Callable[[str], None]
    allowed: tuple[str, ...] = ()
    most_object_bytes: int = 4 << 30
    _last: dict[str, float] = field(default_factory=dict)
    _open: dict[int, set[str]] = field(default_factory=dict)
    _growing: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, address: str, port: int) -> Any:
        """Listen; gives the server, whose ``server_address`` tells the port. Raises NetworkError, InputError."""
        from pydicom.uid import UID
        from pynetdicom import build_context, evt

        ae = entity(self.connection)
        ae.require_called_aet = True
        ae.require_calling_aet = list(self.allowed)
        ae.maximum_associations = MOST_ASSOCIATIONS
        contexts = [build_context(UID(c), [UID(s) for s in RECEIVED_SYNTAXES]) for c in RECEIVED_CLASSES]
        contexts.append(build_context(UID(VERIFICATION), [UID(s) for s in UNCOMPRESSED]))
        tls = self.connection.tls
        context = None if tls is None else tls.server()
        try:
            server = ae.make_server(
                (address, port),
                contexts=contexts,
                ssl_context=context,
                server_class=_server_class(self.connection.timeout_s),
                evt_handlers=[
                    (evt.EVT_C_STORE, self.on_store),
                    (evt.EVT_C_ECHO, lambda event: SUCCESS if self._known_user(event) else NOT_AUTHORISED),
                    (evt.EVT_USER_ID, self.on_user),
                    (evt.EVT_DATA_RECV, self.on_data),
                    (evt.EVT_ESTABLISHED, self.on_established),
                    (evt.EVT_REJECTED, self.on_rejected),
                    (evt.EVT_CONN_CLOSE, self.on_closed),
                ],
            )
        except OSError as why:
            place = f"{address}:{port}"
            raise NetworkError(f"cannot listen on {place}: {why.strerror}; use another --port or --bind") from None
        threading.Thread(target=server.serve_forever, args=(0.1,), name="associations", daemon=True).start()
        return server

    def quiet(self, seconds: float, instances: int | None) -> list[str]:
        """Keys of the studies that are complete: so many objects came, or no association that brings any is open and
        nothing came for so long. After a start, the time counts from the start.
        """
        now = time.monotonic()
        with self._lock:
            busy = set().union(*self._open.values()) if self._open else set()
            found = []
            for key in self.queue.studies("incoming"):
                last = self._last.setdefault(key, now)
                enough = instances is not None and self.queue.count(key) >= instances
                if enough or (key not in busy and now - last >= seconds):
                    found.append(key)
            return found

    def forget(self, key: str) -> None:
        with self._lock:
            self._last.pop(key, None)

    def sweep(self) -> None:
        """Delete what broken associations left half-received."""
        for path in self.queue.arriving.iterdir():
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > 10 * self.connection.timeout_s + 60:
                    path.unlink()

    # --- events of the network library, in a thread per association

    def on_store(self, event: Any) -> int:
        """An object is here, in a file: check it, keep it on the disk itself, and only then answer success."""
        path = Path(event.dataset_path)
        with self._lock:
            self._growing[id(event.assoc)] = 0
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                status, key = self._keep(path, event)
        finally:
            path.unlink(missing_ok=True)
        if status:
            who = _title(event)
            self.log(f"refused an object from {who} with 0x{status:04X}" + (f", study {key[:12]}" if key else ""))
        return status

    def _keep(self, path: Path, event: Any) -> tuple[int, str]:
        if not self._known_user(event):
            return NOT_AUTHORISED, ""
        try:
            header = read_header(path)
        except InputError:
            return NOT_UNDERSTOOD, ""
        if header.sop_instance != str(event.request.AffectedSOPInstanceUID):
            return MISMATCH, ""
        if not (header.study and header.series):
            return NOT_UNDERSTOOD, ""
        key = name_for(header.study)
        with self._lock:
            # Before it is there, so that nobody takes the study for complete in between.
            self._open.setdefault(id(event.assoc), set()).add(key)
        try:
            self.queue.add(path, header)
        except (FullError, OSError):
            return OUT_OF_RESOURCES, key
        except ConflictError:
            return CONFLICT, key
        with self._lock:
            self._last[key] = time.monotonic()
        return SUCCESS, key

    def on_data(self, event: Any) -> None:
        """Bytes came in: break off what is larger than any object may be, before the disk is full."""
        with self._lock:
            size = self._growing.get(id(event.assoc), 0) + len(event.data)
            self._growing[id(event.assoc)] = size
        if size > self.most_object_bytes:
            self.log(f"broke off an association of {_title(event)}: an object of more than {size} bytes")
            event.assoc.abort(block=False)

    def on_user(self, event: Any) -> tuple[bool, bytes | None]:
        return self._is_known(event.user_id_type, event.primary_field, event.secondary_field), None

    def _is_known(self, kind: int | None, user: bytes | None, password: bytes | None) -> bool:
        identity = self.connection.identity
        if identity is None:
            return True
        right_user = hmac.compare_digest(user or b"", identity.user.encode())
        right_password = hmac.compare_digest(password or b"", identity.password.encode())
        return kind in (1, 2) and right_user and right_password

    def _known_user(self, event: Any) -> bool:
        """Where users are asked for, an association without one was accepted, but may do nothing."""
        given = event.assoc.requestor.user_identity
        return self.connection.identity is None or (
            given is not None and self._is_known(given.user_identity_type, given.primary_field, given.secondary_field)
        )

    def on_established(self, event: Any) -> None:
        self.log(f"association of {_title(event)}")

    def on_rejected(self, event: Any) -> None:
        self.log(f"refused an association of {_title(event)}")

    def on_closed(self, event: Any) -> None:
        with self._lock:
            self._growing.pop(id(event.assoc), None)
            for key in self._open.pop(id(event.assoc), ()):
                if key in self._last:
                    self._last[key] = time.monotonic()


def _title(event: Any) -> str:
    """The calling AE title, which names a machine. Escaped: it comes from outside."""
    title = str(event.assoc.requestor.ae_title)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in title)


def _server_class(timeout_s: float) -> Any:
    from pynetdicom.transport import ThreadedAssociationServer

    class Server(ThreadedAssociationServer):
        """Greets with TLS in the association's own thread: who connects and says nothing keeps nobody out."""

        daemon_threads = True

        def shutdown(self) -> None:
            # Not the library's own, which takes this server from a list that only its start_server fills.
            socketserver.TCPServer.shutdown(self)
            self.server_close()

        def get_request(self) -> Any:
            assert self.socket is not None
            request, address = self.socket.accept()
            request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return request, address

        def process_request_thread(self, request: Any, client_address: Any) -> None:
            if self.ssl_context is not None:
                try:
                    request.settimeout(timeout_s)
                    request = self.ssl_context.wrap_socket(request, server_side=True)
                    request.settimeout(None)
                except (OSError, ssl.SSLError):
                    self.shutdown_request(request)
                    return
            super().process_request_thread(request, client_address)

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Print nothing: a traceback may quote what was received."""

    return Server
