"""The storage provider of a listening node (PS3.4, B): what it accepts, and what it answers to each object."""

from __future__ import annotations

import hmac
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ctrecon.dicom.network import command_set
from ctrecon.dicom.network.commitment import PUSH_INSTANCE, PUSH_MODEL, REQUEST, read
from ctrecon.dicom.network.contexts import RECEIVED_CLASSES, RECEIVED_SYNTAXES, UNCOMPRESSED, VERIFICATION
from ctrecon.dicom.network.conversation import Message, Services, printable
from ctrecon.dicom.network.delivery import Delivery
from ctrecon.dicom.network.figures import Figures
from ctrecon.dicom.network.node import Connection
from ctrecon.dicom.network.objects import MismatchError, header_in, name_for, read_header
from ctrecon.dicom.network.pdu import User
from ctrecon.dicom.network.promises import Promises
from ctrecon.dicom.network.queue import ConflictError, FullError, Queue
from ctrecon.dicom.network.repeated import Repeated
from ctrecon.errors import InputError

SUCCESS, OUT_OF_RESOURCES, MISMATCH, NOT_UNDERSTOOD, CONFLICT, NOT_AUTHORISED = (
    0x0000, 0xA700, 0xA900, 0xC000, 0xC002, 0x0124,
)
# Of storage commitment (PS3.7, C.5).
NO_SUCH_INSTANCE, NO_SUCH_ACTION, INVALID_ARGUMENT, RESOURCE_LIMITATION = 0x0112, 0x0123, 0x0115, 0x0213


@dataclass
class Arrivals:
    """Receives objects into a queue and knows which studies have been quiet for how long."""

    queue: Queue
    connection: Connection
    log: Repeated
    promises: Promises
    delivery: Delivery
    figures: Figures
    allowed: tuple[str, ...] = ()
    most_object_bytes: int = 4 << 30
    _last: dict[str, float] = field(default_factory=dict)
    _open: dict[int, dict[str, tuple[str, set[str]]]] = field(default_factory=dict)
    _torn: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def services(self) -> Services:
        """What the node offers."""
        syntaxes = {str(c): tuple(map(str, RECEIVED_SYNTAXES)) for c in RECEIVED_CLASSES}
        return Services(
            title=self.connection.title,
            syntaxes={
                **syntaxes, VERIFICATION: tuple(map(str, UNCOMPRESSED)), PUSH_MODEL: tuple(map(str, UNCOMPRESSED[:2])),
            },
            handlers={
                command_set.STORE_RQ: self.on_store, command_set.ECHO_RQ: self.on_echo,
                command_set.ACTION_RQ: self.on_action, command_set.EVENT_RQ: self.on_event,
            },
            both_roles=(PUSH_MODEL,), accepted=lambda: self.figures.count("associations_total"),
            arriving=self.queue.arriving, allowed=self.allowed, known=self.is_known, log=self.log,
            released=self.on_released, ended=self.on_ended, timeout_s=self.connection.timeout_s,
            most_object_bytes=self.most_object_bytes,
        )

    def quiet(self, seconds: float, instances: int | None) -> list[str]:
        """Keys of the studies that are complete: so many objects came; or nothing is known to be missing, no
        association that brings any is open, and nothing came for so long. The time counts from the start at the latest.
        """
        now = time.monotonic()
        missing = self.queue.missing.studies()
        with self._lock:
            busy = set().union(*self._open.values()) if self._open else set()
            found = []
            for key in self.queue.studies("incoming"):
                last = self._last.setdefault(key, now)
                enough = instances is not None and self.queue.count(key) >= instances
                if enough or (key not in busy and key not in missing and now - last >= seconds):
                    found.append(key)
            return found

    def given_up(self, quiet_s: float, wait_s: float) -> list[tuple[str, int]]:
        """Keys of the studies of which something has been missing for so long, and how much."""
        with self._lock:
            busy = set().union(*self._open.values()) if self._open else set()
        missing = self.queue.missing
        return [
            (key, count)
            for key, count in missing.studies().items()
            if key not in busy and missing.older_than(key, max(quiet_s, wait_s))
        ]

    def forget(self, key: str) -> None:
        with self._lock:
            self._last.pop(key, None)

    def sweep(self) -> None:
        """Delete what broken associations left half-received."""
        for path in self.queue.arriving.iterdir():
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > 10 * self.connection.timeout_s + 60:
                    path.unlink()

    # --- requests, in a thread per association

    def on_echo(self, message: Message) -> int:
        """Whether we are there for this user."""
        return SUCCESS if self.is_known(message.peer.user) else NOT_AUTHORISED

    def on_store(self, message: Message) -> int:
        """An object is here, in a file: check it, keep it on the disk itself, and only then answer success."""
        status, key = self._keep(message)
        self.figures.count("objects_total", f'status="0x{status:04X}"')
        if status:
            study = f", study {key[:12]}" if key else ""
            self.log("refused an object from", f"{printable(message.peer.title)} with 0x{status:04X}{study}")
        return status

    def _keep(self, message: Message) -> tuple[int, str]:
        if not self.is_known(message.peer.user):
            return NOT_AUTHORISED, ""
        if not message.command.has_data:
            return NOT_UNDERSTOOD, ""
        try:
            if message.path is None:
                header = header_in(message.data, Path("an object that could not be kept"))
            else:
                header = read_header(message.path)
        except MismatchError:
            return MISMATCH, ""
        except InputError:
            if message.path is None:
                # Nobody knows whose it was: of one of those that this association brings.
                self._torn.add(message.association)
                return OUT_OF_RESOURCES, ""
            return NOT_UNDERSTOOD, ""
        if header.sop_instance != message.command.sop_instance:
            return MISMATCH, ""
        if not (header.study and header.series):
            return NOT_UNDERSTOOD, ""
        key, instance = name_for(header.study), name_for(header.sop_instance)
        missing = self.queue.missing
        try:
            with self._lock:
                # Before it is there, so that nobody takes the study for complete in between.
                mine = self._open.setdefault(message.association, {})
                if key not in mine:
                    mine[key] = missing.opened(key)
            if message.path is None:
                raise FullError
            self.queue.add(message.path, header)
            missing.arrived(key, instance)
        except (FullError, OSError):
            with suppress(OSError):
                missing.refused(key, instance, begun=self.queue.at("incoming", key).exists())
            return OUT_OF_RESOURCES, key
        except ConflictError:
            return CONFLICT, key
        with self._lock:
            self._last[key] = time.monotonic()
        return SUCCESS, key

    def on_action(self, message: Message) -> int:
        """A sender asks whether we hold its objects: it will be told where it listens, which we must know."""
        title = message.peer.title
        if not self.is_known(message.peer.user) or title not in self.promises.askers:
            self.log("refused a storage commitment to", f"{printable(title)}: it is not one of --peer")
            return NOT_AUTHORISED
        if message.command.sop_instance != PUSH_INSTANCE:
            return NO_SUCH_INSTANCE
        if message.command.type_id != REQUEST:
            return NO_SUCH_ACTION
        try:
            asked = read(message.data, message.syntax)
            self.promises.keep(title, asked)
        except InputError:
            return INVALID_ARGUMENT
        except (FullError, OSError):
            return RESOURCE_LIMITATION
        self.log("storage commitment asked for by", f"{printable(title)}: {len(asked.held)} objects")
        return SUCCESS

    def on_event(self, message: Message) -> int:
        """The destination reports what it holds of a result."""
        if not self.is_known(message.peer.user) or message.peer.title != self.delivery.send_to.title:
            return NOT_AUTHORISED
        try:
            return SUCCESS if self.delivery.reported(read(message.data, message.syntax)) else INVALID_ARGUMENT
        except InputError:
            return INVALID_ARGUMENT

    def is_known(self, user: User | None) -> bool:
        """Where users are asked for, an association without one is accepted, but may do nothing."""
        identity = self.connection.identity
        if identity is None:
            return True
        if user is None:
            return False
        right_user = hmac.compare_digest(user.primary, identity.user.encode())
        right_password = hmac.compare_digest(user.secondary, identity.password.encode())
        return user.kind in (1, 2) and right_user and right_password

    def on_released(self, association: int) -> None:
        """It brought all that it wanted to bring, but for what was refused."""
        with self._lock:
            if association not in self._torn:
                for name, before in self._open.get(association, {}).values():
                    with suppress(OSError):
                        self.queue.missing.ended(name, before)

    def on_ended(self, association: int) -> None:
        """Its studies are quiet from now on."""
        with self._lock:
            self._torn.discard(association)
            for key in self._open.pop(association, ()):
                if key in self._last:
                    self._last[key] = time.monotonic()
