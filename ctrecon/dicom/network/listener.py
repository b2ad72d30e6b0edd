"""A node that receives studies, has them processed one after the other, and sends the results on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ctrecon.dicom.network.alerts import Alerts
from ctrecon.dicom.network.arrivals import Arrivals
from ctrecon.dicom.network.associate import need_pynetdicom, silence
from ctrecon.dicom.network.attempts import whole_series
from ctrecon.dicom.network.delivery import Delivery
from ctrecon.dicom.network.door import Door
from ctrecon.dicom.network.figures import Figures
from ctrecon.dicom.network.health import Answer, Health
from ctrecon.dicom.network.node import Connection, Node
from ctrecon.dicom.network.objects import is_dicom
from ctrecon.dicom.network.process import Command, KilledError, Process, ProcessError, StoppedError
from ctrecon.dicom.network.promises import Promises
from ctrecon.dicom.network.queue import Queue
from ctrecon.dicom.network.repeated import Repeated
from ctrecon.errors import CtreconError
from ctrecon.support.where import trail, where

_TICK_S = 0.1
_ALERT_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Rules:
    """When a study is complete, how often its delivery is tried, how long its objects are kept afterwards, and how
    long one waits of which something is missing. ``commit``: results are kept until the destination has committed
    itself to them; it is asked again after ``ask_again_s``. An alert is due when so many studies wait, or one so long.
    """

    quiet_s: float = 30.0
    instances: int | None = None
    most_refusals: int = 5
    keep_s: float = 24 * 3600.0
    first_pause_s: float = 1.0
    wait_s: float = 24 * 3600.0
    commit: bool = False
    ask_again_s: float = 3600.0
    alert_studies: int = 20
    alert_age_s: float = 6 * 3600.0


@dataclass
class Listener:
    """Receives, processes, delivers, until ``stop`` is set. All that must survive is in the queue's folders.

    ``process`` works on one series after the other of a study, but for those that ``takes`` says it has nothing to do
    with, such as the scanner's own images beside its projections, unless no series is left. ``log`` gets lines without
    patient data: studies by the first digits of their hash, nodes by AE title, errors by status or by their type and
    the line of code that they came from, with ``debug`` every line that they passed.
    """

    queue: Queue
    connection: Connection
    send_to: Node
    log: Callable[[str], None]
    process: Process = field(default_factory=Command)
    takes: Callable[[Path], bool] = lambda series: True
    rules: Rules = field(default_factory=Rules)
    allowed: tuple[str, ...] = ()
    outgoing: Connection | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    debug: bool = False
    peers: tuple[Node, ...] = ()
    alert: tuple[str, ...] = ()
    health_port: int | None = None

    def __post_init__(self) -> None:
        rules, outgoing = self.rules, self.outgoing or self.connection
        self.figures = Figures()
        self.repeated = Repeated(self.log)
        self.queue.moved = self.figures.moved
        self.delivery = Delivery(
            self.queue, outgoing, self.send_to, self.log, most_refusals=rules.most_refusals,
            first_pause_s=rules.first_pause_s, commit=rules.commit, ask_again_s=rules.ask_again_s,
        )
        askers = {node.title: node for node in self.peers}
        self.promises = Promises(self.queue, outgoing, askers, self.log, keep_s=rules.keep_s)
        self.alerts = Alerts(
            self.connection.title, self.queue, self.figures, self.repeated, self.alert,
            most_waiting=rules.alert_studies, oldest_s=rules.alert_age_s, stop=self.stop,
        )
        self._threads: list[threading.Thread] = []

    def run(self, address: str, port: int, *, started: Callable[[int], None] = lambda port: None) -> None:
        """Work until ``stop`` is set.

        Args:
            address: Where to listen.
            port: On which port; 0 for a free one.
            started: Is told the port, once objects are taken.

        Raises:
            SettingError: Where pynetdicom is missing, or TLS lacks a certificate of ours.
            NetworkError: Where nothing can listen on the address and port.
            InputError: Where a certificate cannot be read.
        """
        need_pynetdicom()
        silence()
        tls = self.connection.tls
        arrivals = Arrivals(
            self.queue, self.connection, self.repeated, self.promises, self.delivery, self.figures, allowed=self.allowed
        )
        health = None if self.health_port is None else self._health(self.health_port)
        try:
            door = Door(arrivals.services(), address, port, None if tls is None else tls.server())
            self._threads = [threading.Thread(target=work) for work in (self._process_all, self._send_all)]
            for worker in self._threads:
                worker.start()
            started(door.port)
            try:
                alerted = 0.0
                while not self.stop.wait(_TICK_S):
                    self._look(arrivals)
                    self.repeated.look()
                    if time.monotonic() - alerted > _ALERT_S:
                        alerted = time.monotonic()
                        self._guarded(self._alert, "")
            finally:
                self.stop.set()
                door.close()
                for worker in self._threads:
                    worker.join()
                self.repeated.look(last=True)
        finally:
            if health is not None:
                health.close()

    def _health(self, port: int) -> Health:
        def health() -> Answer:
            faults = [f"{t.name} has ended" for t in self._threads if not t.is_alive()]
            faults += ["there is no room for another object"] if self.queue.is_full() else []
            return (503, "text/plain", "; ".join(faults) + "\n") if faults else (200, "text/plain", "ok\n")

        def metrics() -> Answer:
            up = {"uptime_seconds": time.monotonic() - began}
            return 200, "text/plain; version=0.0.4", self.figures.text(self.queue, up)

        began = time.monotonic()
        server = Health(port, {"/health": health, "/metrics": metrics})
        self.log(f"health and metrics at http://127.0.0.1:{server.port}/health and /metrics")
        return server

    def _look(self, arrivals: Arrivals) -> None:
        """Take up what is complete, and keep house."""
        for key in arrivals.quiet(self.rules.quiet_s, self.rules.instances):
            try:
                if self.queue.complete(key, partial(self._say_complete, key, self.queue.count(key))) != "later":
                    arrivals.forget(key)
            except OSError as why:
                self.log(f"study {key[:12]}: cannot be taken up: {self._named(why)}, errno {why.errno}")
        for key, count in arrivals.given_up(self.rules.quiet_s, self.rules.wait_s):
            if self.queue.at("incoming", key).exists():
                reason = f"{count} refused objects or broken associations were not made good; send it all again"
                self.log(f"study {key[:12]}: failed: it never became whole")
                self.queue.give_up_waiting(key, reason)
            self.queue.missing.forget(key)
        arrivals.sweep()
        self.queue.give_up_older_than(self.rules.keep_s)

    def _say_complete(self, key: str, count: int, outcome: str) -> None:
        said = {"known": "was done before", "failed": "failed", "ready": "is complete"}[outcome]
        self.log(f"study {key[:12]}: {count} objects, {said}")

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
                self.log(f"study {key[:12]}: failed: begun too often without coming further")
            return
        began = time.monotonic()
        try:
            every, whole = self._series_of(study, key), whole_series(study)
            certified = all(whole.values())
            for number, series in enumerate(every, 1):
                if series.name in whole:
                    continue
                output = study / "output" / series.name
                output.mkdir(mode=0o700)
                which = f"series {number} of {len(every)}, " if len(every) > 1 else ""
                proved = self.process(series.resolve(), output.resolve(), self._tell(key, which))
                certified &= proved
                if len(every) > 1:
                    self.queue.whole(key, series.name, certified=proved)
            if not any(is_dicom(path) for path in (study / "output").rglob("*") if path.is_file()):
                raise ProcessError("the processing wrote no DICOM file")
        except StoppedError:
            self.queue.back(key)
            return
        except KilledError as why:
            self.log(f"study {key[:12]}: {why}, from outside; begun again")
            self.queue.again(key)
            return
        except Exception as why:  # a process may raise what it likes; only this study fails
            expected = isinstance(why, ProcessError | CtreconError)
            reason = str(why) if expected else f"{type(why).__name__}: {why}\n{trail(why)}"
            # Said first and then done, here and elsewhere: who sees a study in its new state finds in the log why.
            self.log(f"study {key[:12]}: processing failed after {time.monotonic() - began:.1f} s; see failed/{key}")
            self.queue.fail("running", key, f"processing: {reason}")
            return
        how = "" if certified else ", NOT certified: what is sent says so, and by how much delta is missed"
        self.log(f"study {key[:12]}: processed in {time.monotonic() - began:.1f} s{how}")
        self.queue.processed(key)

    def _series_of(self, study: Path, key: str) -> list[Path]:
        every = sorted((study / "input").iterdir())
        taken = [series for series in every if self.takes(series.resolve())] or every
        if others := len(every) - len(taken):
            self.log(f"study {key[:12]}: {others} of {len(every)} series hold nothing to reconstruct, passed over")
        return taken

    def _tell(self, key: str, which: str) -> Callable[[int, int], None]:
        def tell(done: int, total: int) -> None:
            self.figures.count("slices_total")
            self.log(f"study {key[:12]}: {which}slice {done} of {total}")

        return tell

    # --- delivery

    def _send_all(self) -> None:
        delivery = self.delivery
        while not self.stop.wait(_TICK_S):
            for key in delivery.due():
                if self.stop.is_set():
                    return
                self._guarded(delivery.attempt, key)
            self._guarded(self._report, "")

    def _report(self, _: str) -> None:
        self.promises.answer_all()

    def _alert(self, _: str) -> None:
        self.alerts.look()

    def _guarded(self, work: Callable[..., Any], key: str, *arguments: Any) -> Any:
        """Whatever goes wrong with one study, such as a full disk, must not end the work on others."""
        try:
            return work(key, *arguments)
        except Exception as why:
            what = f"study {key[:12]}: " if key else ""
            self.log(f"{what}{work.__name__.strip('_')} was interrupted: {self._named(why)}")
            self.stop.wait(1.0)
            return False

    def _named(self, why: Exception) -> str:
        """What kind of error it is and where it came from; its text may quote what was received."""
        return trail(why) if self.debug else f"{type(why).__name__} at {where(why)}"

