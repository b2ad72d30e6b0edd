"""A command that is run when somebody should look at the node: studies fail or pile up, or the disk is full."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ctrecon.dicom.network.figures import Figures, count_and_age
from ctrecon.dicom.network.node import PASSWORD, USER
from ctrecon.dicom.network.queue import Queue

_REPEAT_S, _MOST_S = 3600.0, 60.0


@dataclass
class Alerts:
    """Runs ``words`` with one JSON object on its standard input, which names no patient: ``event`` (``failed``,
    ``waiting`` or ``disk``), ``node``, ``time``, and what the event is about. No words, no alerts.

    ``most_waiting`` and ``oldest_s``: how many studies may be unfinished, and for how long; what lasts is repeated
    every hour.
    """

    node: str
    queue: Queue
    figures: Figures
    log: Callable[[str], None]
    words: tuple[str, ...] = ()
    most_waiting: int = 20
    oldest_s: float = 6 * 3600.0
    _said: dict[str, float] = field(default_factory=dict)

    def look(self) -> None:
        """Alert of what is new, or lasts."""
        while self.figures.failures:
            key, where = self.figures.failures.popleft()
            self._alert({"event": "failed", "study": key, "where": where})
        waiting, oldest = 0, 0.0
        for state in ("incoming", "ready", "running", "sending"):
            count, age = count_and_age(self.queue.folder / state)
            waiting, oldest = waiting + count, max(oldest, age)
        self._lasting("waiting", waiting >= self.most_waiting or oldest > self.oldest_s, {
            "studies": waiting, "oldest_s": round(oldest),
        })  # fmt: skip
        self._lasting("disk", self.queue.is_full(), {"queue_bytes": self.queue.bytes})

    def _lasting(self, event: str, bad: bool, facts: dict[str, object]) -> None:
        if not bad:
            self._said.pop(event, None)
        elif time.monotonic() - self._said.get(event, -_REPEAT_S) >= _REPEAT_S:
            self._said[event] = time.monotonic()
            self._alert({"event": event, **facts})

    def _alert(self, facts: dict[str, object]) -> None:
        if self.words:
            said = json.dumps({"node": self.node, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **facts})
            threading.Thread(target=self._run, args=(said,), name="alert", daemon=True).start()

    def _run(self, said: str) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in (USER, PASSWORD)}
        try:
            done = subprocess.run(
                self.words, input=said.encode(), env=environment, timeout=_MOST_S, check=False,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as why:
            self.log(f"the alert command did not work: {type(why).__name__}")
            return
        if done.returncode:
            self.log(f"the alert command ended with exit code {done.returncode}")
