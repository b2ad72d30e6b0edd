"""A command that is run when somebody should look at the node: studies fail or pile up, or the disk is full."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from ctrecon.dicom.network.figures import Figures, count_and_age
from ctrecon.dicom.network.node import PASSWORD, USER
from ctrecon.dicom.network.queue import Queue
from ctrecon.dicom.network.repeated import Repeated

_REPEAT_S, _MOST_S, _TICK_S = 3600.0, 60.0, 0.05
_MOST_DUE = 100


@dataclass
class Alerts:
    """Runs ``words`` with one JSON object on its standard input, which names no patient: ``event`` (``failed``,
    ``waiting`` or ``disk``), ``node``, ``time``, and what the event is about. No words, no alerts.

    ``most_waiting`` and ``oldest_s``: how many studies may be unfinished, and for how long; what lasts is repeated
    every hour. One alert is run at a time, each for at most ``most_s``; of more than 100 that wait, the last says how
    many are ``left_out``.
    """

    node: str
    queue: Queue
    figures: Figures
    log: Repeated
    words: tuple[str, ...] = ()
    most_waiting: int = 20
    oldest_s: float = 6 * 3600.0
    most_s: float = _MOST_S
    stop: threading.Event = field(default_factory=threading.Event)
    _said: dict[str, float] = field(default_factory=dict)
    _due: deque[dict[str, object]] = field(default_factory=deque)
    _left_out: int = 0
    _at_work: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

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
        if not self.words:
            return
        with self._lock:
            if len(self._due) == _MOST_DUE:
                self._left_out += 1
                return
            self._due.append({"node": self.node, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **facts})
            if not self._at_work:
                self._at_work = True
                threading.Thread(target=self._run_all, name="alert", daemon=True).start()

    def _run_all(self) -> None:
        """One after the other, so that a command that hangs is one process and not as many as there are alerts."""
        while True:
            with self._lock:
                if self.stop.is_set() or not self._due:
                    self._at_work = False
                    return
                said = self._due.popleft()
                if self._left_out and not self._due:
                    said["left_out"], self._left_out = self._left_out, 0
            self._run(json.dumps(said))

    def _run(self, said: str) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in (USER, PASSWORD)}
        try:
            process = subprocess.Popen(
                self.words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=environment, start_new_session=True,
            )
        except OSError as why:
            self.log("the alert command", f"cannot be started: {why.strerror}; check --alert")
            return
        assert process.stdin is not None
        with process.stdin as stream, suppress(OSError):  # it may not want to know; this is less than a pipe holds
            stream.write(said.encode())
            stream.flush()
        deadline = time.monotonic() + self.most_s
        while process.poll() is None and time.monotonic() < deadline and not self.stop.is_set():
            time.sleep(_TICK_S)
        if process.poll() is None:
            # Its children, too: they are a session of their own.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not self.stop.is_set():
                self.log("the alert command", f"did not end within {self.most_s:g} s and was killed")
        elif process.returncode:
            self.log("the alert command", f"ended with exit code {process.returncode}")
