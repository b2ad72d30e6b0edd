"""Storage commitment: with a real node in both roles, and with one that forgets, lies, and is away."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from nodes_here import Here, here
from orthanc_server import Orthanc, free_port
from pacs_nodes import Sink, wait_for
from pacs_objects import study, uid
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel

from ctrecon.dicom.network import commitment
from ctrecon.dicom.network.node import Connection, Node
from ctrecon.dicom.network.objects import headers_of
from ctrecon.dicom.network.store import send
from ctrecon.errors import InputError

US = Connection(title="CTRECON", retries=0, timeout_s=10)


def test_a_real_node_commits_itself_to_results_and_asks_for_ours(
    start_orthanc: Callable[..., Orthanc], tmp_path: Path
) -> None:
    port = free_port()
    modality = {"AET": "NODE", "Host": "127.0.0.1", "Port": port, "AllowStorageCommitment": True}
    orthanc = start_orthanc(DicomModalities={"node": modality})

    class AsSink:
        node = orthanc.node

    objects = study(tmp_path / "one", 1, 2)
    peers = (Node.parse(orthanc.node),)
    with here(tmp_path / "queue", AsSink(), port=port, rules={"commit": True}, peers=peers) as node:  # type: ignore[arg-type]
        assert send(node.node, US, headers_of([objects])).complete
        wait_for(lambda: node.queue.studies("done"), "for the commitment")
        assert any("1 objects are committed" in line for line in node.lines), node.lines
        assert len(orthanc.instances()) == 1
        # And the other way round: Orthanc asks us about those that we hold, and one that we do not.
        import json

        wanted = [[CTImageStorage, uid("instance", 1, 1, k)] for k in (1, 2, 3)]
        asked = orthanc.rest(
            "/modalities/node/storage-commitment", json.dumps({"DicomInstances": wanted}).encode(), "POST"
        )

        def told() -> Any:
            state = orthanc.rest(f"/storage-commitment/{asked['ID']}")
            return state if state["Status"] != "Pending" else None

        state = wait_for(told, "for our report")
        assert state["Status"] == "Failure"
        assert {one["SOPInstanceUID"] for one in state["Success"]} == {wanted[0][1], wanted[1][1]}
        assert [one["SOPInstanceUID"] for one in state["Failures"]] == [wanted[2][1]]
        wait_for(lambda: not list(node.queue.folder.glob("promises/*")))


class Pacs(Sink):
    """Keeps objects and commits itself to them, but at first to all but ``forgets``; it reports when ``may`` is set."""

    def __init__(self, forgets: int = 0) -> None:
        super().__init__()
        self.forgets, self.may, self.asked, self.status = forgets, threading.Event(), [], []
        self.answers_to: tuple[str, int] | None = None
        self.threads: list[threading.Thread] = []

    def __enter__(self) -> Pacs:
        ae = AE(ae_title="SINK")
        ae.add_supported_context(CTImageStorage, ExplicitVRLittleEndian)
        ae.add_supported_context(StorageCommitmentPushModel)
        handlers: list[Any] = [(evt.EVT_C_STORE, self.store), (evt.EVT_N_ACTION, self.commit)]
        self.server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)
        self.port = self.server.server_address[1]
        return self

    def __exit__(self, *arguments: object) -> None:
        self.may.set()
        for thread in self.threads:
            thread.join()
        super().__exit__(*arguments)

    def commit(self, event: Any) -> tuple[int, None]:
        asked = event.action_information
        self.asked.append(asked)
        thread = threading.Thread(target=self.report, args=(asked,))
        self.threads.append(thread)
        thread.start()
        return 0, None

    def report(self, asked: Dataset) -> None:
        assert self.may.wait(30)
        references = list(asked.ReferencedSOPSequence)
        lost, self.forgets = references[: self.forgets], 0
        said = Dataset()
        said.TransactionUID = asked.TransactionUID
        said.ReferencedSOPSequence = references[len(lost) :]
        if lost:
            for item in lost:
                item.FailureReason = 0x0112
            said.FailedSOPSequence = lost
        node = Node(title="NODE", host=self.answers_to[0], port=self.answers_to[1])  # type: ignore[index]
        try:
            self.status.append(tell(node, said, 2 if lost else 1, "SINK"))
        except ConnectionError:
            self.status.append(None)


def tell(node: Node, said: Dataset, kind: int, title: str) -> int:
    from pynetdicom import build_role

    ae = AE(ae_title=title)
    ae.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    association = ae.associate(node.host, node.port, ae_title=node.title, ext_neg=[role])
    if not association.is_established:
        raise ConnectionError
    answer, _ = association.send_n_event_report(said, kind, StorageCommitmentPushModel, commitment.PUSH_INSTANCE)
    association.release()
    return int(answer.Status)


@pytest.fixture
def sent(tmp_path: Path) -> Iterator[tuple[Pacs, Callable[..., Any], Path]]:
    objects = study(tmp_path / "one", 1, 2)
    with Pacs() as pacs:
        yield pacs, lambda **rules: here(tmp_path / "queue", pacs, rules={"commit": True, **rules}), objects


def test_a_result_is_kept_until_the_destination_has_committed_itself(sent: Any) -> None:
    pacs, running, objects = sent
    with running() as node:
        pacs.answers_to = (node.node.host, node.port)
        assert send(node.node, US, headers_of([objects])).complete
        wait_for(lambda: pacs.asked)
        time.sleep(0.5)
        assert node.queue.studies("sending")  # delivered, and not forgotten
        # What nobody asked for, or somebody else says, changes nothing.
        other = Dataset()
        other.TransactionUID, other.ReferencedSOPSequence = "1.2.3", pacs.asked[0].ReferencedSOPSequence
        assert tell(node.node, other, 1, "SINK") == 0x0115
        assert tell(node.node, pacs.asked[0], 1, "STRANGER") == 0x0124
        assert node.queue.studies("sending")
    with running() as node:  # nor by a new start
        pacs.answers_to = (node.node.host, node.port)
        pacs.may.set()
        wait_for(lambda: node.queue.studies("done"))
        wait_for(lambda: pacs.status)
    assert pacs.status == [0]
    assert list(pacs.got.values()) == [1]


def test_what_the_destination_lost_is_sent_again(sent: Any) -> None:
    pacs, running, objects = sent
    pacs.forgets = 1
    pacs.may.set()
    with running() as node:
        pacs.answers_to = (node.node.host, node.port)
        assert send(node.node, US, headers_of([objects])).complete
        wait_for(lambda: node.queue.studies("done"))
        assert any("not committed and are sent again" in line for line in node.lines)
    assert list(pacs.got.values()) == [2]
    assert len(pacs.asked) == 2


def test_one_that_never_answers_is_asked_again(sent: Any) -> None:
    pacs, running, objects = sent
    with running(ask_again_s=0.2) as node:
        pacs.answers_to = (node.node.host, node.port)
        assert send(node.node, US, headers_of([objects])).complete
        wait_for(lambda: len(pacs.asked) >= 2)
        assert node.queue.studies("sending")
        assert list(pacs.got.values()) == [1]


def ask(node: Here, references: list[tuple[str, str]], title: str = "ASKER") -> str:
    commitment.ask(node.node, Connection(title=title, retries=0, timeout_s=10), "1.2.3.4", references)
    return ""


def test_senders_are_told_what_is_held_even_when_they_were_away(tmp_path: Path) -> None:
    from ctrecon.errors import NetworkError

    objects = study(tmp_path / "one", 1, 2)
    wanted = [(CTImageStorage, uid("instance", 1, 1, 1)), (MRImageStorage, uid("instance", 1, 1, 2)), ("1.2", "1.2.3")]
    port = free_port()
    peers = (Node(title="ASKER", host="127.0.0.1", port=port),)
    reports: list[tuple[int, Dataset]] = []

    def told(event: Any) -> tuple[int, None]:
        reports.append((event.event_type, event.event_information))
        return 0, None

    with Sink() as sink, here(tmp_path / "queue", sink, peers=peers, rules={"quiet_s": 60}) as node:
        assert send(node.node, US, headers_of([objects])).complete
        with pytest.raises(NetworkError, match="0x0124"):
            ask(node, wanted, "STRANGER")
        ask(node, wanted)
        wait_for(lambda: any("not told yet" in line for line in node.lines))
        assert list(node.queue.folder.glob("promises/*.json"))
        ae = AE(ae_title="ASKER")
        ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, told)]
        server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
        try:
            wait_for(lambda: reports)
            wait_for(lambda: not list(node.queue.folder.glob("promises/*.json")))
        finally:
            server.shutdown()
    ((kind, said),) = reports
    assert (kind, said.TransactionUID) == (2, "1.2.3.4")
    assert [item.ReferencedSOPInstanceUID for item in said.ReferencedSOPSequence] == [wanted[0][1]]
    assert [item.FailureReason for item in said.FailedSOPSequence] == [0x0119, 0x0112]


SEQUENCE = b"\x08\0\x99\x11SQ\0\0\xff\xff\xff\xff"


def request_of(transaction: str, sop_class: str, instance: str) -> bytes:
    """Explicit little endian, an item of stated length."""
    def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
        head = struct.pack("<HH2s", group, number, vr)
        return head + (struct.pack("<HI", 0, len(value)) if vr == b"SQ" else struct.pack("<H", len(value))) + value

    uids = [text.encode() + b"\0" * (len(text) % 2) for text in (transaction, sop_class, instance)]
    item = element(8, 0x1150, b"UI", uids[1]) + element(8, 0x1155, b"UI", uids[2])
    whole = element(8, 0x1199, b"SQ", b"\xfe\xff\x00\xe0" + struct.pack("<I", len(item)) + item)
    return element(8, 0x1195, b"UI", uids[0]) + whole


def test_a_commitment_names_objects_by_uids_alone() -> None:
    """Whatever else it says would be said back."""
    right = ("1.2.3", "1.2.840.10008.5.1.4.1.1.2", "1.02.3")
    assert commitment.read(request_of(*right), ExplicitVRLittleEndian).held == (right[1:],)
    for k in range(3):
        for wrong in ("", "../../x", "1.2\n3", "1.2\\1.3", "1" * 65, "Quantenschaum"):
            words = (*right[:k], wrong, *right[k + 1 :])
            with pytest.raises(InputError):
                commitment.read(request_of(*words), ExplicitVRLittleEndian)


@pytest.mark.parametrize("data", [
    b"", b"\x08\0\x95\x11UI\x04\x001.2\0"[:-3], b"no data set at all", b"\xfe\xff\x00\xe0\0\0\0\0" * 20_000,
    SEQUENCE + (b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + SEQUENCE) * 3000,
], ids=lambda what: "")  # fmt: skip
def test_what_is_no_commitment_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        commitment.read(data, ExplicitVRLittleEndian)
