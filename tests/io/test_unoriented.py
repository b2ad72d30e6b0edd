"""Which way a volume lies: the patient's axes where the scan says how the patient lay, else the format's "unknown"."""

from __future__ import annotations

import gzip
import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from axes_scan import BALLS, POSITIONS
from click.testing import CliRunner
from stacks import QUICK, npy_stack

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.errors import OutputError
from ctrecon.io.arrays import read_scan
from ctrecon.io.nifti import read_stored_volume, write_stored_volume
from ctrecon.io.volume_names import VOLUME_SUFFIXES
from ctrecon.io.write import write_scan

itk: Any = SimpleITK
VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
AFFINE = np.array([[1.5, 0, 0, -10], [0, 2.0, 0, -20], [0, 0, 3.0, 30], [0, 0, 0, 1]])


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
@pytest.mark.parametrize("oriented", [True, False])
def test_a_volume_says_which_way_it_lies_or_that_nobody_knows(suffix: str, oriented: bool, tmp_path: Path) -> None:
    path = tmp_path / f"v{suffix}"
    write_stored_volume(path, VALUES, AFFINE, oriented=oriented)
    raw = gzip.decompress(path.read_bytes()) if suffix == ".nii.gz" else path.read_bytes()
    if suffix.startswith(".nii"):
        assert struct.unpack_from("<2h", raw, 252) == ((1, 1) if oriented else (0, 0))
        assert any(raw[256:328]) == oriented
    else:
        assert (b"AnatomicalOrientation = RAI" in raw or b"left-posterior-superior" in raw) == oriented
        assert (b"AnatomicalOrientation = ???" in raw or b"space dimension: 3" in raw) != oriented
    image, back = itk.ReadImage(str(path)), read_stored_volume(path)
    np.testing.assert_array_equal(itk.GetArrayFromImage(image), VALUES)
    np.testing.assert_array_equal(back.values, VALUES)
    assert image.GetSpacing() == (1.5, 2.0, 3.0)
    assert back.oriented == oriented
    kept = oriented or not suffix.startswith(".nii")  # NIfTI without codes has no place for an origin
    assert image.GetOrigin() == ((-10, -20, 30) if kept else (0, 0, 0))
    # The same volume is the same bytes, and nothing else is left lying about.
    first = path.read_bytes()
    write_stored_volume(path, VALUES, AFFINE, oriented=oriented)
    assert path.read_bytes() == first
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_turned_volume_is_not_written_as_if_it_were_not(tmp_path: Path) -> None:
    turned = AFFINE @ np.diag([-1.0, 1, 1, 1])
    with pytest.raises(OutputError, match="diagonal"):
        write_stored_volume(tmp_path / "v.nii", VALUES, turned, oriented=False)
    assert not list(tmp_path.iterdir())


def mean_near(image: Any, x: float, y: float) -> float:
    array = itk.GetArrayFromImage(image)[0]
    column, row, _ = image.TransformPhysicalPointToIndex((x, y, 0.0))
    return float(array[row - 1 : row + 2, column - 1 : column + 2].mean())


@pytest.mark.sampled(3)
@pytest.mark.parametrize("position", POSITIONS)
def test_itk_finds_right_and_front_in_the_volume_of_each_position(
    position: str, axes_series: dict[str, Path], tmp_path: Path
) -> None:
    scan = read_scan(axes_series[position].parent / f"raw-{position}", z_mm=0.0)
    made = ct.reconstruct(scan, method="fbp", window="ram-lak", delta=50, size=48, pixel_mm=4.5)
    for suffix in (".nii", ".mha", ".nrrd"):
        written = made.save(tmp_path / f"{position}{suffix}", preview=False, overwrite=True)
        image = itk.ReadImage(str(written["volume"]))
        for (x, y, z), hu in (BALLS["right"], BALLS["front"]):
            assert z == 0
            assert mean_near(image, x, y) == pytest.approx(hu, abs=90)
            assert mean_near(image, -x, -y) == pytest.approx(0, abs=90)
        mirrored = itk.Flip(image, [True, True, False])
        mirrored.CopyInformation(image)
        assert abs(mean_near(mirrored, *BALLS["right"][0][:2])) < 90, "a mirrored one would be seen"


@pytest.mark.sampled(6)
@pytest.mark.parametrize(("stated", "said"), [
    ("none", "is of no patient: letters such as L and R mean nothing"),
    ("", "nobody says how the patient lay; give --patient-position (HFS, "), ("FFP", ""),
])  # fmt: skip
@pytest.mark.parametrize("name", ["v.nii.gz", "v.mha", "v.nrrd", "all.nii.gz"])
def test_what_was_not_said_is_said_in_one_line(stated: str, said: str, name: str, tmp_path: Path) -> None:
    if name.startswith("all"):
        path = npy_stack(tmp_path, rows=2)
        beside = path.with_suffix(".json")
        beside.write_text(json.dumps(json.loads(beside.read_text()) | {"scan": {"patient_position": stated}}))
        words = ["reconstruct", str(path), *QUICK.split(), "--all-slices"]
    else:
        path = tmp_path / "s.npz"
        write_scan(path, replace(ct.simulate("ellipses", size=16, views=12).scan, patient_position=stated))
        words = ["reconstruct", str(path), "--method", "cgls", "--delta", "10%", "--no-preview"]
    done = CliRunner().invoke(cli, [*words, "-o", str(tmp_path / name)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert done.output.count("states no orientation") == bool(said)
    assert said in done.output
    assert read_stored_volume(tmp_path / name).oriented == (not said)
    if stated == "":
        words += ["--patient-position", "HFS", "--overwrite"]
        done = CliRunner().invoke(cli, [*words, "-o", str(tmp_path / name)], catch_exceptions=False)
        assert read_stored_volume(tmp_path / name).oriented, done.output
