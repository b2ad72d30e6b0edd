"""Nothing is called certified before the checker ran here, and nothing stays so once a file has changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from desk_client import Client, serving

from ctrecon.dicom.network.arriving_file import file_header
from ctrecon.workbench.desk.status import of_series

SUFFIXES = (".npy", ".certificate.json", ".data.npy", ".history.json")


@pytest.fixture
def folder(desk_folder: Path, tmp_path: Path) -> Path:
    for suffix in SUFFIXES:
        shutil.copy(desk_folder / f"head{suffix}", tmp_path / f"head{suffix}")
    return tmp_path


def test_certified_is_said_after_a_check_and_until_a_file_changes(folder: Path) -> None:
    with serving(folder) as server:
        desk = Client(server)
        number = desk.numbers["head.npy"]
        before = desk.json(f"status/{number}")
        assert before["tag"] == "certificate, not checked"
        assert before["checkable"]
        assert "certified" not in f"{before['tag']} {before['said']}"
        found = desk.json(f"check/{number}", "POST")
        assert (found["tag"], found["mood"]) == ("checked: certified", "good")
        assert found["checked"][0].startswith("valid")
        assert desk.json(f"look/{number}")["tag"] == "checked: certified"
        image = np.load(folder / "head.npy")
        image[3, 4] += np.float32(0.01)
        np.save(folder / "head.npy", image)
        after = desk.json(f"status/{number}")
        assert (after["tag"], after["mood"]) == ("not its certificate", "bad")
        look = desk.json(f"look/{number}")
        assert (look["tag"], look["sides"]) == ("not its certificate", None)
        assert desk.json(f"check/{number}", "POST")["tag"] == "refused"


def test_a_changed_certificate_is_unusable_and_without_one_nothing_is_claimed(folder: Path) -> None:
    certificate = folder / "head.certificate.json"
    with serving(folder) as server:
        desk = Client(server)
        number = desk.numbers["head.npy"]
        certificate.write_text(certificate.read_text().replace('"delta"', '"delta "'))
        assert desk.json(f"status/{number}")["tag"] == "certificate unusable"
        certificate.write_text("[" * 100_000)
        assert desk.json(f"status/{number}")["tag"] == "certificate unusable"
        certificate.unlink()
        assert desk.json(f"status/{number}")["tag"] == "not certified"


def test_a_volume_is_checked_slice_by_slice(desk: Client) -> None:
    number = desk.numbers["v.zarr"]
    assert "not checked" in desk.json(f"status/{number}")["tag"]
    assert desk.json(f"check/{number}", "POST")["tag"] == "checked: certified"


def test_a_series_says_how_many_certificates_it_has_and_where(folder: Path, tmp_path: Path) -> None:
    """Its folder alone proves nothing: slices that missed delta have a history there and no certificate."""
    kept = tmp_path / "certificates"
    kept.mkdir()
    feasible = (folder / "head.certificate.json").read_bytes()
    for k in (1, 2):
        (kept / f"slice-000{k}.history.json").write_text("{}")
    assert of_series(tmp_path).tag == "not certified"
    (kept / "slice-0001.certificate.json").write_bytes(feasible)
    assert of_series(tmp_path).tag == "1 of 2 with certificates"
    (kept / "slice-0002.certificate.json").write_bytes(feasible.replace(b"feasible", b"infeasible"))
    assert of_series(tmp_path).tag == "1 of 2 with certificates"
    (kept / "slice-0002.certificate.json").write_bytes(feasible)
    assert of_series(tmp_path).tag == "certificates, not checked"
    # What an archive gives back has DICOM files alone.
    shutil.rmtree(kept)
    ct = file_header("1.2.840.10008.5.1.4.1.1.2", "1.2", "1.2.840.10008.1.2.1")
    (tmp_path / "a").write_bytes(ct)
    assert (of_series(tmp_path).tag, of_series(tmp_path).checkable) == ("no certificate", False)
    (tmp_path / "b").write_bytes(file_header("1.2.840.10008.5.1.4.1.1.66", "1.3", "1.2.840.10008.1.2.1"))
    assert (of_series(tmp_path).tag, of_series(tmp_path).checkable) == ("not checked", True)


def test_one_check_at_a_time(desk: Client) -> None:
    number = desk.numbers["head.npy"]
    with desk.server.desk._checking:
        assert "another check is running" in desk.json(f"check/{number}", "POST")["why"]


def test_a_report_has_an_address_of_its_own(desk: Client, tmp_path: Path) -> None:
    number = desk.numbers["head.npy"]
    key = desk.json(f"look/{number}")["report"]
    status, headers, page = desk.raw(f"/report/{key}/{number}")
    assert status == 200
    assert b"reconstruction report" in page
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert desk.token not in page.decode() + str(headers)
    other = desk.numbers["more/tv.npy"]
    assert desk.raw(f"/report/{key}/{other}")[0] == 422
    assert desk.raw(f"/report/{desk.token}/{number}")[0] == 404

    # The same as a file of a folder.
    (tmp_path / "head.report.html").write_bytes(page)
    with serving(tmp_path) as server:
        stored = Client(server)
        number = stored.numbers["head.report.html"]
        key = stored.json(f"look/{number}")["report"]
        assert stored.raw(f"/report/{key}/{number}")[2] == page
