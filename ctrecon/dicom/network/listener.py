"""A node that receives studies, has them processed one after the other, and sends the results on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ctrecon.dicom.network.arrivals import Arrivals
from ctrecon.dicom.network.associate import need_pynetdicom, silence
from ctrecon.dicom.network.door import Door
from ctrecon.dicom.network.node import Connection, Node
from ctrecon.dicom.network.objects import Header, is_dicom, read_header
from ctrecon.dicom.network.process import Command, Process, ProcessError, StoppedError
from ctrecon.dicom.network.queue import Queue
from ctrecon.dicom.network.store import explain, send, stored
from ctrecon.dicom.network.study_folder import journal_name
from ctrecon.errors import CtreconError, InputError, NetworkError
from ctrecon.support.where import trail, where

_TICK_S = 0.1
_MOST_PAUSE_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Rules:
    """When a study is complete, how often its delivery is tried, how long its objects are kept afterwards, and how
    long one waits of which something is missing.
    """

    quiet_s: float = 30.0
    instances: int | None = None
    most_refusals: int = 5
    keep_s: float = 24 * 3600.0
    first_pause_s: float = 1.0
    wait_s: float = 24 * 3600.0


@dataclass
class Listener:
    """Receives, processes, delivers, until ``stop`` is set. All that must survive is in the queue's folders.

    ``process`` works on one series after the other of a study. ``log`` gets lines without patient data: studies by the
    first digits of their hash, nodes by AE title, errors by status or by their type and the line of code that they
    came from, with ``debug`` every line that they passed.
    """

    queue: Queue
    connection: Connection
    send_to: Node
    log: Callable[[str], None]
    process: Process = field(default_factory=Command)
    rules: Rules = field(default_factory=Rules)
    allowed: tuple[str, ...] = ()
    outgoing: Connection | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    debug: bool = False

    def run(self, address: str, port: int, *, started: Callable[[int], None] = lambda port: None) -> None:
        """Work until ``stop`` is set; ``started`` is told the port. Raises SettingError, NetworkError, InputError."""
        need_pynetdicom()
        silence()
        tls = self.connection.tls
        arrivals = Arrivals(self.queue, self.connection, self.log, allowed=self.allowed)
        door = Door(arrivals.services(), address, port, None if tls is None else tls.server())
        workers = [threading.Thread(target=work) for work in (self._process_all, self._send_all)]
        for worker in workers:
            worker.start()
        started(door.port)
        try:
            while not self.stop.wait(_TICK_S):
                self._look(arrivals)
        finally:
            self.stop.set()
            door.close()
            for worker in workers:
                worker.join()

    def _look(self, arrivals: Arrivals) -> None:
        """Take up what is complete, and keep house."""
        for key in arrivals.quiet(self.rules.quiet_s, self.rules.instances):
            count = self.queue.count(key)
            try:
                outcome = self.queue.complete(key)
            except OSError as why:
                self.log(f"study {key[:12]}: cannot be taken up: {self._named(why)}, errno {why.errno}")
                continue
            if outcome != "later":
                arrivals.forget(key)
                said = {"known": "was done before", "failed": "failed", "ready": "is complete"}[outcome]
                self.log(f"study {key[:12]}: {count} objects, {said}")
        for key, count in arrivals.given_up(self.rules.quiet_s, self.rules.wait_s):
            if self.queue.at("incoming", key).exists():
                reason = f"{count} refused objects or broken associations were not made good; send it all again"
                self.queue.give_up_waiting(key, reason)
                self.log(f"study {key[:12]}: failed: it never became whole")
            self.queue.missing.forget(key)
        arrivals.sweep()
        self.queue.give_up_older_than(self.rules.keep_s)

    # --- processing

    def _process_all(self) -> None:
        while not self.stop.wait(_TICK_S):
            for key in self.queue.studies("ready"):
                if self.stop.is_set():
                    return
                self._guarded(self._process_one, key)

    def _process_one(self, key: str) -> None:
        study = self.queue.begin(key)
        if study is None:
            if self.queue.at("failed", key).exists():
                self.log(f"study {key[:12]}: failed: begun too often")
            return
        began, certified = time.monotonic(), True
        try:
            for series in sorted((study / "input").iterdir()):
                output = study / "output" / series.name
                output.mkdir(mode=0o700)
                certified &= self.process(series.resolve(), output.resolve())
            if not any(is_dicom(path) for path in (study / "output").rglob("*") if path.is_file()):
                raise ProcessError("the processing wrote no DICOM file")
        except StoppedError:
            self.queue.back(key)
            return
        except Exception as why:  # a process may raise what it likes; only this study fails
            expected = isinstance(why, ProcessError | CtreconError)
            reason = str(why) if expected else f"{type(why).__name__}: {why}\n{trail(why)}"
            self.queue.fail("running", key, f"processing: {reason}")
            self.log(f"study {key[:12]}: processing failed after {time.monotonic() - began:.1f} s; see failed/{key}")
            return
        self.queue.processed(key)
        how = "" if certified else ", NOT certified: what is sent says so, and by how much delta is missed"
        self.log(f"study {key[:12]}: processed in {time.monotonic() - began:.1f} s{how}")

    # --- delivery

    def _send_all(self) -> None:
        tries: dict[str, int] = {}
        due: dict[str, float] = {}
        while not self.stop.wait(_TICK_S):
            for key in self.queue.studies("sending"):
                if self.stop.is_set():
                    return
                if time.monotonic() < due.get(key, 0.0):
                    continue
                tries[key] = tries.get(key, 0) + 1
                if self._guarded(self._send_one, key, tries[key]):
                    tries.pop(key, None)
                    due.pop(key, None)
                else:
                    pause = min(self.rules.first_pause_s * 2.0 ** min(tries[key] - 1, 20), _MOST_PAUSE_S)
                    due[key] = time.monotonic() + pause

    def _send_one(self, key: str, attempt: int) -> bool:
        """Deliver what is not confirmed yet. Whether the study is done with, delivered or failed.

        A node that cannot be reached is tried for ever; one that refuses objects, ``most_refusals`` times.
        """
        confirmed = self.queue.delivered(key)
        folder = self.queue.at("sending", key) / "output"
        headers: list[Header] = []
        try:
            for path in self.queue.output(key):
                if is_dicom(path) and journal_name(path, folder) not in confirmed:
                    headers.append(read_header(path))
            outgoing = self.outgoing or self.connection
            sent = send(self.send_to, outgoing, headers, done=lambda header, status: self._note(key, header, status))
        except NetworkError as why:
            # Its text names the node and the reason, and nothing that was received.
            self.log(f"study {key[:12]}: not delivered yet: {why}")
            return False
        except InputError as why:
            self.queue.fail("sending", key, f"delivery: {why}")
            self.log(f"study {key[:12]}: the result cannot be sent; see failed/{key}")
            return True
        if sent.complete:
            self.queue.finish(key)
            self.log(f"study {key[:12]}: {len(confirmed) + len(headers)} objects delivered to {self.send_to.title}")
            return True
        bad = {status: n for status, n in sent.counts().items() if not stored(status)}
        said = ", ".join(f"{n} {explain(status)} (0x{status:04X})" for status, n in sorted(bad.items()))
        if attempt < self.rules.most_refusals:
            self.log(f"study {key[:12]}: not delivered yet: {said}")
            return False
        self.queue.fail("sending", key, f"delivery: {self.send_to} refused objects: {said}")
        self.log(f"study {key[:12]}: delivery failed: {said}")
        return True

    def _note(self, key: str, header: Header, status: int) -> None:
        if stored(status):
            self.queue.note_delivery(key, header.path)

    def _guarded(self, work: Callable[..., Any], key: str, *arguments: Any) -> Any:
        """Whatever goes wrong with one study, such as a full disk, must not end the work on others."""
        try:
            return work(key, *arguments)
        except Exception as why:
            self.log(f"study {key[:12]}: {work.__name__.strip('_')} was interrupted: {self._named(why)}")
            self.stop.wait(1.0)
            return False

    def _named(self, why: Exception) -> str:
        """What kind of error it is and where it came from; its text may quote what was received."""
        return trail(why) if self.debug else f"{type(why).__name__} at {where(why)}"

