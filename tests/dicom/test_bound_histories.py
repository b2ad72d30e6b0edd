"""A history beside the certificates of a series is the one that its manifest lists, but for the clock."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from dicom_series import write
from pydicom import dcmread

from ctrecon.cli.main import cli
from ctrecon.dicom.series.bound_histories import check_histories
from ctrecon.dicom.series.look import Look
from ctrecon.dicom.series.manifest import manifest_bytes, read_manifest


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("dicom") / "series")


@pytest.fixture
def series(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "series"))


def verify(*args: object) -> Result:
    return CliRunner().invoke(cli, ["verify", *(str(arg) for arg in args)], catch_exceptions=False)


def of_history(series: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    path = series / "certificates" / "slice-0002.history.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    return path


def test_a_history_that_was_changed_is_refused_whatever_entry_it_was(series: Path) -> None:
    listed = read_manifest(manifest_bytes(dcmread(series / "manifest.dcm")))["histories"]
    values = json.loads((series / "certificates" / "slice-0002.history.json").read_text())
    for entry in (*values, "new"):
        path = of_history(series, lambda values, entry=entry: values.update({entry: ["another"]}))
        assert bool(list(check_histories(listed, {2: path}))) == (entry not in ("seconds", "timings")), entry
        path.write_text(json.dumps(values))
    of_history(series, lambda values: values.update(delta_from="given by the physicist"))
    result = verify(series)
    assert result.exit_code == 1
    assert "slice-0002.history.json: it is not the history that the manifest lists" in result.output
    assert "1 of 11 files are refused" in result.output


def test_the_clock_is_not_of_the_history_and_an_archive_keeps_none(series: Path) -> None:
    of_history(series, lambda values: values.update(seconds=1e6, timings={}))
    assert verify(series).exit_code == 0
    for path in (series / "certificates").glob("*.history.json"):
        path.unlink()
    assert verify(series).exit_code == 0


def test_a_history_that_is_added_or_damaged_is_refused_and_an_older_manifest_binds_none(series: Path) -> None:
    listed = read_manifest(manifest_bytes(dcmread(series / "manifest.dcm")))["histories"]
    assert sorted(listed) == ["1", "2", "3"]
    path = of_history(series, lambda values: None)
    (found,) = check_histories({"1": listed["1"]}, {2: path})
    assert found[1] == "the manifest lists no such history: it was added"
    for damaged in (b"", b"{", b"[" * 100_000, b"[]", b"\xff"):
        path.write_bytes(damaged)
        (found,) = check_histories(listed, {2: path})
        assert found[1].startswith("it is no history")
    older = Look(series, lambda _: None, None, False)
    older.find_manifest([(series / "manifest.dcm", dcmread(series / "manifest.dcm"))])
    assert older.manifest is not None
    assert list(older.changed_histories({2: path}))
    older.manifest.values.pop("histories")
    assert not list(older.changed_histories({2: path}))
