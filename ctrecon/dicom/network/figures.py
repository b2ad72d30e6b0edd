"""What a node tells its monitoring: counters since its start, and the queue as it is. No patient is in it."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ctrecon.dicom.network.queue import Queue
from ctrecon.dicom.network.study_folders import STATES

_HELP = {
    "associations_total": "Associations that were accepted.",
    "objects_total": "Objects by the status that was answered to C-STORE.",
    "studies_processed_total": "Studies that were reconstructed.",
    "studies_delivered_total": "Studies whose results were delivered.",
    "studies_failed_total": "Studies that failed, by where.",
    "slices_total": "Slices that the processing said it has done.",
}
_FAILED_IN = {"incoming": "arrival", "ready": "processing", "running": "processing", "sending": "delivery"}
_DONE = {("running", "sending"): "studies_processed_total", ("sending", "done"): "studies_delivered_total"}


@dataclass
class Figures:
    """Counted by all threads of a node. ``failures`` are those that nobody was alerted of yet: key and where."""

    failures: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=1000))
    _counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, name: str, label: str = "", by: int = 1) -> None:
        """One more of a name of the list above; ``label`` is like ``status="0xA700"``."""
        with self._lock:
            self._counts[name, label] += by

    def moved(self, state: str, to: str, key: str) -> None:
        """A study went from a state of the queue to another."""
        if to == "failed":
            self.failed(key, _FAILED_IN[state])
        elif name := _DONE.get((state, to)):
            self.count(name)

    def failed(self, key: str, where: str) -> None:
        """A study failed in ``where``: arrival, processing or delivery."""
        self.count("studies_failed_total", f'where="{where}"')
        self.failures.append((key, where))

    def text(self, queue: Queue, extra: dict[str, float]) -> str:
        """All of it, of one moment, in the text format of Prometheus (version 0.0.4)."""
        lines = []
        with queue.moving:
            gauges = standing(queue)
            with self._lock:
                counts = sorted(self._counts.items())
        for name, said in _HELP.items():
            lines += [f"# HELP ctrecon_{name} {said}", f"# TYPE ctrecon_{name} counter"]
            mine = [(label, value) for (other, label), value in counts if other == name] or [("", 0)]
            lines += [f"ctrecon_{name}{f'{{{label}}}' if label else ''} {value}" for label, value in mine]
        for name, values in gauges.items():
            lines.append(f"# TYPE ctrecon_{name} gauge")
            lines += [f"ctrecon_{name}{label} {value:.10g}" for label, value in values.items()]
        for name, value in extra.items():
            lines += [f"# TYPE ctrecon_{name} gauge", f"ctrecon_{name} {value:.10g}"]
        return "\n".join(lines) + "\n"


def standing(queue: Queue) -> dict[str, dict[str, float]]:
    """The queue now: studies and the age of the oldest by state, bytes, free bytes, and what is waited for."""
    studies: dict[str, float] = {}
    ages: dict[str, float] = {}
    for state in STATES:
        count, age = count_and_age(queue.folder / state)
        studies[f'{{state="{state}"}}'], ages[f'{{state="{state}"}}'] = count, age
    return {
        "studies": studies,
        "oldest_study_seconds": ages,
        "queue_bytes": {"": queue.bytes},
        "disk_free_bytes": {"": shutil.disk_usage(queue.folder).free},
        "studies_incomplete": {"": len(queue.missing.studies())},
        "commitments_open": {"": count_and_age(queue.folder / "promises")[0]},
    }


def count_and_age(folder: Path, now: Callable[[], float] = time.time) -> tuple[int, float]:
    """How much is in a folder, and since how many seconds the oldest of it."""
    count, oldest = 0, now()
    for path in folder.iterdir():
        with suppress(OSError):
            oldest = min(oldest, path.stat().st_mtime)
            count += 1
    return count, now() - oldest
