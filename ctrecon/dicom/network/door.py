"""The listening side of a node: who connects waits here, briefly and in bounded memory, until an association request
is complete. Only then is there a thread for it. Silence, noise and handshakes without end cost nobody else a place.
"""

from __future__ import annotations

import errno
import select
import selectors
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from ctrecon.dicom.network import pdu
from ctrecon.dicom.network.conversation import FAREWELL_S, Conversation, Services, printable
from ctrecon.dicom.network.pdu import PduError
from ctrecon.dicom.network.room import Room
from ctrecon.dicom.network.tls_trouble import trouble
from ctrecon.errors import NetworkError

# A connection must have said what it wants after so long, TLS included; and may wait so long for room.
REQUEST_S, ROOM_S = 5.0, 1.6
# In all: connections, as far as there are file descriptors for them, and what they have said so far.
MOST_WAITING, MOST_SAID_BYTES = 1024, 64 << 20
_TICK_S, _PIECE, _REPORT_S = 0.05, 16 << 10, 60.0
# So many requests are read and answered at a time, of long ones (of up to sixteen thousand items) a single one, and
# whoever waits for that is looked at so often: a hundred threads that compute would keep the door itself waiting.
MOST_ASKING, LONG_REQUEST_BYTES, _TURN_S = 4, 16 << 10, 0.005
_TLS_HANDSHAKE = b"\x16"  # the first byte of who speaks TLS (RFC 8446, 5.1)
# Handshakes that are begun at a time, before those are heard again who are further.
MOST_SIGNED = 8
# After so long a thread that computes lets another one go on (Python's own 5 ms): the door waits for that at each of
# the thousand reads that a hundred long requests take, and everybody who connects waits for the door.
_SWITCH_S = 2e-4


@dataclass(eq=False)
class _Guest:
    """A connection that has no association yet."""

    connection: socket.socket
    host: str
    deadline: float
    secure: bool  # whether a TLS handshake is still to be done
    content: bytearray = field(default_factory=bytearray)
    need: int = pdu.HEADER_BYTES
    leaving: bool = False
    conversation: Conversation | None = None  # complete, and waiting for room


class Door:
    """Listens on ``address`` and ``port`` until ``close``. Raises NetworkError where that is not possible."""

    def __init__(
        self, services: Services, address: str, port: int, secure: ssl.SSLContext | None = None,
        room: Room | None = None,
    ) -> None:
        self._services, self._secure = services, secure
        self.room = room or Room()
        self._guests: dict[str, dict[_Guest, None]] = {}  # by address, the longest waiting first
        self._selector = selectors.DefaultSelector()
        self._most_waiting = min(MOST_WAITING, descriptors() // 2)
        self._said = 0
        self._strangers, self._reported = 0, time.monotonic()
        self._asked = False  # somebody asked for an association since the clock was looked at
        self._looked = 0.0
        self._stop = threading.Event()
        try:
            family = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
            self._listening = socket.create_server((address, port), family=family, backlog=1024)
        except OSError as why:
            raise NetworkError(
                f"cannot listen on {address}:{port}: {why.strerror}; use another --port or --bind"
            ) from None
        self.port = int(self._listening.getsockname()[1])
        self._listening.setblocking(False)
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._switch_s = sys.getswitchinterval()
        sys.setswitchinterval(min(_SWITCH_S, self._switch_s))
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let nobody in any more, and end every association."""
        self._stop.set()
        self._thread.join()
        sys.setswitchinterval(self._switch_s)
        for conversation in self.room.everyone():
            conversation.leave()
        deadline = time.monotonic() + 5
        while self.room.everyone() and time.monotonic() < deadline:
            time.sleep(0.01)

    def waiting(self) -> int:
        """Connections without an association."""
        return sum(map(len, self._guests.values()))

    # --- in the door's own thread

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                wait_s = _TURN_S if any(self._asking()) else _TICK_S
                ready = [key.data for key, _ in self._selector.select(wait_s)]
                if None in ready:
                    self._let_wait()
                for guest in self._by_cost([one for one in ready if self._is_here(one)]):
                    if self._is_here(guest):
                        self._listen_to(guest)
                self._look_at_the_clock()
        finally:
            self._selector.close()
            self._listening.close()
            for guests in self._guests.values():
                for guest in guests:
                    guest.connection.close()

    def _is_here(self, guest: _Guest | None) -> bool:
        """Whether it still waits: to let others in, or hear them, can have cost it its place."""
        return guest is not None and guest in self._guests.get(guest.host, {})

    def _by_cost(self, ready: list[_Guest]) -> list[_Guest]:
        """Who is further than the first step of TLS, which costs a signature; then some of those who are not, of the
        addresses that have the fewest guests. Who has gone meanwhile is not answered.
        """
        further = [one for one in ready if not _is_unsigned(one)]
        unsigned = [one for one in ready if _is_unsigned(one)]
        if len(unsigned) > MOST_SIGNED:
            gone = _hung_up(unsigned)
            for guest in gone:
                self._strangers += 1
                self._drop(guest)
            unsigned = [one for one in unsigned if one not in gone]
            unsigned.sort(key=lambda guest: len(self._guests[guest.host]))
        return further + unsigned[:MOST_SIGNED]

    def _let_wait(self) -> None:
        for _ in range(64):
            try:
                connection, address = self._listening.accept()
            except OSError as why:
                if why.errno in (errno.EMFILE, errno.ENFILE) and self._guests:
                    self._drop_one()
                return
            host = str(address[0])
            try:
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._secure is not None:
                    connection = self._secure.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
                self._selector.register(connection, selectors.EVENT_READ, None)
            except OSError:
                connection.close()
                continue
            limit = min(REQUEST_S, self._services.timeout_s)
            guest = _Guest(connection, host, time.monotonic() + limit, self._secure is not None)
            self._selector.modify(connection, selectors.EVENT_READ, guest)
            self._guests.setdefault(host, {})[guest] = None
            if self.waiting() > self._most_waiting:
                self._drop_one()

    def _drop_one(self) -> None:
        """The longest waiting of the address that has the most of them; who asked for an association comes last."""
        self._strangers += 1
        greediest = self._guests[max(self._guests, key=lambda host: len(self._guests[host]))]
        self._drop(next((guest for guest in greediest if guest.conversation is None), next(iter(greediest))))

    def _drop_the_longest_winded(self) -> None:
        """Those who take most of the memory: of a flood from wherever, not who asks for an association like others."""
        everyone = [guest for guests in self._guests.values() for guest in guests]
        for guest in sorted(everyone, key=lambda guest: len(guest.content), reverse=True):
            if self._said < MOST_SAID_BYTES // 2:
                return
            self._strangers += 1
            self._drop(guest)

    def _listen_to(self, guest: _Guest) -> None:
        try:
            self._progress(guest)
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError):
            self._selector.modify(guest.connection, selectors.EVENT_READ, guest)
        except ssl.SSLWantWriteError:
            self._selector.modify(guest.connection, selectors.EVENT_WRITE, guest)
        except ssl.SSLError as why:
            said = trouble(str(why))
            self._services.log("refused a secure connection of", f"{guest.host}: {said[0] if said else 'no TLS'}")
            self._drop(guest)
        except PduError as why:
            if self._secure is None and guest.content[:1] == _TLS_HANDSHAKE:
                self._services.log("refused a connection of", f"{guest.host}: it speaks TLS, this node does not")
            self._strangers += 1
            self._say_farewell(guest, pdu.abort(why.reason))
        except OSError:
            self._drop(guest)

    def _progress(self, guest: _Guest) -> None:
        """Read on, as far as there is anything. Raises what sockets raise that would block, and PduError."""
        if guest.secure:
            assert isinstance(guest.connection, ssl.SSLSocket)
            guest.connection.do_handshake()
            guest.secure = False
        while True:
            part = guest.connection.recv(_PIECE if guest.leaving else guest.need - len(guest.content))
            if not part or (guest.conversation is not None):
                # Gone; or speaking before it was answered, which nobody who waits for an answer does.
                raise ConnectionError
            if guest.leaving:
                return
            guest.content += part
            self._said += len(part)
            if self._said > MOST_SAID_BYTES:
                self._drop_the_longest_winded()
                if not self._is_here(guest):
                    return
            if len(guest.content) < guest.need:
                continue
            if guest.need == pdu.HEADER_BYTES:
                limits = {pdu.ASSOCIATE_RQ: pdu.MOST_REQUEST_BYTES}
                guest.need += pdu.header(bytes(guest.content), limits)[1]
                if guest.need > pdu.HEADER_BYTES:
                    continue
            self._ask(guest, bytes(guest.content[pdu.HEADER_BYTES :]))
            return

    def _ask(self, guest: _Guest, body: bytes) -> None:
        """The request is complete: whether it is for us, from somebody who may, and whether there is room."""
        called, calling = pdu.titles(body)
        who = printable(calling)
        if called != self._services.title:
            self._services.log("refused an association of", f"{who}: it calls {printable(called)}")
            self._say_farewell(guest, pdu.reject(pdu.CALLED_UNKNOWN))
        elif self._services.allowed and calling not in self._services.allowed:
            self._services.log("refused an association of", f"{who}: it is not one of --allow")
            self._say_farewell(guest, pdu.reject(pdu.CALLING_UNKNOWN))
        else:
            guest.conversation = Conversation(guest.connection, self._services, body, guest.host)
            guest.deadline = time.monotonic() + ROOM_S
            self._asked = True

    def _asking(self) -> Iterator[_Guest]:
        """Who has asked for an association and waits for the answer."""
        return (guest for guests in self._guests.values() for guest in guests if guest.conversation is not None)

    def _try_to_enter(self, guest: _Guest) -> bool:
        assert guest.conversation is not None
        if not self._has_its_turn(guest.conversation) or not self.room.enter(guest.conversation):
            return False
        self._forget(guest)
        threading.Thread(target=self._serve, args=(guest.conversation,), name="association", daemon=True).start()
        return True

    def _has_its_turn(self, one: Conversation) -> bool:
        unread = [c for c in self.room.everyone() if not c.understood]
        return len(unread) < MOST_ASKING and not (_is_long(one) and any(map(_is_long, unread)))

    def _serve(self, conversation: Conversation) -> None:
        try:
            conversation.run()
        finally:
            self.room.exit(conversation)

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        if not self._asked and now - self._looked < _TURN_S:
            return
        self._asked, self._looked = False, now
        places = MOST_ASKING  # no more than these before newcomers are heard
        for guest in self._in_turn():
            if guest.conversation is not None and not guest.leaving:
                places -= places > 0 and self._try_to_enter(guest)
                if now > guest.deadline and self._is_here(guest):
                    who = printable(guest.conversation.peer.title)
                    self._services.log("refused an association of", f"{who}: no room")
                    self._say_farewell(guest, pdu.reject(pdu.NO_ROOM))
            elif now > guest.deadline:
                self._strangers += not guest.leaving
                self._drop(guest)
        if self._strangers and now - self._reported > _REPORT_S:
            # One line for all of them: noise must not fill the log.
            self._services.log("closed connections that asked for no association:", str(self._strangers))
            self._strangers, self._reported = 0, now

    def _in_turn(self) -> list[_Guest]:
        """Everybody who waits: who brought something before, then of those addresses that take the least room, then
        who asks for the least.
        """
        inside = Counter(conversation.host for conversation in self.room.everyone())
        hosts = sorted(self._guests, key=lambda host: len(self._guests[host]) + inside[host])
        guests = [g for host in hosts for g in sorted(self._guests[host], key=lambda guest: len(guest.content))]
        return sorted(guests, key=lambda g: g.conversation is None or not self.room.is_good(g.conversation))

    def _say_farewell(self, guest: _Guest, last: bytes) -> None:
        """Send a refusal and wait a moment for the other side to close, so that it is read (PS3.8, 9.1.4)."""
        self._said -= len(guest.content)
        guest.leaving, guest.conversation, guest.content = True, None, bytearray()
        guest.deadline = time.monotonic() + FAREWELL_S
        with suppress(OSError):
            guest.connection.send(last)
            return
        self._drop(guest)

    def _forget(self, guest: _Guest) -> None:
        with suppress(KeyError, ValueError):
            self._selector.unregister(guest.connection)
        mine = self._guests.get(guest.host, {})
        mine.pop(guest, None)
        self._said -= len(guest.content)
        guest.content = bytearray()
        if not mine:
            self._guests.pop(guest.host, None)

    def _drop(self, guest: _Guest) -> None:
        self._forget(guest)
        with suppress(OSError):
            guest.connection.close()


def _is_long(one: Conversation) -> bool:
    return len(one.asked) > LONG_REQUEST_BYTES


def _is_unsigned(guest: _Guest) -> bool:
    return guest.secure and isinstance(guest.connection, ssl.SSLSocket) and guest.connection.cipher() is None


def _hung_up(guests: list[_Guest]) -> set[_Guest]:
    """Those whose other side has closed: what they sent before would still be read first. Windows does not tell."""
    if not hasattr(select, "poll"):
        return set()
    poll, by_number = select.poll(), {guest.connection.fileno(): guest for guest in guests}
    for number in by_number:
        poll.register(number, getattr(select, "POLLRDHUP", 0))
    return {by_number[number] for number, _ in poll.poll(0)}


def descriptors() -> int:
    """How many files this process may have open at a time."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return 512
    return int(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
