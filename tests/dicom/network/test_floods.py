"""A node stays open to those who may speak, and small, whatever others do to its port."""

from __future__ import annotations

import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import floods
import pytest
from floods import Flood
from pacs_nodes import Listening, wait_for
from pacs_objects import ct, processing

from ctrecon.dicom.network import command_set
from ctrecon.dicom.network.conversation import Services
from ctrecon.dicom.network.door import Door
from ctrecon.dicom.network.node import Connection, Node, Tls
from ctrecon.dicom.network.objects import read_header
from ctrecon.dicom.network.room import Room
from ctrecon.dicom.network.store import send

pytest.importorskip("pynetdicom")
MEMORY_KB = 512 << 10


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """A patient one: silence would be borne for ten minutes, if it were borne at all."""
    folder = tmp_path_factory.mktemp("flooded")
    options = ("--command", processing(folder), "--quiet", 600, "--timeout", 600)
    with Listening(folder / "queue", "X@127.0.0.1:1", options) as one:
        yield one
        assert "Traceback" not in one.log
        assert one.end() == 0


def memory_kb(node: Listening, name: str = "VmHWM") -> int:
    """The most memory that the node's process ever had."""
    lines = Path(f"/proc/{node.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


def threads(node: Listening) -> int:
    return len(list(Path(f"/proc/{node.process.pid}/task").iterdir()))


def stores(node: Listening, path: Path, retries: int = 0) -> float:
    """Seconds until a genuine sender's object is kept."""
    began = time.monotonic()
    connection = Connection(title="GENUINE", retries=retries, timeout_s=30)
    assert send(Node.parse(node.node), connection, [read_header(path)]).complete
    return time.monotonic() - began


# What it left in the network's buffers is read for ten seconds.
SLOW = {floods.values_without_end: pytest.mark.long}


@pytest.mark.parametrize(
    ("flood", "count"),
    [pytest.param(*pair, id=pair[0].__name__, marks=SLOW.get(pair[0], ())) for pair in floods.FLOODS],
)
def test_a_flood_keeps_nobody_out(flood: Flood, count: int, node: Listening, tmp_path: Path) -> None:
    opened = flood(node.port, count)
    try:
        stores(node, ct(tmp_path / "1.dcm", flood.__name__))
    finally:
        for one in opened:
            one.close()
    assert memory_kb(node) < MEMORY_KB
    wait_for(lambda: not list((node.folder / "arriving").iterdir()), "for what was half-received to be gone")
    wait_for(lambda: threads(node) < 10, "for the flood's threads to end")


@pytest.mark.slow
@pytest.mark.long
def test_all_floods_at_once_and_again_keep_nobody_out_for_two_seconds(node: Listening, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, floods.__file__, str(node.port), "30"]) as flood:
        needed = []
        while flood.poll() is None:
            needed.append(stores(node, ct(tmp_path / "1.dcm", "all", number=len(needed)), retries=3))
            time.sleep(1)
    assert len(needed) > 5
    print(f"\nseconds: {sorted(needed)[-5:]}, at most {memory_kb(node) >> 10} MiB")
    assert sorted(needed)[len(needed) // 2] < 2
    assert memory_kb(node) < MEMORY_KB


# --- the door itself, in this process


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return Services(
        title="NODE", syntaxes={"1.2.840.10008.1.1": ("1.2.840.10008.1.2.1",)},
        handlers={command_set.ECHO_RQ: lambda message: 0}, arriving=tmp_path, timeout_s=600,
    )


@pytest.mark.parametrize(("data", "kind"), [
    (floods.request(), 2),
    (floods.request().replace(b"NODE", b"EDON"), 3),  # another title
    (floods.pdu(1, b"", 0xFFFFFFFF), 7),
    (floods.pdu(1, b"", (256 << 10) + 1), 7),
    (floods.pdu(1, b"short"), 7),
    (floods.pdu(4, b""), 7),
    (floods.pdu(99, b""), 7),
    (b"GET / HTTP/1.0\r\n\r\n", 7),
    (floods.request(contexts=floods.context(1) * 2), 7),
    (floods.request(contexts=floods.context(2)), 7),
    (floods.request(contexts=floods.context(1, syntaxes=129)), 7),
    (floods.request(contexts=floods.context(1, "1" * 66)), 7),
    (floods.request(user=b"\x54\0\0\4\xff\xff\0\0"), 7),
    (floods.request().replace(b"\0\1\0\0", b"\0\2\0\0", 1), 7),
    (floods.request().replace(b"3.1.1.1", b"3.1.1.2", 1), 7),
], ids=lambda what: "")  # fmt: skip
def test_what_is_no_request_is_refused_as_the_standard_says(
    services: Services, data: bytes, kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ("door", "conversation"):
        monkeypatch.setattr(f"ctrecon.dicom.network.{room}.FAREWELL_S", 0.05)
    door = Door(services, "127.0.0.1", 0)
    try:
        with floods.speak(door.port, data) as one:
            assert floods.answer(one) == kind
            if kind != 2:
                assert floods.answer(one) == 0
    finally:
        door.close()


@pytest.mark.parametrize("data", [
    floods.pdu(4, b"", 16383), floods.pdu(1, b""), floods.pdu(5, b"", 5), floods.pdu(0x44, b""),
    floods.value(3, floods.command(), number=3), floods.value(0, b"data first"), floods.value(3, b"no command"),
    floods.value(1, bytes(16000)) * 2, floods.value(3, floods.command(0x8030)),
    floods.value(3, floods.command(0xFFF)) * 20,
    floods.value(3, floods.command()) + floods.value(2, b"not announced"),
    floods.value(3, floods.command(data_set=0)) + floods.value(0, bytes(16000)) * 300,
], ids=lambda what: "")  # fmt: skip
def test_what_breaks_the_rules_of_an_association_ends_it(
    services: Services, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrecon.dicom.network.conversation.FAREWELL_S", 0.05)
    door = Door(services, "127.0.0.1", 0)
    try:
        with floods.associated(door.port) as one:
            threading.Thread(target=one.sendall, args=(data,), daemon=True).start()
            answers = [floods.answer(one)]
            while answers[-1]:
                answers.append(floods.answer(one))
            assert set(answers) <= {4, 7, 0}
            assert answers.count(4) <= 1
        wait_for(lambda: not door.room.everyone())
        with floods.associated(door.port) as one:
            one.sendall(floods.value(3, floods.command()) * 3 + floods.pdu(5, bytes(4)))
            assert [floods.answer(one) for _ in range(5)] == [4, 4, 4, 6, 0]
    finally:
        door.close()


def test_the_idlest_gives_way_and_who_is_at_work_does_not(services: Services) -> None:
    door = Door(services, "127.0.0.1", 0, room=Room(most=4, most_of_one=2))
    try:
        held = [floods.associated(door.port, title) for title in ("A", "A", "B", "C")]
        assert len(door.room.everyone()) == 4
        for conversation in door.room.everyone():
            conversation.busy = conversation.peer.title != "B"
        with floods.associated(door.port, "D") as one:
            assert floods.answer(held[2]) in (0, 7)  # B's, the only idle one
            assert {c.peer.title for c in door.room.everyone()} == {"A", "C", "D"}
            for conversation in door.room.everyone():
                conversation.busy = True
            with floods.speak(door.port, floods.request("E")) as late:
                assert floods.answer(late) == 3
            one.sendall(floods.value(3, floods.command()))
            assert floods.answer(one) == 4
        for other in held:
            other.close()
    finally:
        door.close()


def test_who_has_more_than_others_gives_way_though_at_work(services: Services) -> None:
    """Per address: the newcomer has none there, the others have three."""
    door = Door(services, "127.0.0.1", 0, room=Room(most=3))
    try:
        held = [floods.associated(door.port, title) for title in ("A", "B", "C")]
        for conversation in door.room.everyone():
            conversation.idle_s = lambda: 0.0  # type: ignore[method-assign]
        with floods.speak(door.port, floods.request("E"), "127.0.0.2") as one:
            assert floods.answer(one) == 2
        for other in held:
            other.close()
    finally:
        door.close()


def test_who_achieves_nothing_gives_way_and_who_did_before_goes_first(services: Services) -> None:
    door = Door(services, "127.0.0.1", 0, room=Room(most=2))
    try:
        held = [floods.associated(door.port, title) for title in ("A", "B")]
        for conversation in door.room.everyone():
            conversation.idle_s = lambda: 0.0  # type: ignore[method-assign]
            conversation.useless_s = lambda: 0.0  # type: ignore[method-assign]
        with floods.speak(door.port, floods.request("C")) as late:
            assert floods.answer(late) == 3  # they are at work, and nobody knows C
        for conversation in door.room.everyone():
            if conversation.peer.title == "A":
                conversation.useless_s = lambda: 2.0  # type: ignore[method-assign]
        with floods.speak(door.port, floods.request("C")) as one:
            assert floods.answer(one) == 2
            inside = {c.peer.title: c for c in door.room.everyone()}
            assert set(inside) == {"B", "C"}
            for conversation in inside.values():
                conversation.idle_s = conversation.useless_s = lambda: 0.0  # type: ignore[method-assign]
            inside["C"].achieved = True
        wait_for(lambda: len(door.room.everyone()) == 1)
        with floods.associated(door.port, "D"), floods.speak(door.port, floods.request("C")) as again:
            for conversation in door.room.everyone():
                conversation.idle_s = conversation.useless_s = lambda: 0.0  # type: ignore[method-assign]
            assert floods.answer(again) == 2
        for other in held:
            other.close()
    finally:
        door.close()


def test_who_talks_much_is_the_first_to_go_where_memory_ends(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrecon.dicom.network.door.MOST_SAID_BYTES", 1 << 20)
    door = Door(services, "127.0.0.1", 0)
    try:
        with floods.connect(door.port) as one:
            one.sendall(floods.request()[:-1])
            wait_for(lambda: door.waiting() == 1)
            opened = floods.nearly_whole_requests(door.port, 12)
            wait_for(lambda: door.waiting() < 8)
            time.sleep(0.2)  # the limit is one of all that was said, not of what was said just now
            opened += floods.nearly_whole_requests(door.port, 2)
            wait_for(lambda: door.waiting() < 8)
            one.sendall(floods.request()[-1:])
            assert floods.answer(one) == 2
        for other in opened:
            other.close()
    finally:
        door.close()


def test_handshakes_that_never_end_keep_nobody_out(
    services: Services, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = Tls(ca=certificates / "ca.pem", certificate=certificates / "ours.pem", key=certificates / "ours.key")
    monkeypatch.setattr("ctrecon.dicom.network.door.MOST_WAITING", 50)
    door = Door(services, "127.0.0.1", 0, tls.server())
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    try:
        opened = [floods.speak(door.port, hello[: k % 12]) for k in range(300)]
        assert door.waiting() <= 51
        raw = floods.connect(door.port)
        with tls.client().wrap_socket(raw, server_hostname="127.0.0.1") as one:
            one.sendall(floods.request())
            head = one.recv(6)
            assert head[:1] == b"\2"
        # Who trusts nobody, or shows no certificate, is not spoken to.
        bare = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
        with suppress(OSError), bare.wrap_socket(floods.connect(door.port), server_hostname="127.0.0.1") as one:
            one.sendall(floods.request())
            assert not one.recv(1)
        wait_for(lambda: not door.room.everyone(), "for the first one, who was heard, to be gone")
        for other in opened:
            other.close()
    finally:
        door.close()


def test_a_connection_without_a_request_ends_by_itself(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctrecon.dicom.network.door.REQUEST_S", 0.2)
    door = Door(services, "127.0.0.1", 0)
    try:
        slow = floods.connect(door.port)
        stop = threading.Event()

        def trickle() -> None:
            try:
                for k in range(10000):
                    slow.send(floods.request()[k : k + 1] or b"\0")
                    if stop.wait(0.02):
                        return
            except OSError:
                return

        worker = threading.Thread(target=trickle)
        worker.start()
        with floods.connect(door.port) as silent:
            assert floods.answer(silent) == 0
        wait_for(lambda: door.waiting() == 0)
        stop.set()
        worker.join()
        slow.close()
    finally:
        door.close()
