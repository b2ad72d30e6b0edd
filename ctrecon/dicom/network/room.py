"""How many associations there may be, in all and of one peer, and who gives way when there is no room."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from ctrecon.dicom.network.conversation import Conversation

MOST_ASSOCIATIONS, MOST_OF_ONE_PEER = 100, 10
# One that was silent for so long gives way to a newcomer where there is no room else.
IDLE_S = 0.25
MOST_REMEMBERED = 1000
# One that has kept talking for so long without anything that could be kept gives way where none is idle.
USELESS_S = 1.0


@dataclass
class Room:
    """Associations that were let in. A peer is an address together with a calling AE title.

    Where it is full, those give way who are idle; who has many more associations than the newcomer's address; and who
    has sent something for a while of which nothing could be kept, the slowest first. A peer that brought something
    before goes before those who never did.
    """

    most: int = MOST_ASSOCIATIONS
    most_of_one: int = MOST_OF_ONE_PEER
    _inside: set[Conversation] = field(default_factory=set)
    _good: dict[tuple[str, str], None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, one: Conversation) -> bool:
        """Whether there is room for it; if not, the idlest of those who may be asked to leave is asked."""
        with self._lock:
            same = [c for c in self._inside if _peer(c) == _peer(one)]
            if len(same) < self.most_of_one and len(self._inside) < self.most:
                one.active_at = one.useful_at = time.monotonic()
                self._inside.add(one)
                return True
            # Whose place another one took asks again.
            if not one.made_room or not any(c.leaving for c in self._inside):
                one.made_room = self._make_room(one, same)
            return False

    def _make_room(self, one: Conversation, same: list[Conversation]) -> bool:
        """Whether somebody was asked to leave: an idle one, else one of those who have most, else a useless one."""
        if len(same) >= self.most_of_one:
            return _ask_to_leave([c for c in same if c.idle_s() >= IDLE_S], Conversation.idle_s)
        idle = [c for c in self._inside if c.idle_s() >= IDLE_S and not c.leaving]
        if idle:
            return _ask_to_leave(_of_the_greediest(idle), Conversation.idle_s)
        counts = Counter(c.host for c in self._inside if not c.leaving)
        working = [c for c in self._inside if not c.busy]
        greedy = [c for c in working if counts[c.host] == max(counts.values(), default=0) > counts[one.host] + 1]
        useless = [c for c in greedy or working if c.useless_s() >= USELESS_S]
        strangers = [c for c in working if not (c.achieved or self.is_good(c))] if self.is_good(one) else []
        return _ask_to_leave(useless or greedy or strangers, lambda c: -c.rate())

    def exit(self, one: Conversation) -> None:
        """It has ended."""
        with self._lock:
            self._inside.discard(one)
            if one.achieved:
                self._good.pop(_peer(one), None)
                self._good[_peer(one)] = None
                if len(self._good) > MOST_REMEMBERED:
                    del self._good[next(iter(self._good))]

    def is_good(self, one: Conversation) -> bool:
        """Whether this peer brought something before, of late."""
        return _peer(one) in self._good

    def everyone(self) -> list[Conversation]:
        """Who is inside now."""
        with self._lock:
            return list(self._inside)


def _peer(one: Conversation) -> tuple[str, str]:
    return one.host, one.peer.title


def _of_the_greediest(some: list[Conversation]) -> list[Conversation]:
    """All of the address that has the most of them."""
    counts = Counter(c.host for c in some)
    return [c for c in some if c.host == max(counts, key=lambda host: counts[host])]


def _ask_to_leave(some: list[Conversation], key: Callable[[Conversation], float]) -> bool:
    staying = [c for c in some if not c.leaving]
    if staying:
        max(staying, key=key).leave()
    return bool(staying)
