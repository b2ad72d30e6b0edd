"""Data sets come whole, checked and resumed, or not at all: against a real server on the loopback interface."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from data_server import CONTENT, NOTES, Server, data_server, md5

from ctrecon.cli.main import cli
from ctrecon.errors import CtreconError, InputError, OutputError
from ctrecon.io.datasets.download import Resuming
from ctrecon.io.datasets.fetch import LOCK, check_space, chosen, fetch, missing_bytes
from ctrecon.io.datasets.record import files_of
from ctrecon.io.datasets.sets import DataSet, RemoteFile, find_set, read_sets, safe_name


@pytest.fixture
def server() -> Iterator[Server]:
    with data_server() as running:
        yield running


@pytest.fixture
def data_set(server: Server) -> DataSet:
    return DataSet(
        name="local", title="A local set", authors="Nobody", licence="CC BY 4.0",
        record=f"{server.root}/api/records/1",
    )


def test_a_set_comes_with_checked_hashes_and_a_lock(server: Server, data_set: DataSet, tmp_path: Path) -> None:
    record = files_of(data_set)
    assert record.licence == "cc-by-4.0"
    assert missing_bytes(record.files, tmp_path) == len(CONTENT) + len(NOTES)
    came = fetch(data_set, record.files, tmp_path)
    assert [(one.path.name, one.checked, one.was_there) for one in came] == [
        ("scan.mat", True, False), ("notes.csv", True, False)
    ]
    assert (tmp_path / "scan.mat").read_bytes() == CONTENT
    assert sorted(p.name for p in tmp_path.iterdir()) == [LOCK, "notes.csv", "scan.mat"]
    lock = json.loads((tmp_path / LOCK).read_text())
    assert lock["files"]["scan.mat"]["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    assert missing_bytes(record.files, tmp_path) == 0
    server.asked.clear()
    assert all(one.was_there for one in fetch(data_set, record.files, tmp_path))
    assert server.asked == []


def test_a_broken_connection_is_taken_up_where_it_broke(server: Server, data_set: DataSet, tmp_path: Path) -> None:
    server.breaks = [1_000_000]
    fetch(data_set, chosen(files_of(data_set), ["scan.mat"]), tmp_path)
    assert (tmp_path / "scan.mat").read_bytes() == CONTENT
    assert [wanted is None for _, wanted in server.asked] == [True, False]
    begin = int(str(server.asked[1][1]).removeprefix("bytes=").removesuffix("-"))
    assert 0 < begin <= 1_000_000


def resuming(part: Path, **settings: Any) -> Resuming:
    return Resuming(part=part, size=len(CONTENT), attempts=1, wait_s=0.0, **settings)


def test_an_interrupted_fetch_leaves_no_file_under_its_name_and_goes_on_later(
    server: Server, tmp_path: Path
) -> None:
    part, url = tmp_path / ".scan.mat.part", f"{server.root}/files/scan.mat"
    server.breaks = [2_000_000]
    with pytest.raises(InputError, match=r"broke off after 1[0-9]{6} bytes"):
        resuming(part).collect(url)
    # All that came but a last piece.
    assert 1_900_000 < part.stat().st_size <= 2_000_000
    assert part.read_bytes() == CONTENT[: part.stat().st_size]
    resuming(part).collect(url)
    assert part.read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == [part.name]


@pytest.mark.parametrize("change", ["etag", "no ranges"])
def test_parts_of_another_file_are_never_mixed(server: Server, tmp_path: Path, change: str) -> None:
    part, url = tmp_path / ".part", f"{server.root}/files/scan.mat"
    server.breaks = [1_000_000]
    with pytest.raises(InputError):
        resuming(part).collect(url)
    if change == "etag":
        server.etag, server.content["scan.mat"] = '"two"', CONTENT[::-1]
    else:
        server.ranges = False
    resuming(part).collect(url)
    assert part.read_bytes() == server.content["scan.mat"]


def test_more_bytes_than_stated_are_refused(server: Server, tmp_path: Path) -> None:
    part = tmp_path / ".part"
    with pytest.raises(InputError, match="more than"):
        Resuming(part=part, size=1000, attempts=1).collect(f"{server.root}/files/scan.mat")
    assert not part.exists()


def test_a_wrong_hash_is_refused_and_removed(server: Server, data_set: DataSet, tmp_path: Path) -> None:
    server.content["scan.mat"] = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
    with pytest.raises(InputError, match="another content") as refused:
        fetch(data_set, files_of(data_set).files, tmp_path)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_what_the_lock_knows_may_not_change(server: Server, data_set: DataSet, tmp_path: Path) -> None:
    fetch(data_set, files_of(data_set).files, tmp_path)
    (tmp_path / "notes.csv").unlink()
    server.content["notes.csv"] = b"id\n2\n"
    server.stated["notes.csv"] = md5(b"id\n2\n")
    with pytest.raises(InputError, match="is stated as"):
        fetch(data_set, files_of(data_set).files, tmp_path)
    assert not (tmp_path / "notes.csv").exists()


def test_a_file_without_a_hash_is_held_to_its_own_from_the_second_time(server: Server, tmp_path: Path) -> None:
    url = f"{server.root}/files/notes.csv"
    trusting = DataSet(name="t", title="", authors="", licence="", files=(RemoteFile(name="notes.csv", url=url),))
    (first,) = fetch(trusting, files_of(trusting).files, tmp_path)
    assert not first.checked
    first.path.unlink()
    (again,) = fetch(trusting, trusting.files, tmp_path)
    assert again.sha256 == first.sha256
    again.path.unlink()
    server.content["notes.csv"] = b"evil"
    with pytest.raises(InputError, match="another content"):
        fetch(trusting, trusting.files, tmp_path)
    assert not again.path.exists()
    (tmp_path / LOCK).unlink()
    again.path.write_bytes(b"who knows")
    with pytest.raises(InputError, match="nothing says"):
        fetch(trusting, trusting.files, tmp_path)


def test_a_damaged_file_and_a_foreign_lock_are_refused(server: Server, data_set: DataSet, tmp_path: Path) -> None:
    fetch(data_set, files_of(data_set).files, tmp_path)
    (tmp_path / "notes.csv").write_bytes(b"changed")
    with pytest.raises(InputError, match="not the file"):
        fetch(data_set, files_of(data_set).files, tmp_path)
    with pytest.raises(InputError, match="not the lock of other"):
        fetch(replace(data_set, name="other"), files_of(data_set).files, tmp_path)


def test_a_disk_without_room_is_noticed_before(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="GB are needed"):
        check_space([RemoteFile(name="x", url="https://example.org/x", size=1 << 60)], tmp_path / "new" / "folder")
    check_space([RemoteFile(name="x", url="https://example.org/x", size=1)], tmp_path / "new")


HOSTILE = [
    {"key": "../evil", "size": 1, "checksum": "md5:00", "links": {"self": "ROOT/files/x"}},
    {"key": "/etc/passwd", "size": 1, "checksum": "md5:00", "links": {"self": "ROOT/files/x"}},
    {"key": "x", "size": 1, "checksum": "md5:00", "links": {"self": "http://elsewhere.example/x"}},
    {"key": "x", "size": -1, "checksum": "md5:00", "links": {"self": "ROOT/files/x"}},
    {"key": "x", "size": 1, "checksum": "", "links": {"self": "ROOT/files/x"}},
    {"key": "x", "size": 1},
]


@pytest.mark.parametrize("entry", [*HOSTILE, "text"], ids=range(len(HOSTILE) + 1))
def test_a_hostile_record_is_refused(server: Server, data_set: DataSet, entry: Any) -> None:
    server.record_body = json.dumps({"files": [entry]}).replace("ROOT", server.root).encode()
    with pytest.raises(InputError):
        files_of(data_set)


def test_no_server_is_one_line(data_set: DataSet, server: Server, tmp_path: Path) -> None:
    gone = replace(data_set, record="http://127.0.0.1:9/api/records/1")
    with pytest.raises(InputError, match="cannot be reached"):
        files_of(gone)
    missing = RemoteFile(name="x", url=f"{server.root}/files/x", size=3, known_hash="md5:00")
    server.asked.clear()
    with pytest.raises(InputError):
        fetch(data_set, [missing], tmp_path)
    # Nobody asks again for what is not there.
    assert len(server.asked) <= 4


def test_the_shipped_list_is_whole() -> None:
    sets = read_sets()
    assert {"walnut", "htc2022", "lodopab", "bsds500"} <= sets.keys()
    for one in sets.values():
        assert one.licence
        if one.record is not None:
            assert one.doi is not None
            assert one.doi.rpartition(".")[2] == one.record.rpartition("/")[2]
    with pytest.raises(InputError, match="there are walnut"):
        find_set("nothing", sets)
    for bad in ("a/b", "..", ".hidden", "", "a\nb", 3):
        with pytest.raises(InputError):
            safe_name(bad, "test")


def test_the_commands(server: Server, tmp_path: Path) -> None:
    own = tmp_path / "sets.json"
    own.write_text(json.dumps({"local": {
        "title": "A local set", "authors": "Nobody", "licence": "CC BY 4.0", "record": f"{server.root}/api/records/1",
    }}))
    run = CliRunner().invoke
    assert "CC BY 4.0" in run(cli, ["data", "list", "--sets", str(own)]).output
    assert json.loads(run(cli, ["data", "list", "--json"]).output)["walnut"]["doi"]
    arguments = ["data", "fetch", "local", "--sets", str(own), "--to", str(tmp_path / "here")]
    refused = run(cli, arguments)
    assert refused.exit_code == 2
    assert "not accepted" in refused.output
    assert not (tmp_path / "here").exists()
    done = run(cli, [*arguments, "--accept-licence", "--file", "*.csv"])
    assert done.exit_code == 0, done.output
    assert "the record states: cc-by-4.0" in done.output
    assert "the publisher's hash is right" in done.output
    assert sorted(p.name for p in (tmp_path / "here").iterdir()) == [LOCK, "notes.csv"]
    assert run(cli, [*arguments, "--file", "*.zip"]).exit_code == 2
    own.write_text("[]")
    assert run(cli, arguments).exit_code == 2
    assert issubclass(InputError, CtreconError)
