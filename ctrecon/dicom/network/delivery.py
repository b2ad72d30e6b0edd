"""Results go to their destination: each object until it is confirmed, and, where asked for, until it is committed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctrecon.dicom.network import commitment
from ctrecon.dicom.network.node import Connection, Node
from ctrecon.dicom.network.objects import Header, headers_of, is_dicom, read_header
from ctrecon.dicom.network.queue import Queue
from ctrecon.dicom.network.store import explain, send, stored
from ctrecon.dicom.network.study_folder import journal_name
from ctrecon.errors import InputError, NetworkError
from ctrecon.support.atomic import atomic_write

_MOST_PAUSE_S = 300.0
_ASKED, _COMMITTED = "commitment.json", "committed"


@dataclass
class Delivery:
    """Sends the studies of the queue that are processed.

    ``commit``: a study is done with only when the destination has committed itself to every object (PS3.4, J); it is
    asked again after ``ask_again_s`` without a report.
    """

    queue: Queue
    connection: Connection
    send_to: Node
    log: Callable[[str], None]
    most_refusals: int = 5
    first_pause_s: float = 1.0
    commit: bool = False
    ask_again_s: float = 3600.0
    _tries: dict[str, int] = field(default_factory=dict)
    _due: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def due(self) -> list[str]:
        """Keys of the studies whose turn it is."""
        now = time.monotonic()
        return [key for key in self.queue.studies("sending") if now >= self._due.get(key, 0.0)]

    def attempt(self, key: str) -> None:
        """Try one study; where that was not the end of it, it is due again later."""
        self._tries[key] = self._tries.get(key, 0) + 1
        pause = min(self.first_pause_s * 2.0 ** min(self._tries[key] - 1, 20), _MOST_PAUSE_S)
        self._due[key] = time.monotonic() + pause
        if self.send_one(key, self._tries[key]):
            self._forget(key)

    def _forget(self, key: str) -> None:
        self._tries.pop(key, None)
        self._due.pop(key, None)

    def send_one(self, key: str, attempt: int) -> bool:
        """Deliver what is not confirmed yet. Whether the study is done with, delivered or failed.

        A node that cannot be reached is tried for ever; one that refuses objects, ``most_refusals`` times.
        """
        confirmed = self.queue.delivered(key)
        folder = self.queue.at("sending", key) / "output"
        headers: list[Header] = []
        try:
            for path in self.queue.output(key):
                if is_dicom(path) and journal_name(path, folder) not in confirmed:
                    headers.append(read_header(path))
            sent = send(self.send_to, self.connection, headers, done=lambda h, status: self._note(key, h, status))
            if sent.complete and self.commit and not self._is_committed(key):
                return False
        except NetworkError as why:
            # Its text names the node and the reason, and nothing that was received.
            self.log(f"study {key[:12]}: not delivered yet: {why}")
            return False
        except InputError as why:
            self._fail(key, f"delivery: {why}", "the result cannot be sent")
            return True
        if sent.complete:
            self.log(f"study {key[:12]}: {len(confirmed) + len(headers)} objects delivered to {self.send_to.title}")
            self.queue.finish(key)
            return True
        bad = {status: n for status, n in sent.counts().items() if not stored(status)}
        said = ", ".join(f"{n} {explain(status)} (0x{status:04X})" for status, n in sorted(bad.items()))
        if attempt < self.most_refusals:
            self.log(f"study {key[:12]}: not delivered yet: {said}")
            return False
        self._fail(key, f"delivery: {self.send_to} refused objects: {said}", f"delivery failed: {said}")
        return True

    def _fail(self, key: str, reason: str, said: str) -> None:
        self.log(f"study {key[:12]}: {said}; see failed/{key}")
        self.queue.fail("sending", key, reason)

    def _note(self, key: str, header: Header, status: int) -> None:
        if stored(status):
            self.queue.note_delivery(key, header.path)

    # --- storage commitment

    def _is_committed(self, key: str) -> bool:
        """Whether the destination has said so; else it is asked, unless it was lately. Raises NetworkError."""
        study = self.queue.at("sending", key)
        asked = study / _ASKED
        if (study / _COMMITTED).exists():
            return True
        if asked.exists() and time.time() - asked.stat().st_mtime < self.ask_again_s:
            return False
        held = [(h.sop_class, h.sop_instance) for h in headers_of([study / "output"])]
        transaction = commitment.new_transaction()
        with atomic_write(asked) as partial:
            partial.write_text(json.dumps({"transaction": transaction}))
        try:
            commitment.ask(self.send_to, self.connection, transaction, held)
        except NetworkError:
            asked.unlink(missing_ok=True)
            raise
        self.log(f"study {key[:12]}: {self.send_to.title} is asked to commit itself to {len(held)} objects")
        return (study / _COMMITTED).exists()

    def reported(self, result: commitment.Commitment) -> bool:
        """The destination says what it holds; whether it was asked. What it does not hold is sent again."""
        with self._lock:
            for key in self.queue.studies("sending"):
                study = self.queue.at("sending", key)
                if _transaction(study / _ASKED) != result.transaction:
                    continue
                self._settle(key, study, {instance for _, instance in result.held})
                return True
        return False

    def _settle(self, key: str, study: Path, held: set[str]) -> None:
        outputs = headers_of([study / "output"])
        lost = [h for h in outputs if h.sop_instance not in held]
        if lost:
            lines = self.queue.delivered(key) - {journal_name(h.path, study / "output") for h in lost}
            self.log(f"study {key[:12]}: {len(lost)} objects are not committed and are sent again")
            with atomic_write(study / "delivered") as partial:
                partial.write_text("".join(f"{line}\n" for line in sorted(lines)))
        else:
            self.log(f"study {key[:12]}: {len(outputs)} objects are committed")
            (study / _COMMITTED).touch()
            self._due.pop(key, None)
        (study / _ASKED).unlink(missing_ok=True)


def _transaction(path: Path) -> Any:
    try:
        return json.loads(path.read_text())["transaction"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
