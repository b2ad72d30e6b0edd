"""A small archive (pynetdicom): keeps what it gets and gives it back by C-GET and C-MOVE."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE, build_context, evt

CT, VERIFICATION = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.1"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{k}" for k in (1, 2, 3))


class Archive:
    """Keeps what it gets and gives it back, over the same association or another one, with TLS."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.kept: list[Any] = []
        self.to, self.by = 0, None
        ae = AE("PACS")
        ae.add_supported_context(CT, scu_role=True, scp_role=True)
        ae.add_requested_context(CT)
        for name in (VERIFICATION, FIND, MOVE, GET):
            ae.add_supported_context(name)
        handlers: list[Any] = [(evt.EVT_C_STORE, self.store), (evt.EVT_C_GET, self.give), (evt.EVT_C_MOVE, self.move)]
        self.server: Any = ae.start_server(("127.0.0.1", 0), block=False, ssl_context=context, evt_handlers=handlers)
        self.node = f"PACS@127.0.0.1:{self.server.server_address[1]}"

    def store(self, event: Any) -> int:
        event.dataset.file_meta = event.file_meta
        self.kept.append(event.dataset)
        return 0

    def give(self, event: Any) -> Iterator[Any]:
        yield len(self.kept)
        yield from ((0xFF00, one) for one in self.kept)

    def move(self, event: Any) -> Iterator[Any]:
        secure = {} if self.by is None else {"tls_args": (self.by, "127.0.0.1")}
        yield "127.0.0.1", self.to, {"contexts": [build_context(CT)], **secure}
        yield from self.give(event)


@contextmanager
def archive(context: ssl.SSLContext | None) -> Iterator[Archive]:
    one = Archive(context)
    try:
        yield one
    finally:
        one.server.shutdown()
