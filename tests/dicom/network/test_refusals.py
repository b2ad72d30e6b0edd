"""What a listening node refuses, with which status, and what the commands refuse before anything is sent."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pacs_nodes import Listening, Sink, run, wait_for
from pacs_objects import NAME, PATIENT, ct, processing, study, uid
from pydicom import dcmread
from pydicom import uid as uids

from ctrecon.dicom.network.objects import data_set_bytes

pytest.importorskip("pynetdicom")


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink() as one:
        yield one


@pytest.fixture
def node(tmp_path: Path, sink: Sink) -> Iterator[Listening]:
    options = ("--command", processing(tmp_path), "--quiet", 600, "--allow", "CTRECON", "--max-gb", 0.00001)
    with Listening(tmp_path / "queue", sink.node, (*options, "--max-studies", 2, "--timeout", 5)) as one:
        yield one
        log = one.log
        assert NAME not in log
        assert PATIENT not in log
        assert "Traceback" not in log


def received(node: Listening) -> int:
    return len(list(node.folder.rglob("*.dcm")))


def test_it_refuses_whom_and_what_it_does_not_know(node: Listening, tmp_path: Path) -> None:
    image = ct(tmp_path / "1.dcm")
    stranger = run("dicom", "send", image, "--to", node.node, "--ae-title", "STRANGER")
    assert (stranger.exit_code, "Calling AE title not recognised" in stranger.output) == (2, True)
    wrong = run("dicom", "send", image, "--to", node.node.replace("NODE", "OTHER"))
    assert (wrong.exit_code, "Called AE title not recognised" in wrong.output) == (2, True)
    for change in ({"sop_class": uids.MRImageStorage}, {"syntax": uids.JPEG2000}, {"sop_class": "1.2.3"}):
        other = run("dicom", "send", ct(tmp_path / "x.dcm", **change), "--to", node.node)  # type: ignore[arg-type]
        assert (other.exit_code, "accepts none" in other.output) == (2, True), other.output
    deflated = dcmread(image)
    deflated.save_as(tmp_path / "d.dcm", enforce_file_format=True)
    deflated.file_meta.TransferSyntaxUID = uids.DeflatedExplicitVRLittleEndian
    deflated.save_as(tmp_path / "d.dcm", enforce_file_format=True)
    assert "accepts none" in run("dicom", "send", tmp_path / "d.dcm", "--to", node.node).output
    assert received(node) == 0
    wait_for(lambda: "refused an association of STRANGER" in node.log)
    assert run("dicom", "send", image, "--to", node.node).exit_code == 0
    assert received(node) == 1


def test_when_it_is_full_it_says_so_and_keeps_what_it_has(node: Listening, tmp_path: Path) -> None:
    result = run("dicom", "send", study(tmp_path / "many", 1, 12), "--to", node.node)
    assert result.exit_code == 3
    assert "out of resources (0xA700)" in result.output
    assert 0 < received(node) < 12
    assert sum(path.stat().st_size for path in node.folder.rglob("*.dcm")) <= 10_000


def test_too_many_studies_are_refused(node: Listening, tmp_path: Path) -> None:
    for k in (1, 2, 3):
        result = run("dicom", "send", ct(tmp_path / f"{k}.dcm", k), "--to", node.node)
        assert result.exit_code == (0 if k < 3 else 3)
    assert "0xA700" in result.output


def store(node: Listening, path: Path, **changes: Any) -> int:
    """Send a file's data set with a command set that may lie about it."""
    from pynetdicom import AE
    from pynetdicom.dimse_primitives import C_STORE

    ae = AE(ae_title="CTRECON")
    ae.add_requested_context(uids.CTImageStorage, uids.ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", node.port, ae_title="NODE")
    assert association.is_established
    request = C_STORE()
    request.MessageID, request.Priority = 1, 0
    request.AffectedSOPClassUID = uids.CTImageStorage
    request.AffectedSOPInstanceUID = changes.get("instance", uid("instance", 1, 1, 1))
    request.DataSet = BytesIO(changes.get("data", data_set_bytes(path)))
    association._reactor_checkpoint.clear()
    wait_for(lambda: association._is_paused)
    association.dimse.send_msg(request, 1)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    association.release()
    return int(answer.Status)


def test_objects_that_cannot_be_understood_are_refused_and_leave_nothing(node: Listening, tmp_path: Path) -> None:
    path = ct(tmp_path / "1.dcm")
    assert store(node, path, instance="1.2.3") in (0xA900, 0xC000)
    assert store(node, path, data=b"no DICOM at all " * 8) == 0xC000
    deep = b"\x08\x00\x16\x11SQ\x00\x00\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff" * 1
    assert store(node, path, data=deep * 3000) == 0xC000
    study_uid, whole = uid("study", 1).encode(), data_set_bytes(path)
    assert store(node, path, data=whole.replace(study_uid, b"../../escaped".ljust(len(study_uid), b"/"))) == 0
    assert store(node, path, data=whole.replace(study_uid, b" " * len(study_uid))) == 0xC000
    assert received(node) == 1
    assert not list(tmp_path.rglob("escaped*"))
    assert not list((node.folder / "arriving").iterdir())


def test_noise_and_silence_on_the_port_harm_nobody(node: Listening, tmp_path: Path) -> None:
    quiet = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(3)]
    with socket.create_connection(("127.0.0.1", node.port)) as loud:
        loud.sendall(b"GET / HTTP/1.0\r\n\r\n" * 100)
    assert run("dicom", "send", ct(tmp_path / "1.dcm"), "--to", node.node).exit_code == 0
    for one in quiet:
        one.close()


def test_the_commands_refuse_what_cannot_be(tmp_path: Path, node: Listening) -> None:
    image = ct(tmp_path / "one" / "1.dcm")
    ct(tmp_path / "two" / "1.dcm", seed=1)
    (tmp_path / "text.dcm").write_text("no DICOM")
    (tmp_path / "cut.dcm").write_bytes(image.read_bytes()[:-1])
    (tmp_path / "short.dcm").write_bytes(image.read_bytes()[:200])
    (tmp_path / "empty").mkdir()
    login = tmp_path / "login"
    login.write_text("user\npassword\n")
    login.chmod(0o644)
    to = ("--to", node.node)
    cases: dict[str, tuple[object, ...]] = {
        "not a DICOM file": ("send", tmp_path / "text.dcm", *to),
        "odd number of bytes": ("send", tmp_path / "cut.dcm", *to),
        "short.dcm": ("send", tmp_path / "short.dcm", *to),
        "no DICOM file in this folder": ("send", tmp_path / "empty", *to),
        "no such file": ("send", tmp_path / "nothing", *to),
        "different versions of one object": ("send", tmp_path / "one", tmp_path / "two", *to),
        "TITLE@HOST:PORT": ("send", image, "--to", "somewhere"),
        "1 to 16 printable": ("send", image, *to, "--ae-title", "SEVENTEEN LETTERS"),
        "give either --to": ("send", image),
        "chmod 600": ("send", image, *to, "--credentials", login),
        "need --tls-ca": ("send", image, *to, "--tls-key", image),
        "no certificates that could be trusted": ("send", image, *to, "--tls-ca", image),
        "must not hold user": ("find", "--url", "http://user:secret@127.0.0.1:1/"),
        "must be like https": ("find", "--url", "file:///etc/passwd"),
        "digits and dots": ("get", "../../x", "--from", node.node, "-o", tmp_path / "o"),
        "does not offer C-GET": ("get", "1.2.3", "--from", node.node, "-o", tmp_path / "o"),
        "accepts none": ("find", "--from", node.node),
        "lacks {output}": ("listen", "--folder", tmp_path / "q", "--send-to", node.node, "--command", "true {input}"),
        "in use": ("listen", "--folder", tmp_path / "q", "--send-to", node.node, "--port", node.port),
        "another process": ("listen", "--folder", node.folder, "--send-to", node.node, "--port", 0),
        "no queue": ("queue", tmp_path / "empty"),
    }
    for words, arguments in cases.items():
        result = run("dicom", *arguments)
        assert result.exit_code == 2, (words, result.output)
        assert result.output.count("\n") == 1, result.output
        assert words in result.output, (words, result.output)
        assert "secret" not in result.output or words == "must not hold user"
    assert received(node) == 0
    assert not (tmp_path / "o").exists() or not list((tmp_path / "o").iterdir())
