"""Objects that arrive: written to disk while they come in, checked, and only then kept under a name of their own."""

from __future__ import annotations

import errno
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctrecon.dicom.network.associate import without_delay
from ctrecon.dicom.network.conversation import Message
from ctrecon.dicom.network.objects import DEFLATED, content_digest, name_for, read_header, sync_file, sync_folder
from ctrecon.errors import InputError

NOT_UNDERSTOOD, CONFLICT, OUT_OF_RESOURCES = 0xC000, 0xC002, 0xA700
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)


@dataclass
class Disk:
    """Where the network library writes to. ``error``: why it cannot, from a thread of its own; ``wake`` is called then,
    since whoever waits for that thread would wait until the time is up.
    """

    error: OSError | None = None
    wake: Callable[[], object] = lambda: None


@contextmanager
def straight_to_disk(folder: Path) -> Iterator[Disk]:
    """Let the network library write what arrives to files in ``folder``, in pieces, not to memory.

    These are settings of the whole process, so they are put back at the end.
    """
    from pynetdicom import _config

    disk, report = Disk(), threading.excepthook

    def hook(what: threading.ExceptHookArgs) -> None:
        if isinstance(what.exc_value, OSError) and what.exc_value.errno in _DISK_ERRORS:
            disk.error = what.exc_value
            disk.wake()
        else:
            report(what)

    before = _config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir
    _config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir, threading.excepthook = True, str(folder), hook
    try:
        yield disk
    finally:
        _config.STORE_RECV_CHUNKED_DATASET, tempfile.tempdir = before
        threading.excepthook = report


@dataclass(kw_only=True)
class Kept:
    """Objects under ``folder/STUDY/SERIES/OBJECT.dcm``, each name a hash of its UID.

    ``expect_study``: whatever belongs to another study was not asked for and is refused. ``most_bytes``: when it is
    reached, what follows is refused as out of resources.
    """

    folder: Path
    expect_study: str
    most_bytes: int
    files: list[Path] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)
    size: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on_store(self, event: Any) -> int:
        """Keep an object, on the disk itself before success is answered."""
        path = Path(event.dataset_path)
        try:
            return self.take(path, str(event.request.AffectedSOPInstanceUID))
        finally:
            path.unlink(missing_ok=True)

    def on_message(self, message: Message) -> int:
        """The same for what comes by C-MOVE, over an association of the other side's."""
        if message.path is None:
            return OUT_OF_RESOURCES
        return self.take(message.path, message.command.sop_instance)

    def take(self, path: Path, announced: str) -> int:
        """Keep an object and count what was refused; gives a status of PS3.4, B.2.3."""
        try:
            status = self.keep(path, announced)
        except OSError:
            status = OUT_OF_RESOURCES
        if status:
            with self._lock:
                self.refused[status] = self.refused.get(status, 0) + 1
        return status

    def keep(self, path: Path, announced: str) -> int:
        """Move an object's file to its place; gives a status of PS3.4, B.2.3."""
        try:
            header = read_header(path)
        except InputError:
            return NOT_UNDERSTOOD
        if not header.study and header.transfer_syntax != DEFLATED:
            return NOT_UNDERSTOOD
        if header.sop_instance != announced or (header.study and header.study != self.expect_study):
            return NOT_UNDERSTOOD
        size = path.stat().st_size
        place = self.folder / name_for(self.expect_study) / name_for(header.series)
        target = place / f"{name_for(header.sop_instance)}.dcm"
        with self._lock:
            if self.size + size > self.most_bytes:
                return OUT_OF_RESOURCES
            if target.exists():
                if content_digest(target) != content_digest(path):
                    return CONFLICT
            else:
                place.mkdir(parents=True, exist_ok=True)
                sync_file(path)
                path.replace(target)
                sync_folder(place)
            self.size += size
            self.files.append(target)
        return 0


def handlers(kept: Kept) -> list[Any]:
    """What the network library is to call."""
    from pynetdicom import evt

    return [(evt.EVT_CONN_OPEN, without_delay), (evt.EVT_C_STORE, kept.on_store)]
