"""How many associations there may be, in all and of one peer, and who gives way when there is no room."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ctrecon.dicom.network.conversation import Conversation

MOST_ASSOCIATIONS, MOST_OF_ONE_PEER = 100, 10
# One that was silent for so long gives way to a newcomer where there is no room else.
IDLE_S = 0.25


@dataclass
class Room:
    """Associations that were let in. A peer is an address together with a calling AE title."""

    most: int = MOST_ASSOCIATIONS
    most_of_one: int = MOST_OF_ONE_PEER
    _inside: set[Conversation] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, one: Conversation) -> bool:
        """Whether there is room for it; if not, the idlest of those who may be asked to leave is asked."""
        with self._lock:
            same = [c for c in self._inside if (c.host, c.peer.title) == (one.host, one.peer.title)]
            if len(same) < self.most_of_one and len(self._inside) < self.most:
                one.active_at = time.monotonic()
                self._inside.add(one)
                return True
            # Whose place another one took asks again.
            if not one.made_room or not any(c.leaving for c in self._inside):
                one.made_room = self._ask_to_leave(same if len(same) >= self.most_of_one else self._greediest())
            return False

    def _greediest(self) -> list[Conversation]:
        """All of the address that has the most, the idle ones counted."""
        counts = Counter(c.host for c in self._inside if c.idle_s() >= IDLE_S)
        return [c for c in self._inside if counts and c.host == max(counts, key=lambda host: counts[host])]

    def _ask_to_leave(self, candidates: Iterable[Conversation]) -> bool:
        idle = [c for c in candidates if c.idle_s() >= IDLE_S and not c.leaving]
        if idle:
            max(idle, key=Conversation.idle_s).leave()
        return bool(idle)

    def exit(self, one: Conversation) -> None:
        """It has ended."""
        with self._lock:
            self._inside.discard(one)

    def everyone(self) -> list[Conversation]:
        """Who is inside now."""
        with self._lock:
            return list(self._inside)
