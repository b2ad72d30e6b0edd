"""What strangers can make a node say over and over: a few lines of each kind, then how many more there were."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

_MOST_LINES, _WITHIN_S = 30, 60.0


@dataclass
class Repeated:
    """Lines for ``log`` by their kind, the words that a line begins with. Of each kind at most so many are written
    within so many seconds; then one says how many were not, so that no flood drives out of a log what matters.
    """

    log: Callable[[str], None]
    most: int = _MOST_LINES
    within_s: float = _WITHIN_S
    clock: Callable[[], float] = time.monotonic
    _written: Counter[str] = field(default_factory=Counter)
    _left_out: Counter[str] = field(default_factory=Counter)
    _began: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, kind: str, of: str) -> None:
        """One line: its kind, and what it is about."""
        self.look()
        with self._lock:
            self._written[kind] += 1
            if self._written[kind] > self.most:
                self._left_out[kind] += 1
                return
        self.log(f"{kind} {of}")

    def look(self, *, last: bool = False) -> None:
        """Say what was left out when its time is over, or ``last``: now. To be called now and then."""
        with self._lock:
            now = self.clock()
            if not last and now - self._began < self.within_s:
                return
            left_out, self._left_out = self._left_out, Counter()
            self._written.clear()
            self._began = now
        for kind, count in sorted(left_out.items()):
            self.log(f"{count} more lines within {self.within_s:g} s began with: {kind}")
