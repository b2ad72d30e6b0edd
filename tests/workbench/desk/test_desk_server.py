"""The server answers its own page alone; whatever a client or a file says, it stays up and tells in one line."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest
from desk_cases import NASTY, SIZE
from desk_client import Client
from report_cases import HOSTILE

from ctrecon.errors import InputError, SettingError
from ctrecon.workbench.desk.open import open_desk


def alive(desk: Client) -> bool:
    return desk.get("list")[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "[::1]:{port}"]
)
def test_another_host_is_refused_even_with_the_token(desk: Client, host: str) -> None:
    path, port = f"/{desk.token}/list", desk.server.guard.port
    status, _, body = desk.raw(path, Host=host.format(port=port))
    assert (status, b"entries" in body) == (403, False)
    assert desk.raw(path, Host=f"localhost:{port}")[0] == 200
    assert desk.raw(path, Origin="http://evil.example")[0] == 403
    assert desk.raw(path, Origin="null")[0] == 403


@pytest.mark.parametrize(
    "path",
    ["/", "/list", "//list", "/x/list", "/{short}/list", "/{token}", "/{token}x/list", "/../{token}/list", "/desk.js"],
)
def test_nothing_is_told_without_the_token(desk: Client, path: str) -> None:
    status, _, body = desk.raw(path.format(token=desk.token, short=desk.token[:-1]))
    assert (status, json.loads(body)) == (404, {"why": "there is nothing here"})


@pytest.mark.parametrize(
    "rest",
    ["../head.npy", "..%2f..%2fetc/passwd", "plane/0/../../server.py", "server.py", "page.html/..", "plane/-1/0",
     "plane/0", "plane/0x1/0", "plane/1e3/0", "plane/9999999999/0", "look/head.npy", "look//0", "check/0", "%00",
     "a" * 5000],
)  # fmt: skip
def test_a_path_of_the_client_leads_nowhere(desk: Client, rest: str) -> None:
    assert desk.get(rest)[0] == 404
    assert alive(desk)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"])
def test_other_methods_are_not_known(desk: Client, method: str) -> None:
    status, headers, _ = desk.get("list", method)
    assert status == 501
    assert "Access-Control-Allow-Origin" not in headers


def test_garbage_on_the_socket_ends_nothing(desk: Client) -> None:
    end = b" HTTP/1.1\r\n\r\n"
    long, twice = b"GET /" + b"x" * 70_000 + end, b"POST / HTTP/1.1\r\nHost: a\r\nHost: b" + end
    for raw in (b"\0" * 100, b"GET" + end, long, twice):
        with socket.create_connection(("127.0.0.1", desk.server.guard.port), timeout=10) as connection:
            connection.sendall(raw)
    assert alive(desk)


def test_it_listens_on_this_machine_alone(desk: Client) -> None:
    assert desk.server.server_address[0] == "127.0.0.1"
    with pytest.raises(SettingError, match="cannot be used"):
        open_desk(desk.server.desk.index.folder, port=desk.server.guard.port)


def test_every_answer_forbids_what_it_does_not_need(desk: Client) -> None:
    for rest in ("", "list", "desk.js", "desk.css", "nothing"):
        headers = desk.get(rest)[1]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "http" not in headers["Content-Security-Policy"]
        assert not [name for name in headers if name.lower().startswith("access-control")]
    assert "unsafe" not in desk.get("")[1]["Content-Security-Policy"]


def test_hostile_names_and_texts_are_text(desk: Client) -> None:
    status, headers, body = desk.get("list")
    assert headers["Content-Type"] == "application/json"
    assert NASTY in [one["name"] for one in json.loads(body)["entries"]]
    look = desk.json(f"look/{desk.numbers['head.npy']}")
    assert any(HOSTILE.split("\u2028")[0] in text for _, text in look["facts"])
    assert "\u2028" not in body.decode()
    assert status == 200


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("broken.npy", "has npy format version"), ("huge.npy", "claims 79999998400000008 bytes"),
        ("nan.npy", "not finite"), ("bad.npz", "not a whole npz file"), ("stranger.html", "is no report of ctrecon"),
    ],
)  # fmt: skip
def test_a_broken_file_is_one_line(desk: Client, name: str, said: str) -> None:
    status, _, body = desk.get(f"look/{desk.numbers[name]}")
    why = json.loads(body)["why"]
    assert status == 422
    assert said in why
    assert "\n" not in why
    assert str(desk.server.desk.index.folder) not in why
    assert alive(desk)


@pytest.mark.parametrize("name", ["broken.npy", "huge.npy", "stranger.html"])
def test_what_a_header_tells_is_said_in_the_list(desk: Client, name: str) -> None:
    assert desk.get(f"status/{desk.numbers[name]}")[0] == 422
    assert desk.get(f"status/{desk.numbers['head.npy']}")[0] == 200


def test_what_is_not_shown_has_no_number_that_opens_it(desk: Client) -> None:
    for name in ("link.npy", "pipe.npy", "notes.txt"):
        for route in ("look", "status", "sinogram"):
            assert desk.get(f"{route}/{desk.numbers[name]}")[0] == 422
        assert desk.get(f"plane/{desk.numbers[name]}/0")[0] == 422


def test_planes_are_the_values(desk: Client, desk_folder: Path) -> None:
    np.testing.assert_array_equal(desk.plane("head.npy"), np.load(desk_folder / "head.npy"))
    volume = desk_folder / "v.zarr" / "evidence"
    images = sorted(volume.glob("slice-????.npy"))
    assert len(images) == 4
    for k, image in enumerate(images):
        np.testing.assert_array_equal(desk.plane("v.zarr", k), np.load(image))
    assert desk.plane("photo.png").shape == (10, 10, 3)
    assert desk.get(f"plane/{desk.numbers['v.zarr']}/4")[0] == 422


def test_a_scan_has_a_picture_and_facts(desk: Client) -> None:
    number = desk.numbers["scans/stack.npy"]
    look = desk.json(f"look/{number}")
    assert ["Shown", "row 2 of 4 of the detector, from 0"] in look["facts"]
    assert ["Views", "16"] in look["facts"]
    assert desk.get(f"sinogram/{number}")[2].startswith(b"\x89PNG")


def test_what_is_said_of_an_image_is_its_own(desk: Client) -> None:
    look = desk.json(f"look/{desk.numbers['head.npy']}")
    assert look["shape"] == [1, SIZE, SIZE]
    assert look["sides"] == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    assert look["unit"] == "HU"
    assert look["windows"][0]["name"] == "Soft tissue"
    bare = desk.json(f"look/{desk.numbers['bare.npy']}")
    assert (bare["sides"], bare["grid"], bare["tag"]) == (None, None, "no certificate")


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file or folder"):
        open_desk(tmp_path / "nowhere")
