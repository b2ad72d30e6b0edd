"""An association that was let in, served in a thread of its own: one message after the other, in bounded memory."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ctrecon.dicom.network import command_set, pdu
from ctrecon.dicom.network.assembly import Assembly
from ctrecon.dicom.network.associate import IMPLEMENTATION_CLASS, IMPLEMENTATION_VERSION
from ctrecon.dicom.network.command_set import Command
from ctrecon.dicom.network.contexts import standard_name
from ctrecon.dicom.network.patience import SMALL_BYTES, Patience
from ctrecon.dicom.network.pdu import PduError, Request, User
from ctrecon.dicom.network.repeated import Repeated
from ctrecon.support.where import where

NOT_SUPPORTED, PROCESSING_FAILURE, UNRECOGNISED_OPERATION = 0x0122, 0x0110, 0x0211
_MOST_CANCELS = 16
_MOST_NAMED = 3  # classes in a line of the log
FAREWELL_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Who called, from where."""

    title: str
    host: str
    user: User | None = None


@dataclass(frozen=True, kw_only=True)
class Message:
    """A request with its data set: in a file for C-STORE, else in memory. Of an object that could not be kept there
    is no file, and ``data`` has its beginning, with a file's header.
    """

    command: Command
    syntax: str
    association: int
    peer: Peer
    path: Path | None = None
    data: bytes = b""


Handler = Callable[[Message], int]


@dataclass(frozen=True, kw_only=True)
class Services:
    """What is offered: transfer syntaxes by SOP class, and what answers each kind of request with a status.

    ``arriving`` is where objects lie until their handler has moved them. ``released`` is told the association's
    number before its end in good order is confirmed, ``ended`` after every end.
    """

    title: str
    syntaxes: Mapping[str, tuple[str, ...]]
    handlers: Mapping[int, Handler]
    arriving: Path
    allowed: tuple[str, ...] = ()
    both_roles: tuple[str, ...] = ()
    known: Callable[[User], bool] = lambda user: True
    log: Repeated = field(default_factory=lambda: Repeated(lambda line: None))
    accepted: Callable[[], None] = lambda: None
    released: Callable[[int], None] = lambda association: None
    ended: Callable[[int], None] = lambda association: None
    timeout_s: float = 30.0
    most_object_bytes: int = 4 << 30


@dataclass(eq=False)
class Conversation:
    """One association over ``connection``, from the request ``asked`` to its end."""

    connection: socket.socket
    services: Services
    asked: bytes
    host: str
    active_at: float = field(default_factory=time.monotonic)
    busy: bool = False
    leaving: bool = False
    made_room: bool = False  # whether another one was asked to leave for this one
    understood: bool = False  # what it asked for was read, and the answer is ready
    achieved: bool = False  # whether anything that it asked for was done, a C-ECHO not counted
    useful_at: float = field(default_factory=time.monotonic)  # it came in, or something that it asked for was done
    _got_bytes: int = 0  # since then
    _patience: Patience = field(default_factory=Patience)  # with those since then that carried next to nothing
    _writing: bool = False
    _syntaxes: dict[int, tuple[str, str]] = field(default_factory=dict)
    _cancels: int = 0

    def __post_init__(self) -> None:
        self.peer = Peer(title=pdu.titles(self.asked)[1], host=self.host)
        self._most_bytes = 0

    def idle_s(self) -> float:
        """Since when nothing of use came in, while nothing is being done for it either."""
        return 0.0 if self.busy else time.monotonic() - self.active_at

    def useless_s(self) -> float:
        """Since when it has achieved nothing, while nothing is being done for it either."""
        return 0.0 if self.busy else time.monotonic() - self.useful_at

    def rate(self) -> float:
        """Bytes that it sent per second, since it last achieved something."""
        return self._got_bytes / max(time.monotonic() - self.useful_at, 1e-3)

    def leave(self) -> None:
        """From another thread: end it now."""
        self.leaving = True
        with suppress(OSError):
            # Not SSLSocket's own, which would take the encryption from under the thread that reads. Who does not read
            # its answers can be told nothing any more.
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR if self._writing else socket.SHUT_RD)

    def run(self) -> None:
        """Serve until it is released, aborted, broken or silent for too long."""
        try:
            if self._negotiate():
                self._messages()
        except PduError as why:
            self.services.log("broke off an association of", f"{printable(self.peer.title)}: {why}")
            with suppress(OSError):
                self._write(pdu.abort(why.reason))
        except OSError:
            with suppress(OSError):
                self._write(pdu.abort(0))
        finally:
            self.services.ended(id(self))
            with suppress(OSError):
                self._farewell()
            with suppress(OSError):
                self.connection.close()

    def _farewell(self) -> None:
        """Wait a moment for the other side to close, so that it reads what it was told last (PS3.8, 9.1.4)."""
        deadline = time.monotonic() + FAREWELL_S
        while not self.leaving and (left := deadline - time.monotonic()) > 0:
            self.connection.settimeout(left)
            if not self.connection.recv(1 << 14):
                return

    # --- the upper layer

    def _negotiate(self) -> bool:
        request = pdu.request(self.asked)
        if request.user is not None and not self.services.known(request.user):
            self._write(pdu.reject(pdu.WRONG_USER))
            self.services.log("refused an association of", f"{printable(self.peer.title)}: wrong user")
            return False
        self.peer = Peer(title=self.peer.title, host=self.host, user=request.user)
        self._most_bytes = request.most_bytes
        chosen: dict[int, tuple[int, str]] = {}
        for offer in request.offers:
            here = self.services.syntaxes.get(offer.abstract)
            syntax = offer.first_of(here or ())
            if syntax:
                self._syntaxes[offer.number] = (offer.abstract, syntax)
            chosen[offer.number] = (
                pdu.TAKEN if syntax else pdu.CLASS_UNKNOWN if here is None else pdu.SYNTAX_UNKNOWN, syntax
            )
        information = pdu.user_information(
            IMPLEMENTATION_CLASS, IMPLEMENTATION_VERSION, self._roles(request),
            request.user is not None and request.user.wants_answer,
        )
        self.services.accepted()
        self.services.log("association of", f"{printable(self.peer.title)}{self._not_taken(request)}")
        self._write(pdu.accept(self.asked, chosen, information))
        self.active_at = time.monotonic()
        self.asked = b""
        return True

    def _stay(self) -> None:
        """Raises ConnectionError where it is to leave."""
        if self.leaving:
            raise ConnectionError("asked to leave")

    def _not_taken(self, request: Request) -> str:
        """What it wanted to bring and may not: names of the standard, since other UIDs are text from outside."""
        taken = {abstract for abstract, _ in self._syntaxes.values()}
        classes = {standard_name(offer.abstract): offer.abstract in self.services.syntaxes
                   for offer in request.offers if offer.abstract not in taken}  # fmt: skip
        said = sorted(f"{name} in these transfer syntaxes" if here else name for name, here in classes.items())
        more = f" and {len(said) - _MOST_NAMED} more" if len(said) > _MOST_NAMED else ""
        return f", not accepted: {', '.join(said[:_MOST_NAMED])}{more}" if said else ""

    def _roles(self, request: Request) -> dict[str, tuple[int, int]]:
        """The requestor is the user of each class, and its provider too where we report to each other."""
        accepted = {abstract for abstract, _ in self._syntaxes.values()}
        return {
            uid: (user, provider if uid in self.services.both_roles else 0)
            for uid, (user, provider) in request.roles.items()
            if uid in accepted
        }

    def _write(self, content: bytes) -> None:
        self.understood = True
        self.connection.settimeout(self.services.timeout_s)
        self._writing = True
        self.connection.sendall(content)
        self._writing = False

    def _read(self, size: int, deadline: float) -> bytearray:
        content = bytearray(size)
        view, at = memoryview(content), 0
        while at < size:
            self.connection.settimeout(max(0.001, deadline - time.monotonic()))
            count = self.connection.recv_into(view[at:])
            if not count or self.leaving:  # what has come already can still be read
                raise ConnectionError("closed")
            at += count
            self._got_bytes += count
        return content

    def _next_data(self, between: bool) -> memoryview | None:
        """The content of the next P-DATA-TF; None at the end of the association, which may come between messages."""
        limits = {pdu.DATA: pdu.MOST_DATA_BYTES, pdu.ABORT: 4, pdu.RELEASE_RQ: 4, pdu.RELEASE_RP: 4}
        deadline = time.monotonic() + self.services.timeout_s
        kind, length = pdu.header(bytes(self._read(pdu.HEADER_BYTES, deadline)), limits)
        body = self._read(length, deadline)
        if kind == pdu.DATA:
            return memoryview(body)
        if kind == pdu.RELEASE_RQ and between:
            self.services.released(id(self))
            self._write(pdu.released())
        return None

    # --- messages

    def _messages(self) -> None:
        """Receive and answer one request after the other, until the end."""
        one = self._assembly()
        try:
            while (body := self._next_data(between=not one.begun)) is not None:
                for context, control, part in pdu.fragments(body):
                    self._weigh(len(part))
                    if one.add(context, control, part):
                        self._serve(one)
                        one.discard()
                        one = self._assembly()
        finally:
            one.discard()

    def _weigh(self, size: int) -> None:
        """Whoever talks much and says little must not take the processor from others."""
        if size >= SMALL_BYTES:
            self.active_at = time.monotonic()
        elif pause_s := self._patience.pause_s(size):
            time.sleep(pause_s)
            self._stay()

    def _assembly(self) -> Assembly:
        return Assembly(self._syntaxes, self.services.arriving, self.services.most_object_bytes)

    def _serve(self, one: Assembly) -> None:
        command = one.command
        assert command is not None
        if not command.is_request:
            self._cancels += 1
            if command.kind != command_set.CANCEL_RQ or self._cancels > _MOST_CANCELS:
                raise PduError("an answer to nothing", pdu.UNEXPECTED)
            return
        self.busy = True
        try:
            status = self._status(command, one)
        finally:
            self.busy = False
        self._write(pdu.data(one.context, command_set.answer(command, status), self._most_bytes))
        if command.kind != command_set.ECHO_RQ:
            self.active_at = time.monotonic()
            if not status:
                self.achieved = True
                self.useful_at, self._got_bytes, self._patience = self.active_at, 0, Patience()

    def _status(self, command: Command, one: Assembly) -> int:
        abstract, syntax = self._syntaxes[one.context]
        handler = self.services.handlers.get(command.kind)
        if handler is None:
            return UNRECOGNISED_OPERATION
        if command.sop_class != abstract:
            return NOT_SUPPORTED
        message = Message(
            command=command, syntax=syntax, association=id(self), peer=self.peer,
            path=one.file.path if one.file is not None else None,
            data=bytes(one.memory if one.file is None else one.file.head),
        )
        try:
            return handler(message)
        except Exception as why:  # only this request fails; what it says may quote what was received
            said = f"{printable(self.peer.title)}: {type(why).__name__} at {where(why)}"
            self.services.log("could not do what was asked for by", said)
            return PROCESSING_FAILURE


def printable(title: str) -> str:
    """An AE title, which names a machine, for a log. Escaped: it comes from outside."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in title)
