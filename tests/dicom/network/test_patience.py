"""What costs a node much and says little: counted value by value, request by request, and taken one after the other."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import floods
import pytest
from pacs_nodes import wait_for

from ctrecon.dicom.network import command_set
from ctrecon.dicom.network.conversation import Services
from ctrecon.dicom.network.door import Door
from ctrecon.dicom.network.patience import Patience
from ctrecon.dicom.network.pdu import PduError

pytest.importorskip("pynetdicom")


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return Services(
        title="NODE", syntaxes={"1.2.840.10008.1.1": ("1.2.840.10008.1.2.1",)},
        handlers={command_set.ECHO_RQ: lambda message: 0}, arriving=tmp_path, timeout_s=600,
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


def test_long_requests_are_understood_one_after_the_other_and_short_ones_meanwhile(services: Services) -> None:
    door = Door(services, "127.0.0.1", 0)
    opened: list[Any] = []
    try:
        with services.turn:
            opened = floods.long_requests(door.port, 2)
            wait_for(lambda: len(door.room.everyone()) == 2)
            floods.associated(door.port, "SHORT").close()
            first, _ = (c for c in door.room.everyone() if c.peer.title.startswith("LONG"))
            first.leave()
            wait_for(lambda: first not in door.room.everyone(), "for one to leave that waits for its turn")
        assert sorted(floods.answer(one) for one in opened) == [2, 7]
    finally:
        door.close()
        for one in opened:
            one.close()
