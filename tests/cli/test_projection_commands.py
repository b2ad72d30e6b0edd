"""The commands for raw data: synthesise, look, rebin, reconstruct; what is wrong is one line and exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from ctrecon.cli.main import cli
from ctrecon.dicom.raw.rebin import rebin
from ctrecon.io.arrays import read_scan

WORDS = (
    "synthesise-projections --rows 16 --columns 64 --per-turn 60 --turns 1.5 --feed 5 --photons 1e5 --seed 3 -o raw"
)


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words), catch_exceptions=False)


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    assert run(*WORDS.split()).exit_code == 0
    return tmp_path / "raw"


def test_raw_data_to_slices(raw: Path) -> None:
    assert len(list(raw.iterdir())) == 90
    done = run("rebin", "raw", "-o", "slices", "--z", "0", "--z", "0.75", "--json")
    assert done.exit_code == 0
    said = json.loads(done.output)
    assert [one["z_mm"] for one in said["slices"]] == [0, 0.75]
    index = json.loads(Path("slices/slices.json").read_text())
    assert index["water_mu_per_mm"] == 0.0192
    assert [one["file"] for one in index["slices"]] == ["slice_0001.npz", "slice_0002.npz"]
    scan = read_scan("slices/slice_0001.npz")
    assert scan.sinogram.shape == (60, 64)
    assert scan.variance is not None
    assert np.array_equal(scan.sinogram, read_scan("raw", z_mm=0.0).sinogram)
    facts = json.loads(run("info", "raw", "--z", "0", "--json").output)
    assert facts["geometry"] == "arc-fan"
    assert facts["water_1_per_mm"] == 0.0192
    assert facts["from_counts"] is True


@pytest.mark.sampled(8)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("rebin raw -o slices --z 50", "was not scanned; there are slices from"),
        ("rebin raw -o slices --z 0 --spacing 1", "--z and --spacing both say where slices are"),
        ("rebin raw -o slices --spacing 0", "the spacing of slices must be > 0 mm"),
        ("rebin raw -o raw", "raw is not empty"),
        ("rebin raw -o slices --central-column 100", "the central column must be from 1 to 64"),
        ("rebin raw/projection_000001.dcm -o slices", "is a file"),
        ("synthesise-projections -o raw", "raw is not empty"),
        ("synthesise-projections -o new --photons 0", "photons must be a number > 0"),
        ("synthesise-projections -o new --feed -1", "--feed must be from 0 to 1000"),
        ("synthesise-projections -o new --turns 0", "are none or too many"),
        ("reconstruct raw --z 50", "was not scanned"),
        ("info raw --row 2", "drop --geometry, --row and --image"),
        ("info raw/projection_000001.dcm", "a scan is read from the folder of its projections"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(raw: Path, words: str, message: str) -> None:
    before = sorted(path.name for path in Path().iterdir())
    done = run(*words.split())
    assert done.exit_code == 2, done.output
    assert message in done.output
    assert len(done.output.strip().splitlines()) == 1
    assert sorted(path.name for path in Path().iterdir()) == before


def test_a_damaged_projection_leaves_no_slice_behind(raw: Path) -> None:
    path = raw / "projection_000045.dcm"
    path.write_bytes(path.read_bytes()[:-100])
    done = run("rebin", "raw", "-o", "slices", "--z", "0")
    assert done.exit_code == 2
    assert "projection_000045.dcm: its pixels cannot be read" in done.output
    assert not Path("slices").exists()


def test_the_rows_of_a_slice_are_streamed(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers are read without pixels: a scan is opened although every file's pixels are gone."""
    from ctrecon.dicom.raw.projections import read_projections

    scan = read_projections(raw)
    for name in scan.files:
        path = raw / name
        path.write_bytes(path.read_bytes()[: -16 * 64 * 2])
    assert len(read_projections(raw).files) == 90
    with pytest.raises(Exception, match="its pixels cannot be read"):
        rebin(scan, 0.0)
