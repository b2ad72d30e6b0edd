"""TLS with certificates of the test's own authority, users and passwords, and what is never said."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from orthanc_server import PASSWORD, USER, Orthanc, free_port
from pacs_nodes import Listening, Sink, run, wait_for
from pacs_objects import ct, processing, study, uid
from tls_front import front

from ctrecon.dicom.network.node import Identity, Node, Tls, ae_title
from ctrecon.errors import CtreconError

pytest.importorskip("pynetdicom")


def tls(folder: Path, name: str = "ours") -> tuple[object, ...]:
    return (
        "--tls-ca", folder / "ca.pem", "--tls-certificate", folder / f"{name}.pem", "--tls-key", folder / f"{name}.key",
        "--retries", 0, "--timeout", 10,
    )


def test_a_real_node_over_tls(start_orthanc: Callable[..., Orthanc], certificates: Path, tmp_path: Path) -> None:
    orthanc = start_orthanc(
        DicomTlsEnabled=True, DicomTlsCertificate=str(certificates / "ours.pem"),
        DicomTlsPrivateKey=str(certificates / "ours.key"), DicomTlsTrustedCertificates=str(certificates / "ca.pem"),
    )
    folder = study(tmp_path / "out", 1, 2)
    assert run("dicom", "send", folder, "--to", orthanc.node, *tls(certificates)).exit_code == 0
    got = run("dicom", "get", uid("study", 1), "--from", orthanc.node, "-o", tmp_path / "in", *tls(certificates))
    assert got.exit_code == 0, got.output
    assert len(list((tmp_path / "in").rglob("*.dcm"))) == 2
    named = run("dicom", "echo", "--to", orthanc.node, *tls(certificates), "--tls-name", "pacs.test")
    assert named.exit_code == 0, named.output
    for options in (
        ("--retries", 0, "--timeout", 5),  # plain
        tls(certificates, "other"),  # a certificate that nobody there trusts
        ("--tls-ca", certificates / "ca.pem", "--retries", 0, "--timeout", 5),  # none at all
        (*tls(certificates), "--tls-name", "somebody.else"),
        ("--tls-ca", certificates / "stranger.pem", "--retries", 0),  # theirs is not trusted here
    ):
        refused = run("dicom", "echo", "--to", orthanc.node, *options)
        assert refused.exit_code == 2, (options, refused.output)
        assert refused.output.count("\n") == 1


def test_retrieval_and_dicomweb_over_tls_with_client_certificates(
    start_orthanc: Callable[..., Orthanc], certificates: Path, tmp_path: Path
) -> None:
    """C-GET is above; here C-MOVE, whose objects come over TLS too, and STOW-RS, QIDO-RS and WADO-RS."""
    ours = Tls(ca=certificates / "ca.pem", certificate=certificates / "ours.pem", key=certificates / "ours.key")
    port = free_port()
    orthanc = start_orthanc(
        DicomTlsEnabled=True, DicomTlsCertificate=str(certificates / "ours.pem"),
        DicomTlsPrivateKey=str(certificates / "ours.key"), DicomTlsTrustedCertificates=str(certificates / "ca.pem"),
        DicomModalities={"us": {"AET": "CTRECON", "Host": "127.0.0.1", "Port": port, "UseDicomTls": True}},
    )
    folder, secure = study(tmp_path / "out", 1, 2), tls(certificates)
    login = tmp_path / "login"
    login.write_text(f"{USER}\n{PASSWORD}\n")
    login.chmod(0o600)
    with front(ours.server(), orthanc.http) as https:
        web = ("--url", f"https://127.0.0.1:{https}/dicom-web", "--credentials", login)
        sent = run("dicom", "send", folder, *web, *secure)
        assert (sent.exit_code, sent.output) == (0, "2 stored (0x0000)\n")
        assert "1 found" in run("dicom", "find", *web, *secure).output
        moved = ("--from", orthanc.node, "--move", "--port", port)
        for number, way in enumerate((web, moved)):
            got = run("dicom", "get", uid("study", 1), *way, "-o", tmp_path / f"in{number}", *secure)
            assert got.exit_code == 0, got.output
            assert len(list((tmp_path / f"in{number}").rglob("*.dcm"))) == 2
        for options in (
            ("--tls-ca", certificates / "ca.pem", "--retries", 0, "--timeout", 5),  # no certificate
            tls(certificates, "other"),  # one that nobody there trusts
            ("--tls-ca", certificates / "stranger.pem", "--retries", 0, "--timeout", 5),  # theirs is not trusted here
        ):
            refused = run("dicom", "find", *web, *options)
            assert (refused.exit_code, refused.output.count("\n")) == (2, 1), refused.output


def test_our_node_over_tls_with_users(certificates: Path, tmp_path: Path) -> None:
    login = tmp_path / "login"
    login.write_text("radiology\na secret of the node\n")
    login.chmod(0o600)
    options = (*tls(certificates), "--credentials", login, "--command", processing(tmp_path), "--quiet", 600)
    image = ct(tmp_path / "1.dcm")
    with Sink() as sink, Listening(tmp_path / "queue", sink.node, options) as node:
        whole = run("dicom", "send", image, "--to", node.node, *tls(certificates), "--credentials", login)
        assert (whole.exit_code, whole.output) == (0, "1 stored (0x0000)\n")
        no_user = run("dicom", "send", image, "--to", node.node, *tls(certificates))
        assert no_user.exit_code == 3
        assert "not authorised (0x0124)" in no_user.output
        assert run("dicom", "echo", "--to", node.node, *tls(certificates)).exit_code == 2
        login.write_text("radiology\na wrong one\n")
        wrong = run("dicom", "send", image, "--to", node.node, *tls(certificates), "--credentials", login)
        assert wrong.exit_code == 2
        assert "refused the association" in wrong.output
        login.write_text("radiology\na secret of the node\n")
        stranger = run("dicom", "send", image, "--to", node.node, *tls(certificates, "other"))
        assert (stranger.exit_code, stranger.output.count("\n")) == (2, 1)
        plain = run("dicom", "send", image, "--to", node.node, "--retries", 0, "--timeout", 3, "--credentials", login)
        assert plain.exit_code == 2
        assert "unencrypted" in plain.output
        # Whoever connects and says nothing keeps nobody out.
        with socket.create_connection(("127.0.0.1", node.port)):
            assert run("dicom", "echo", "--to", node.node, *tls(certificates), "--credentials", login).exit_code == 0
        command_line = Path(f"/proc/{node.process.pid}/cmdline").read_bytes()
        assert b"a secret of the node" not in command_line
        assert "a secret" not in node.log


def test_the_server_of_another_host_is_not_believed(certificates: Path, tmp_path: Path) -> None:
    options = (*tls(certificates, "elsewhere"), "--command", processing(tmp_path))
    with Listening(tmp_path / "queue", "X@127.0.0.1:1", options) as node:
        refused = run("dicom", "echo", "--to", node.node, *tls(certificates))
        assert refused.exit_code == 2
        assert "another host's; if it is the right one, give the name in it with --tls-name" in refused.output
        named = run("dicom", "echo", "--to", node.node, *tls(certificates), "--tls-name", "elsewhere.test")
        assert named.exit_code == 0, named.output


def test_the_processing_does_not_learn_the_password(tmp_path: Path) -> None:
    environment = {"CTRECON_DICOM_USER": "radiology", "CTRECON_DICOM_PASSWORD": "a secret of the node"}
    command = "sh -c 'env > {output}/../../../../env.txt; exit 1; : {input}'"
    # A node that asks for a user sends on with the same one; here the destination does not mind.
    with Sink() as sink, Listening(
        tmp_path / "queue", sink.node, ("--command", command, "--quiet", 0), env=environment
    ) as node:
        assert run("dicom", "send", ct(tmp_path / "1.dcm"), "--to", node.node, env=environment).exit_code == 0
        wait_for(lambda: node.studies("failed"))
        assert "secret" not in node.log
    seen = next(tmp_path.rglob("env.txt")).read_text()
    assert "PATH=" in seen
    assert "a secret" not in seen


def test_a_password_is_in_no_representation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTRECON_DICOM_USER", "me")
    monkeypatch.setenv("CTRECON_DICOM_PASSWORD", "hidden")
    identity = Identity.read(None)
    assert identity is not None
    assert (identity.user, identity.password) == ("me", "hidden")
    assert "hidden" not in repr(identity)
    for content in ("", "\n", "a\nb\nc\n", "x" * 5000):
        path = tmp_path / "login"
        path.write_text(content)
        os.chmod(path, 0o600)  # noqa: PTH101
        with pytest.raises(CtreconError):
            Identity.read(path)


@pytest.mark.parametrize("text", ["", "A" * 17, "A\\B", "\n", "Ä", " A", "A "])
def test_an_ae_title_is_what_the_standard_says(text: str) -> None:
    with pytest.raises(CtreconError, match="AE title"):
        ae_title(text)
    assert ae_title("A" * 16) == "A" * 16


@pytest.mark.parametrize("text", ["A", "A@b", "A@b:0", "A@b:65536", "A@b:x", "@b:1", "A@:1", "A@b:1 ", "A@b@c:1"])
def test_a_node_is_what_it_says(text: str) -> None:
    with pytest.raises(CtreconError):
        Node.parse(text)
    assert Node.parse("A B@[::1]:104") == Node(title="A B", host="::1", port=104)


@pytest.mark.parametrize("arguments", [
    ("echo", "--to", "A@127.0.0.1:1"), ("send", "{image}", "--to", "A@127.0.0.1:1"),
    ("find", "--from", "A@127.0.0.1:1"), ("find", "--url", "http://127.0.0.1:1"),
    ("get", "1.2", "--from", "A@127.0.0.1:1", "-o", "{image}.d"),
    ("listen", "--folder", "{image}.q", "--send-to", "A@127.0.0.1:1"),
])  # fmt: skip
def test_without_the_extra_the_remedy_is_named(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = ct(tmp_path / "1.dcm")
    for missing in ("pynetdicom", "requests"):
        monkeypatch.setitem(sys.modules, missing, None)
    result = run("dicom", *(word.format(image=image) for word in arguments))
    assert result.exit_code == 2
    assert result.output.count("\n") == 1
    assert "pip install 'ctrecon-edn[pacs]'" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["1.dcm"]
