"""HTTP against a small server of our own: bodies in parts however they are cut, patience, and lies refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from ctrecon.dicom.network.http import parts_of, session
from ctrecon.dicom.network.node import Connection
from ctrecon.errors import NetworkError

pytest.importorskip("requests")

Handler = Callable[[BaseHTTPRequestHandler], None]
PARTS = [b"", b"one", b"\r\n--nearly", bytes(range(256)) * 20, b"\r\n--bou", b"--"]


class Answer:
    """As much of an answer as ``parts_of`` asks for, in pieces of any size."""

    def __init__(self, body: bytes, piece: int, kind: str = 'multipart/related; type="x"; boundary="bound"') -> None:
        self.headers, self._body, self._piece = {"Content-Type": kind}, body, piece

    def iter_content(self, _: int) -> Iterator[bytes]:
        return (self._body[k : k + self._piece] for k in range(0, len(self._body), self._piece))


def body_of(parts: list[bytes], *, first: bytes = b"", last: bytes = b"--\r\n") -> bytes:
    told = first + b"--bound"
    return told + b"".join(b"\r\nContent-Type: x\r\n\r\n" + part + b"\r\n--bound" for part in parts) + last


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64, 100_000])
@pytest.mark.parametrize("first", [b"", b"\r\n", b"a preamble\r\n"])
def test_parts_come_back_whole_however_they_are_cut(piece: int, first: bytes) -> None:
    answer = Answer(body_of(PARTS, first=first), piece)
    assert list(parts_of(answer, most_bytes=1 << 20)) == PARTS
    assert list(parts_of(Answer(body_of([]), piece), most_bytes=10)) == []


def test_a_body_without_parts_is_the_only_one() -> None:
    for kind in ("application/dicom", "", "multipart/related"):
        assert list(parts_of(Answer(b"as it is", 3, kind), most_bytes=100)) == [b"as it is"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"--bound", body_of(PARTS)[:-6], body_of(PARTS)[:200], b"--other--\r\n",
        b"--bound\r\nno head\r\n--bound--\r\n",
    ],
)
@pytest.mark.parametrize("piece", [1, 1000])
def test_a_body_cut_short_is_refused(body: bytes, piece: int) -> None:
    with pytest.raises(ValueError, match=r"ends before its last boundary|no head"):
        list(parts_of(Answer(body, piece), most_bytes=1 << 20))


def test_a_part_too_large_is_refused_before_its_end() -> None:
    read = 0

    class Endless(Answer):
        def iter_content(self, _: int) -> Iterator[bytes]:
            nonlocal read
            yield b"--bound\r\n\r\n"
            while True:
                read += 1
                yield bytes(1 << 16)

    for kind in ({}, {"kind": "application/dicom"}):
        with pytest.raises(ValueError, match="too large"):
            list(parts_of(Endless(b"", 1, **kind), most_bytes=1 << 20))
    assert read < 40


def told(request: BaseHTTPRequestHandler, code: int, body: bytes = b"") -> None:
    request.send_response(code)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def test_files_are_sent_byte_for_byte_and_again_where_the_server_is_busy(
    serve: Callable[[Handler], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("ctrecon.dicom.network.http.time.sleep", waited.append)
    files = [tmp_path / name for name in ("a", "b")]
    for file, content in zip(files, (bytes(range(256)) * 9000, b""), strict=True):
        file.write_bytes(content)
    bodies: list[tuple[str, bytes]] = []

    def handler(request: BaseHTTPRequestHandler) -> None:
        bodies.append((request.headers["Content-Type"], request.rfile.read(int(request.headers["Content-Length"]))))
        told(request, 503 if len(bodies) < 3 else 200, b"{}")

    url = serve(handler)
    with session(url, Connection(retries=3)) as http:
        assert http.post(url, files, part_type="application/dicom", accept="application/json").json() == {}
    assert len({body for _, body in bodies}) == 1
    assert len(bodies) == 3
    assert waited == [0.5, 1.0]
    kind, body = bodies[0]
    assert list(parts_of(Answer(body, 999, kind), most_bytes=1 << 24)) == [file.read_bytes() for file in files]


@pytest.mark.parametrize(("code", "message"), [(401, "use --credentials"), (404, "no such study"), (503, "too busy")])
def test_what_a_server_refuses_is_one_line(serve: Callable[[Handler], str], code: int, message: str) -> None:
    url = serve(lambda request: told(request, code))
    refused = pytest.raises(NetworkError, match=f"answered {code}: .*{message}")
    with refused, session(url, Connection(retries=0)) as http:
        http.get(url, accept="x")


def test_what_is_no_answer_is_one_line(serve: Callable[[Handler], str]) -> None:
    def cut(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        request.close_connection = True

    url = serve(cut)
    with pytest.raises(NetworkError, match="broke off in the middle"), session(url, Connection()) as http:
        http.get(url, accept="x").json()
    url = serve(lambda request: told(request, 200, b"<html>"))
    with pytest.raises(NetworkError, match="what is no DICOMweb"), session(url, Connection()) as http:
        http.get(url, accept="x").json()
    with pytest.raises(NetworkError, match="cannot be reached"), session("x", Connection(retries=0)) as http:
        http.get("http://127.0.0.1:1", accept="x")
