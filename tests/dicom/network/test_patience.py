"""What costs a node much and says little: counted value by value, request by request, and taken one after the other."""

from __future__ import annotations

import ssl
import struct
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import floods
import pytest
from pacs_nodes import wait_for

from ctrecon.dicom.network import command_set, pdu
from ctrecon.dicom.network.conversation import Services
from ctrecon.dicom.network.door import Door, _hung_up
from ctrecon.dicom.network.node import Tls
from ctrecon.dicom.network.patience import Patience
from ctrecon.dicom.network.pdu import PduError

pytest.importorskip("pynetdicom")


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return Services(
        title="NODE",
        syntaxes={"1.2.840.10008.1.1": ("1.2.840.10008.1.2.1",)},
        handlers={command_set.ECHO_RQ: lambda message: 0},
        arriving=tmp_path,
        timeout_s=600,
    )


def test_values_of_nothing_are_counted_one_by_one_however_many_a_pdu_holds(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each costs as much time as one alone: else thousands of them in a PDU take the processor from everybody."""
    sizes: list[int] = []
    monkeypatch.setattr(Patience, "pause_s", lambda self, size: sizes.append(size) or 0.0)
    door = Door(services, "127.0.0.1", 0)
    try:
        with floods.associated(door.port) as one:
            one.sendall(floods.value(3, floods.command()))
            assert floods.answer(one) == 4
            (inside,) = door.room.everyone()
            before = inside.active_at
            one.sendall(floods.pdu(4, struct.pack(">IBB", 2, 1, 1) * 2000 + floods.value(3, floods.command())[6:]))
            assert floods.answer(one) == 4
            assert sizes[1:-1] == [0] * 2000
            assert inside.active_at == before, "noise does not make anybody less idle"
    finally:
        door.close()


def test_who_says_nothing_waits_longer_and_longer_and_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr("ctrecon.dicom.network.patience.time", SimpleNamespace(monotonic=lambda: clock.now))
    monitor, sender, noise = Patience(), Patience(), Patience()
    for _ in range(10000):  # a C-ECHO every ten seconds costs nothing, for however long
        clock.now += 10
        assert monitor.pause_s(80) == 0
    pauses = [sender.pause_s(500) for _ in range(1000)]  # old devices send little at a time
    assert pauses[:65] == [0.0] * 64 + [pytest.approx(1e-3)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 0.25
    with pytest.raises(PduError, match="without end"):
        [noise.pause_s(0) for _ in range(1000)]


def test_few_requests_are_read_at_a_time_and_the_shortest_goes_first(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred threads that read requests would keep the door itself, and whoever asks for little, waiting."""
    may, began, read = threading.Event(), [], pdu.request

    def slowly(body: bytes) -> pdu.Request:
        began.append(pdu.titles(body)[1])
        may.wait(10)
        return read(body)

    monkeypatch.setattr(pdu, "request", slowly)
    door = Door(services, "127.0.0.1", 0)
    opened: list[Any] = []
    try:
        opened += floods.long_requests(door.port, 2)
        wait_for(lambda: began)
        for k in range(3):
            opened.append(floods.speak(door.port, floods.request(f"SHORT {k}")))
        wait_for(lambda: len(began) == 4, "for the short ones beside one long")
        for name, contexts in (("WIDE", 60), ("NARROW", 2)):
            offered = b"".join(floods.context(2 * k + 1) for k in range(contexts))
            opened.append(floods.speak(door.port, floods.request(name, offered)))
        wait_for(lambda: door.waiting() == 3)
        assert len(began) == 4
        assert len([name for name in began if name.startswith("LONG")]) == 1
        may.set()
        assert [floods.answer(one) for one in opened] == [2] * 7
        assert began.index("NARROW") < began.index("WIDE")
    finally:
        may.set()
        door.close()
        for one in opened:
            one.close()


def test_the_signature_of_tls_is_for_who_is_there_and_first_for_who_comes_alone(
    services: Services, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may, signed, shake = threading.Event(), [], ssl.SSLSocket.do_handshake

    def slowly(one: ssl.SSLSocket) -> None:
        signed.append(one.getpeername())
        may.wait(10)
        shake(one)

    monkeypatch.setattr("ctrecon.dicom.network.door.MOST_SIGNED", 2)
    monkeypatch.setattr(ssl.SSLSocket, "do_handshake", slowly)
    tls = Tls(ca=certificates / "ca.pem", certificate=certificates / "ours.pem", key=certificates / "ours.key")
    door = Door(services, "127.0.0.1", 0, tls.server())
    opened: list[Any] = []
    try:
        opened += floods.hellos(door.port, 1)
        wait_for(lambda: signed, "for the door to be at work")
        opened += floods.hellos(door.port, 20)
        gone = {one.getsockname() for one in opened[11:]}
        for one in opened[11:]:
            one.close()
        alone = floods.speak(door.port, floods.hello(), "127.0.0.2")
        opened.append(alone)
        may.set()
        assert alone.recv(1) == b"\x16"
        assert [host for host, _ in signed].index("127.0.0.2") < 4
        wait_for(lambda: len(set(signed)) == 12)
        assert not gone & set(signed)
    finally:
        may.set()
        door.close()
        for one in opened:
            one.close()


def test_where_the_system_cannot_tell_who_hung_up_nobody_is_taken_to_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("select.poll")  # as on Windows
    assert _hung_up([]) == set()
