"""How long a child has been at something: its processor's time, and that in which it slept, not that of other jobs."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path


class ChildTime:
    """Of process ``pid``; a child that waits for a processor, as on a machine with much else to do, spends nothing."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.begin()

    def begin(self) -> None:
        self._cpu, self._asleep = self._now()[0], 0.0

    def _now(self) -> tuple[float, bool]:
        """Seconds of processor time, and whether it is asleep."""
        try:
            words = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            return 0.0, True
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK"), words[0] in "STZ"

    def ready(self, pipe: int, seconds: float) -> bool:
        """Whether the child says something before it has spent ``seconds`` since ``begin``."""
        while True:
            before, began = self._now()[0], time.monotonic()
            if select.select([pipe], [], [], 0.5)[0]:
                return True
            cpu, asleep = self._now()
            if asleep and cpu == before:
                self._asleep += time.monotonic() - began
            if cpu - self._cpu + self._asleep > seconds:
                return False
