"""The port of monitoring against whoever is on the machine: garbage, silence, floods, and questions that are none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from ctrecon.dicom.network.health import MOST_BYTES, MOST_CONNECTIONS, Health

OK = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


def broken() -> tuple[int, str, str]:
    raise OSError("no such folder")


@pytest.fixture
def health() -> Iterator[Health]:
    made = Health(0, {"/health": lambda: (200, "text/plain", "ok\n"), "/metrics": broken})
    yield made
    made.close()


def ask(port: int, *pieces: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
        with suppress(OSError):  # an answer may come before all is asked
            for piece in pieces:
                one.sendall(piece)
        said = b""
        with suppress(ConnectionResetError):
            while piece := one.recv(65536):
                said += piece
        return said


def open_files() -> int:
    there = Path("/proc/self/fd")
    return sum(1 for _ in there.iterdir()) if there.is_dir() else 0


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([OK], b"200"), ([OK[:7], OK[7:]], b"200"), ([OK.replace(b"\r", b"")], b"200"),
        ([OK.replace(b"/health", b"/health?x=1")], b"200"), ([OK.replace(b"GET", b"HEAD")], b"200"),
        ([OK.replace(b"health", b"metrics")], b"500"), ([OK.replace(b"/health", b"/../health")], b"404"),
        ([OK.replace(b"/health", b"//health")], b"404"), ([OK.replace(b"GET", b"POST") + b"x" * 100], b"405"),
        ([OK.replace(b"GET", b"DELETE")], b"405"), ([OK.replace(b"GET", b"\0\xff")], b"400"),
        ([OK.replace(b"1.1", b"9")], b"400"), ([b"\r\n\r\n"], b"400"), ([b"\x16\x03\x01\x02\x00\r\n\r\n"], b"400"),
        ([OK.replace(b"/health", b"http://elsewhere/health")], b"400"), ([b"GET /" + b"a" * MOST_BYTES], b"431"),
        ([b"A" * (MOST_BYTES + 1)], b"431"), ([OK.replace(b"/health", b"/" + b"a" * 2000)], b"400"),
    ],
)  # fmt: skip
def test_every_question_gets_one_answer_and_the_next_one_its_own(
    pieces: list[bytes], status: bytes, health: Health
) -> None:
    said = ask(health.port, *pieces)
    assert said.startswith(b"HTTP/1.1 " + status)
    head, _, body = said.partition(b"\r\n\r\n")
    assert len(body) == (0 if b"HEAD" in pieces[0] else int(head.split(b"Content-Length: ")[1].split(b"\r")[0]))
    assert ask(health.port, OK).endswith(b"\r\n\r\nok\n")


def test_however_many_connect_a_few_are_held_and_who_asks_is_answered(health: Health) -> None:
    threads, files = threading.active_count(), open_files()
    with ExitStack() as stack:
        held = 0
        for k in range(4 * MOST_CONNECTIONS):
            one = stack.enter_context(socket.create_connection(("127.0.0.1", health.port), timeout=10))
            held += 1
            with suppress(OSError):
                one.sendall((b"", b"GET /health HTTP/1.1\r\nX: ", b"\0" * 4000, OK[:-1])[k % 4])
            if not k % 16:
                assert ask(health.port, OK).endswith(b"ok\n")
                assert open_files() <= files + held + MOST_CONNECTIONS + 2
        assert threading.active_count() == threads
        assert ask(health.port, OK).endswith(b"ok\n")


def test_who_is_silent_or_slow_is_shown_out(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctrecon.dicom.network.health.PATIENCE_S", 0.2)
    for said in (b"", b"GET /hea"):
        with socket.create_connection(("127.0.0.1", health.port), timeout=10) as one:
            one.sendall(said)
            assert one.recv(1) == b""
