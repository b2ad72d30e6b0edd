"""A listening node in the test's own process, whose queue and rules can be changed while it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
from pacs_nodes import Sink
from pacs_objects import uid

from ctrecon.dicom.network.listener import Listener, Rules
from ctrecon.dicom.network.node import Connection, Node
from ctrecon.dicom.network.queue import Limits, Queue


def result_of(folder_in: Path, folder_out: Path, progress: Any = None) -> bool:
    """One object, whose UID and comment say of how many objects it was made."""
    files = sorted(folder_in.iterdir())
    data = pydicom.dcmread(files[0])
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = uid("result", *(path.name for path in files))
    data.ImageComments = f"from {len(files)} objects"
    data.save_as(folder_out / "result.dcm")
    return True


class Here:
    """The node that runs, with its log."""

    def __init__(self, listener: Listener, lines: list[str]) -> None:
        self.listener, self.lines, self.port = listener, lines, 0

    @property
    def queue(self) -> Queue:
        return self.listener.queue

    @property
    def node(self) -> Node:
        return Node(title="NODE", host="127.0.0.1", port=self.port)


@contextmanager
def here(folder: Path, sink: Sink, *, limits: Limits | None = None, port: int = 0, **changes: Any) -> Iterator[Here]:
    """Listens until the end of the block."""
    rules = Rules(**{"quiet_s": 0.15, "first_pause_s": 0.05, **changes.pop("rules", {})})
    queue = Queue(folder, limits or Limits(free_bytes=0))
    lines: list[str] = []
    connection = changes.pop("connection", Connection(title="NODE", timeout_s=10, retries=0))
    listener = Listener(
        queue, connection, Node.parse(sink.node), lines.append, **{"process": result_of, "rules": rules, **changes}
    )
    one, ready = Here(listener, lines), threading.Event()

    def started(at: int) -> None:
        one.port = at
        ready.set()

    worker = threading.Thread(target=listener.run, args=("127.0.0.1", port), kwargs={"started": started})
    worker.start()
    try:
        assert ready.wait(30)
        yield one
    finally:
        listener.stop.set()
        worker.join()
        queue.close()
