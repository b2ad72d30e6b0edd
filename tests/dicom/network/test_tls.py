"""Secure connections with a real pynetdicom on the other side: what is refused says what is wrong and what to do."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pydicom
import pytest
from archive import VERIFICATION, archive
from nodes_here import here
from orthanc_server import Handler, free_port
from pacs_nodes import Sink, run, wait_for
from pacs_objects import study, uid
from pynetdicom import AE
from tls_front import front

from ctrecon.dicom.network.node import Connection, Tls
from ctrecon.dicom.network.tls_trouble import trouble

PLAIN = ("--retries", 0, "--timeout", 5)
OURS = {  # of our side, towards a node that is as it should be
    "expired": "our certificate has expired; renew --tls-certificate",
    "early": "it does not accept our certificate; check --tls-certificate",
    "other": "it does not trust the authority of our certificate; have that authority trusted there",
    "none": "it demands a certificate of ours; give --tls-certificate and --tls-key",
    "plain": "check that it speaks DICOM, or whether it wants TLS (--tls-ca)",
}
THEIRS = {  # of the node's
    "expired": "its certificate has expired; have it renewed there",
    "early": "its certificate is not valid yet; check the clocks of both machines",
    "other": "its certificate is of no authority that is trusted here; give its authority's certificate with --tls-ca",
    "elsewhere": "its certificate is another host's; if it is the right one, give the name in it with --tls-name",
    "plain": "it speaks no TLS; use its secure port, or none of the --tls options",
}
CALLERS = {  # of whoever calls us, as our log says it
    "plain": "it speaks no TLS", "none": "it has no certificate", "expired": "its certificate has expired",
    "other": "its certificate is of no authority that is trusted here",
    "distrustful": "it does not trust the authority of our certificate",
}  # fmt: skip


def options(folder: Path, name: str) -> tuple[object, ...]:
    if name == "plain":
        return PLAIN
    trusting = ("--tls-ca", folder / "ca.pem", *PLAIN)
    if name == "none":
        return trusting
    return (*trusting, "--tls-certificate", folder / f"{name}.pem", "--tls-key", folder / f"{name}.key")


def tls(folder: Path, name: str, ca: str = "ca") -> Tls:
    leaf = {} if name == "none" else {"certificate": folder / f"{name}.pem", "key": folder / f"{name}.key"}
    return Tls(ca=folder / f"{ca}.pem", **leaf)


def test_objects_go_and_come_over_tls(certificates: Path, tmp_path: Path) -> None:
    folder, secure = study(tmp_path / "out", 1, 2), options(certificates, "ours")
    sent = {pydicom.dcmread(path).SOPInstanceUID for path in folder.rglob("*.dcm")}
    with archive(tls(certificates, "ours").server()) as pacs:
        assert run("dicom", "send", folder, "--to", pacs.node, *secure).output == "2 stored (0x0000)\n"
        pacs.to, pacs.by = free_port(), tls(certificates, "ours").client()
        for way in ((), ("--move", "--port", pacs.to)):
            into = tmp_path / f"in{len(way)}"
            got = run("dicom", "get", uid("study", 1), "--from", pacs.node, *way, "-o", into, *secure)
            assert got.exit_code == 0, got.output
            assert {pydicom.dcmread(path).SOPInstanceUID for path in into.rglob("*.dcm")} == sent
        for name, by in (("plain", None), *((n, tls(certificates, n).client()) for n in ("none", "other", "expired"))):
            pacs.by = by
            words = ("dicom", "get", uid("study", 1), "--from", pacs.node, "--move", "--port", pacs.to)
            refused = run(*words, "-o", tmp_path / "none", *secure)
            assert (refused.exit_code, refused.output.count("\n")) == (2, 1)
            assert f"meanwhile here: refused a secure connection of 127.0.0.1: {CALLERS[name]}" in refused.output
            assert not (tmp_path / "none").exists()


def test_a_certificate_that_is_not_accepted_is_named_with_its_remedy(certificates: Path, tmp_path: Path) -> None:
    folder = study(tmp_path / "out", 1, 1)
    with archive(tls(certificates, "ours").server()) as pacs:
        for name, said in OURS.items():
            for words in (("send", folder, "--to"), ("get", "1.2", "-o", tmp_path / "in", "--from")):
                result = run("dicom", *words, pacs.node, *options(certificates, name))
                assert (result.exit_code, result.output.count("\n")) == (2, 1), (name, result.output)
                assert said in result.output
        assert not pacs.kept
    for name, said in THEIRS.items():
        context = None if name == "plain" else tls(certificates, name).server()
        with archive(context) as pacs:
            result = run("dicom", "echo", "--to", pacs.node, *options(certificates, "ours"))
            assert (result.exit_code, result.output.count("\n")) == (2, 1), (name, result.output)
            assert said in result.output


def test_a_web_server_likewise(certificates: Path, serve: Callable[[Handler], str]) -> None:
    def nothing_found(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "application/dicom+json")
        request.send_header("Content-Length", "2")
        request.end_headers()
        request.wfile.write(b"[]")

    http = int(serve(nothing_found).rpartition(":")[2])
    with front(tls(certificates, "ours").server(), http) as https:
        url = f"https://127.0.0.1:{https}/d"
        assert "0 found" in run("dicom", "find", "--url", url, *options(certificates, "ours")).output
        for name, said in OURS.items():
            result = run("dicom", "find", "--url", url, *options(certificates, name))
            assert (result.exit_code, result.output.count("\n")) == (2, 1), (name, result.output)
            assert (THEIRS["other"] if name == "plain" else said) in result.output
        result = run("dicom", "find", "--url", url.replace("https", "http"), *PLAIN)
        assert (result.exit_code, result.output.count("\n")) == (2, 1), result.output
        assert "whether it wants https://" in result.output
    for name in ("expired", "other", "elsewhere"):
        with front(tls(certificates, name).server(), http) as https:
            url = f"https://127.0.0.1:{https}/d"
            result = run("dicom", "find", "--url", url, *options(certificates, "ours"))
            assert (result.exit_code, result.output.count("\n")) == (2, 1), (name, result.output)
            assert THEIRS[name] in result.output
    result = run("dicom", "find", "--url", f"https://127.0.0.1:{http}/d", *options(certificates, "ours"))
    assert THEIRS["plain"] in result.output


def test_who_calls_us_with_a_wrong_certificate_is_in_the_log(certificates: Path, tmp_path: Path) -> None:
    def calls(port: int, context: ssl.SSLContext | None) -> bool:
        ae = AE("A")
        ae.add_requested_context(VERIFICATION)
        association = ae.associate("127.0.0.1", port, ae_title="NODE",
                                   tls_args=None if context is None else (context, "127.0.0.1"))  # fmt: skip
        if there := association.is_established:
            association.release()
        return bool(there)

    contexts = {name: None if name == "plain" else tls(certificates, name).client() for name in list(CALLERS)[:4]}
    contexts["distrustful"] = tls(certificates, "ours", ca="stranger").client()
    secure = Connection(title="NODE", timeout_s=10, retries=0, tls=tls(certificates, "ours"))
    with Sink() as sink, here(tmp_path / "queue", sink, connection=secure) as node:
        for name, context in contexts.items():
            assert not calls(node.port, context)
            line = f"refused a secure connection of 127.0.0.1: {CALLERS[name]}"
            wait_for(lambda line=line: line in node.lines, line)
        assert calls(node.port, tls(certificates, "ours").client())
    with Sink() as sink, here(tmp_path / "plain", sink) as node:
        assert not calls(node.port, tls(certificates, "ours").client())
        wait_for(lambda: "refused a connection of 127.0.0.1: it speaks TLS, this node does not" in node.lines)


@pytest.mark.parametrize("said", ["", "Connection refused", "timed out"])
def test_what_is_no_trouble_of_tls(said: str) -> None:
    assert trouble(said) is None
    assert trouble("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca (_ssl.c:2580)") is not None
