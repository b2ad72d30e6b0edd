"""A listening node in a process of its own, to be killed; and a plain storage node that counts what it gets."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt

from ctrecon.cli.main import cli

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0


def run(*args: object, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args], catch_exceptions=False, env=env)


def wait_for(what: Callable[[], Any], why: str = "") -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited in vain {why}")


SENDER = """
import sys, time; sys.path[:0] = [sys.argv[1]]
from pathlib import Path
from ctrecon.dicom.network.node import Connection, Node
from ctrecon.dicom.network.objects import headers_of
from ctrecon.dicom.network.store import send
from ctrecon.errors import NetworkError
while True:
    try:
        us, them = Connection(retries=0, timeout_s=5), Node.parse(sys.argv[3])
        if send(them, us, headers_of([Path(sys.argv[2])])).complete:
            break
    except NetworkError:
        time.sleep(0.1)
"""


def sending_until_all_are_there(objects: Path, node: str) -> subprocess.Popen[bytes]:
    """A sender that begins anew, however often the node is gone."""
    return subprocess.Popen([sys.executable, "-c", SENDER, str(ROOT), str(objects), node])


@dataclass
class Listening:
    """``ctrecon dicom listen`` as a process."""

    folder: Path
    send_to: str
    options: tuple[object, ...] = ()
    title: str = "NODE"
    env: dict[str, str] = field(default_factory=dict)
    before: tuple[object, ...] = ()  # words in front of the command
    log_path: Path | None = None  # where --log writes it, if it does
    process: Any = None
    port: int = 0

    def start(self) -> Listening:
        log = self.folder.with_suffix(".log")
        before = 0 if self.log_path else log.stat().st_size if log.exists() else 0
        words = [
            *self.before, sys.executable, "-m", "ctrecon.cli.main", "dicom", "listen", "--port", self.port,
            "--folder", self.folder, "--send-to", self.send_to, "--ae-title", self.title, *self.options,
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **self.env}
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [str(word) for word in words], stdout=stream, stderr=stream, stdin=subprocess.DEVNULL, env=environment,
                start_new_session=True,
            )

        def port() -> int:
            assert self.process.poll() is None, self.log
            found = re.search(r"listens on [^:]+:(\d+)", self.log[before:])
            return int(found[1]) if found else 0

        self.port = wait_for(port, "for the start")
        return self

    @property
    def node(self) -> str:
        return f"{self.title}@127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        path = self.log_path or self.folder.with_suffix(".log")
        return path.read_text() if path.exists() else ""

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return int(self.process.wait(PATIENCE_S))

    def __enter__(self) -> Listening:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()

    def studies(self, state: str) -> list[str]:
        return [path.name for path in (self.folder / state).iterdir()]


@dataclass
class Sink:
    """A storage node that keeps what it gets by its UID, may refuse, and may be gone for a while."""

    got: Counter[str] = field(default_factory=Counter)
    comments: dict[str, str] = field(default_factory=dict)
    refuse: int = 0
    slow_s: float = 0.0
    classes: tuple[str, ...] = (CTImageStorage,)
    server: Any = None
    port: int = 0

    def __enter__(self) -> Sink:
        ae = AE(ae_title="SINK")
        for sop_class in self.classes:
            ae.add_supported_context(sop_class, ExplicitVRLittleEndian)
        handlers: list[Any] = [(evt.EVT_C_STORE, self.store)]
        self.server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        self.port = self.server.server_address[1]
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        for thread in threading.enumerate():  # its own associations, not those of another test's server
            if thread.name.startswith("AcceptorThread") and getattr(thread, "ae", None) is self.server.ae:
                thread.join(10)

    def store(self, event: Any) -> int:
        if self.refuse:
            return self.refuse
        # Tests wait for what was got: what is known of it stands there before.
        self.comments[str(event.request.AffectedSOPInstanceUID)] = str(event.dataset.get("ImageComments", ""))
        self.got[str(event.request.AffectedSOPInstanceUID)] += 1
        time.sleep(self.slow_s)
        return 0

    @property
    def node(self) -> str:
        return f"SINK@127.0.0.1:{self.port}"
