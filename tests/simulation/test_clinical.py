"""Clinical slices as objects of simulated scans: in mm, seen whole, and found again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from dicom_files import ct, save

from ctrecon.cli.main import cli
from ctrecon.dicom.images.images import read_volume
from ctrecon.errors import InputError
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.field_of_view import field_of_view_mm
from ctrecon.io.arrays import read_scan
from ctrecon.io.nifti import write_stored_volume
from ctrecon.simulation.clinical import COMMON_DISTANCES_MM, clinical_slices


def head(k: int = 0, size: int = 48, **changes):
    """A disc of water of 20 mm radius with a denser spot above and left of its middle; pixels of 1 mm."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    hu = np.where(x * x + y * y < 400, 0, -1000) + np.where((x + 8) ** 2 + (y + 6) ** 2 < 25, 500, 0)
    values = {"PixelSpacing": [1.0, 1.0], "DistanceSourceToPatient": "541", "DistanceSourceToDetector": "949"}
    return ct(k, (hu + 1024).astype(np.int16), **(values | changes))


def test_a_slice_is_projected_and_found_again_in_millimetres(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = save(tmp_path / "series", *(head(k) for k in range(3)))
    words = ["simulate", "--from-dicom", str(folder), "--slice", "2", "--dose", "1e6", "--views", "90", "--json"]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    scan = read_scan(tmp_path / "scan.npz")
    assert isinstance(scan.geometry, FanBeam)
    assert (scan.geometry.source_to_axis_mm, scan.geometry.source_to_detector_mm) == (541, 949)
    assert scan.grid.pixel_mm == 1.0
    assert field_of_view_mm(scan.geometry) >= 48 * np.sqrt(2) - 1
    # A ray through the middle crosses 40 mm of water of 0.02 per mm, and the axis projects to the middle.
    middle = scan.sinogram[:, scan.geometry.detector_count // 2 - 1 : scan.geometry.detector_count // 2 + 1].mean()
    assert middle == pytest.approx(40 * 0.02, abs=0.05)
    assert scan.variance is not None
    run = CliRunner().invoke(
        cli, ["reconstruct", "scan.npz", "--method", "fbp", "--delta", "3%", "-o", "out.npy", "--no-preview"]
    )
    assert run.exit_code in (0, 3), run.output
    found = np.load("out.npy")
    truth = np.load("scan.truth.npy")
    assert found[17, 15] == pytest.approx(0.03, rel=0.1)  # the spot: up and left, not mirrored
    assert found[30, 32] == pytest.approx(0.02, rel=0.1)
    assert np.sqrt(np.mean((found - truth) ** 2)) < 0.003
    assert np.sqrt(np.mean((found[:, ::-1] - truth) ** 2)) > 0.003


def test_all_slices_and_their_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = save(tmp_path / "series", *(head(k) for k in range(3)))
    words = ["simulate", "--from-dicom", str(folder), "--slice", "all", "--photons", "1e5", "--views", "12", "--json"]
    told = json.loads(CliRunner().invoke(cli, words, catch_exceptions=False).output)
    assert [one["slice"] for one in told["scans"]] == [1, 2, 3]
    assert sorted(p.name for p in tmp_path.glob("scan*")) == [
        f"scan.{k:04d}.{ending}" for k in (1, 2, 3) for ending in ("npz", "truth.npy")
    ]
    a, b = (read_scan(tmp_path / f"scan.{k:04d}.npz").sinogram for k in (1, 2))
    assert not np.array_equal(a, b)  # the same slice, other noise


def test_what_is_assumed_is_said_and_what_cannot_be_is_refused(tmp_path):
    unknown = save(tmp_path / "a", head(0, DistanceSourceToPatient=None))
    slices, notes = clinical_slices(unknown)
    assert slices[0].geometry.source_to_axis_mm == COMMON_DISTANCES_MM[0]
    assert any("are assumed" in note for note in notes)
    assert slices[0].number == 1
    parallel, _ = clinical_slices(unknown, beam="parallel", views=10)
    assert parallel[0].geometry.shape == (10, 68)
    with pytest.raises(InputError, match=r"0.9 x 1 mm; square"):
        clinical_slices(save(tmp_path / "b", head(0, PixelSpacing=[0.9, 1.0])))
    with pytest.raises(InputError, match="does not fit within the source's circle"):
        clinical_slices(save(tmp_path / "c", head(0, PixelSpacing=[16.0, 16.0])))
    for which in ("0", "2", "-1", "first", "²"):
        with pytest.raises(InputError, match="has the slices 1 to 1"):
            clinical_slices(unknown, which=which)


def test_a_volume_in_nifti_is_the_same_object(tmp_path):
    folder = save(tmp_path / "series", *(head(k, DistanceSourceToPatient=None) for k in range(3)))
    volume = read_volume(folder)
    write_stored_volume(tmp_path / "v.nii.gz", volume.hu, volume.affine)
    (a, *_), _ = clinical_slices(folder, which="3")
    (b, *_), notes = clinical_slices(tmp_path / "v.nii.gz", which="3")
    np.testing.assert_array_equal(a.mu, b.mu)
    assert a.geometry.shape == b.geometry.shape
    assert "taken for HU" in notes[0]
    write_stored_volume(tmp_path / "mu.nii.gz", volume.hu / 1000 + 1, volume.affine)
    with pytest.raises(InputError, match="not HU with air around"):
        clinical_slices(tmp_path / "mu.nii.gz")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--slice", "1"], "give it with --from-dicom"),
        (["--from-dicom", "series", "--phantom", "head"], "drop --phantom"),
        (["--from-dicom", "series", "--size", "64"], "drop --size"),
        (["--from-dicom", "absent"], "no file or folder"),
        (["--from-dicom", "series", "--photons", "nan"], "photons"),
    ],
)
def test_refused(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "series", head(0))
    result = CliRunner().invoke(cli, ["simulate", *words])
    assert result.exit_code == 2, result.output
    assert said in result.output
    assert [p.name for p in tmp_path.iterdir()] == ["series"]
