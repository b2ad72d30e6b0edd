"""Storage commitment as a provider: what senders asked about, kept on disk until each was told what is held."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ctrecon.dicom.network.commitment import CLASS_CONFLICT, NO_SUCH_OBJECT, Commitment, Reference, report
from ctrecon.dicom.network.node import Connection, Node
from ctrecon.dicom.network.objects import name_for, read_header
from ctrecon.dicom.network.queue import FullError, Queue
from ctrecon.dicom.network.study_folders import STATES
from ctrecon.errors import InputError, NetworkError
from ctrecon.support.atomic import atomic_write

_MOST_OPEN = 1000
_MOST_PAUSE_S = 300.0


@dataclass
class Promises:
    """Requests of ``askers`` (by AE title: where the answer goes), answered in the queue's thread of delivery."""

    queue: Queue
    connection: Connection
    askers: dict[str, Node]
    log: Callable[[str], None]
    keep_s: float = 24 * 3600.0
    _tries: dict[str, int] = field(default_factory=dict)
    _due: dict[str, float] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.queue.folder / "promises"

    def keep(self, title: str, asked: Commitment) -> None:
        """Take a request on, on the disk itself when this returns. Raises FullError, OSError."""
        if sum(1 for _ in self.folder.iterdir()) >= _MOST_OPEN:
            raise FullError
        content = {"title": title, "transaction": asked.transaction, "objects": asked.held}
        with atomic_write(self.folder / f"{name_for(title + '/' + asked.transaction)}.json") as partial:
            partial.write_text(json.dumps(content))

    def answer_all(self) -> None:
        """Tell everybody who is due what is held. One who cannot be reached is tried again, with growing pauses."""
        for path in sorted(self.folder.glob("*.json")):
            if time.monotonic() < self._due.get(path.name, 0.0):
                continue
            title = "?"
            try:
                asked = json.loads(path.read_text())
                title = str(asked["title"])
                result = self.result(str(asked["transaction"]), [(str(c), str(i)) for c, i in asked["objects"]])
                if title in self.askers:
                    report(self.askers[title], self.connection, result)
                    self.log(f"storage commitment for {title}: {len(result.held)} held, {len(result.failed)} not")
                path.unlink()
            except (NetworkError, OSError) as why:
                self._later(path, title, why)
            except (ValueError, KeyError, TypeError):
                path.unlink()  # not of this program's making

    def _later(self, path: Path, title: str, why: Exception) -> None:
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > self.keep_s:
                path.unlink()
                self.log(f"storage commitment for {title}: given up, it could not be told")
                return
        count = self._tries[path.name] = self._tries.get(path.name, 0) + 1
        self._due[path.name] = time.monotonic() + min(2.0 ** min(count, 20), _MOST_PAUSE_S)
        if count == 1:
            self.log(f"storage commitment for {title}: not told yet: {why}")

    def result(self, transaction: str, objects: list[Reference]) -> Commitment:
        """What is held of these objects: those that are on the disk now, in whatever state their study is."""
        here: dict[str, Path] = {}
        for state in STATES:
            for path in (self.queue.folder / state).glob("*/input/*/*.dcm"):
                here[path.name.partition("-")[0]] = path
        held: list[Reference] = []
        failed: list[tuple[str, str, int]] = []
        for sop_class, instance in objects:
            path = here.get(name_for(instance), Path())
            try:
                same = read_header(path).sop_class == sop_class
            except InputError:
                failed.append((sop_class, instance, NO_SUCH_OBJECT))
                continue
            if same:
                held.append((sop_class, instance))
            else:
                failed.append((sop_class, instance, CLASS_CONFLICT))
        return Commitment(transaction=transaction, held=tuple(held), failed=tuple(failed))
