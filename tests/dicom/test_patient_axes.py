"""A ball at the patient's right, one in front, one towards the head: where they are, for each way to lie."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from axes_scan import BALLS, POSITIONS, cosines, protocol
from click.testing import CliRunner
from dicom_series import errors_of, need
from pydicom import dcmread

from ctrecon.cli.main import cli
from ctrecon.dicom.raw.patient_axes import PatientAxes
from ctrecon.dicom.raw.projections import read_projections
from ctrecon.dicom.raw.synthesise import SLOPE, Protocol, axes_phantom, synthesise
from ctrecon.dicom.series.ct_image import comments
from ctrecon.errors import InputError, SettingError
from ctrecon.io.arrays import read_scan
from ctrecon.measurement import terms
from ctrecon.measurement.patient_position import position_of

itk: Any = SimpleITK


def mean_at(read: Any, point: tuple[float, float, float], radius_mm: float = 8.0) -> float:
    """The mean of an image about a point of the patient's coordinates, in its plane; NaN outside of the image."""
    found = []
    for dx in np.arange(-radius_mm, radius_mm + 1, 4.0):
        for dy in np.arange(-radius_mm, radius_mm + 1, 4.0):
            index = read.TransformPhysicalPointToIndex((point[0] + dx, point[1] + dy, point[2]))
            if np.hypot(dx, dy) <= radius_mm and all(0 <= i < n for i, n in zip(index, read.GetSize(), strict=True)):
                found.append(read.GetPixel(*index))
    return float(np.mean(found)) if found else np.nan


def found_where_they_are(read: Any) -> bool:
    """Each ball at its place with its HU, and water at the mirror images of these places."""
    for at, hu in BALLS.values():
        mirrored = tuple(-c for c in at)
        if not abs(mean_at(read, at) - hu) < 70 or not abs(mean_at(read, mirrored)) < 70:  # type: ignore[arg-type]
            return False
    return True


def read_by_itk(series: Path) -> Any:
    reader = itk.ImageSeriesReader()
    names = [reader.GetGDCMSeriesFileNames(str(series), uid) for uid in reader.GetGDCMSeriesIDs(str(series))]
    reader.SetFileNames(next(found for found in names if len(found) == 3))
    return reader.Execute()


def test_the_oracle_has_the_eight_frames_of_the_standard() -> None:
    frames = {position: cosines(position) for position in POSITIONS}
    for frame in frames.values():
        np.testing.assert_allclose(frame @ frame.T, np.eye(3))
        assert np.linalg.det(frame) == pytest.approx(1), "left x back = head"
    assert len({frame.tobytes() for frame in frames.values()}) == 8
    # What everybody knows: on the back, head first, the left is at the right of who stands at the feet.
    np.testing.assert_allclose(frames["HFS"], [[1, 0, 0], [0, -1, 0], [0, 0, -1]])
    assert POSITIONS == terms.POSITIONS


@pytest.mark.parametrize("position", POSITIONS)
def test_the_raw_data_show_the_balls_where_the_standard_has_them(position: str, tmp_path: Path) -> None:
    """A second way: cells are put into the room by the format's equations, the balls by the oracle."""
    one = dataclasses.replace(protocol(position), flying="FFSNONE", turns=1.0, per_turn=7, feed_mm=3.0, first_z_mm=-4.0)
    synthesise(tmp_path / "raw", axes_phantom(), one)
    scan = read_projections(tmp_path / "raw")
    frame, shown = cosines(position), 0
    for k, name in enumerate(sorted(path.name for path in (tmp_path / "raw").iterdir())):
        (phi, z), rho, d0 = one.position(k), one.source_to_axis_mm, one.source_to_detector_mm
        stored = dcmread(tmp_path / "raw" / name).pixel_array.astype(float) * SLOPE
        for at, hu in BALLS.values():
            ball = np.array(at) @ frame
            spot = np.array([-rho * np.sin(phi), rho * np.cos(phi), z])
            aim = ball - spot
            # phi + g is the direction of the cell as seen from the focal spot.
            g = np.angle(np.exp(1j * (np.arctan2(aim[0], -aim[1]) - phi)))
            column = one.centre[0] - 1 + g * d0 / one.column_pitch_mm
            row = one.centre[1] - 1 - aim[2] * d0 / np.hypot(aim[0], aim[1]) / one.row_pitch_mm
            if not (1 <= round(row) <= one.rows - 2):
                continue
            # What the ball adds beyond water, at its shadow's middle and at the mirror image of that.
            bare = water_only(np.array([column]), one)
            added = stored[round(column), round(row)] - 0.5 - bare
            assert added > 0.5 * hu / 1000 * 0.0192 * 30, (position, k, at)
            shown += 1
    assert shown > 7
    # And the reader turns angles and heights so that the focal spot stands where the patient sees it.
    spots = np.array([[-rho * np.sin(p), rho * np.cos(p), z] for p, z in map(one.position, range(7))]) @ frame.T
    read = np.stack([rho * np.sin(scan.angle_rad), -rho * np.cos(scan.angle_rad), scan.z_mm], axis=1)
    np.testing.assert_allclose(read, spots, atol=1e-3)


def water_only(columns: Any, one: Protocol) -> Any:
    g = (columns + 1 - one.centre[0]) * one.column_pitch_mm / one.source_to_detector_mm
    return 2 * 0.0192 * np.sqrt(np.maximum(100.0**2 - (one.source_to_axis_mm * np.sin(g)) ** 2, 0))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("position", POSITIONS)
def test_simpleitk_finds_right_front_and_head(position: str, axes_series: dict[str, Path]) -> None:
    read = read_by_itk(axes_series[position])
    assert found_where_they_are(read)
    first, last = (dcmread(axes_series[position] / f"ct-000{k}.dcm") for k in (1, 3))
    assert first.PatientPosition == position
    assert first.ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert first.ImagePositionPatient[2] < last.ImagePositionPatient[2]
    # What is not certain stands in the images.
    assert f"the patient lay {position}, as the files say" in first.ImageComments
    assert ("never compared" in first.ImageComments) == (position != "FFS")
    assert errors_of(axes_series[position] / "ct-0001.dcm") == []


def test_a_mirrored_or_exchanged_series_would_be_noticed(axes_series: dict[str, Path]) -> None:
    read = read_by_itk(axes_series["FFDL"])
    for axis in range(3):
        array = np.flip(itk.GetArrayFromImage(read), 2 - axis)
        wrong = itk.GetImageFromArray(array)
        wrong.CopyInformation(read)
        assert not found_where_they_are(wrong)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("position", POSITIONS)
def test_dcm2niix_finds_right_front_and_head(position: str, axes_series: dict[str, Path], tmp_path: Path) -> None:
    tool = need("dcm2niix")
    words = [tool, "-z", "n", "-f", "%s", "-o", tmp_path, axes_series[position]]
    subprocess.run(words, check=True, capture_output=True)
    assert found_where_they_are(itk.ReadImage(str(tmp_path / "9001.nii")))


def test_wrong_axes_of_the_same_raw_data_put_the_balls_elsewhere(
    axes_series: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken case of the law above: another position's axes give other numbers, all of them."""
    folder = axes_series["HFDR"].parent / "raw-HFDR"
    right = read_projections(folder)
    for position in ("HFDR", "HFS", "FFP", "HFP"):
        monkeypatch.setattr("ctrecon.dicom.raw.projections.position_of", lambda *_, found=position: found)
        other = read_projections(folder)
        same = np.allclose(np.exp(1j * other.angle_rad), np.exp(1j * right.angle_rad)) and np.allclose(
            other.z_mm, right.z_mm
        )
        assert same == (position == "HFDR")
        assert PatientAxes(position).ends == (-1 if position[0] == "H" else 1)


def run(*words: object) -> Any:
    return CliRunner().invoke(cli, [str(word) for word in words], catch_exceptions=False)


@pytest.mark.parametrize(("stated", "said"), [(None, "PatientPosition is missing"), ("SITTING", "'SITTING', which is")])
def test_an_unknown_position_is_refused_unless_it_is_given(stated: str | None, said: str, tmp_path: Path) -> None:
    few = Protocol(rows=2, columns=16, column_pitch_mm=59.0, per_turn=12, turns=1.2, feed_mm=1.0)
    synthesise(tmp_path / "raw", axes_phantom(), few)
    for path in (tmp_path / "raw").iterdir():
        one = dcmread(path)
        one.PatientPosition = stated
        one.save_as(path)
    raw, out = tmp_path / "raw", tmp_path / "out"
    for words in (("rebin", raw, "-o", out), ("info", raw), ("reconstruct", raw, "-o", f"{out}/", "--all-slices")):
        done = run(*words)
        assert done.exit_code == 2, words
        lines = done.output.strip().splitlines()
        assert len(lines) == 1
        assert said in lines[0]
        assert "give --patient-position" in lines[0]
        assert not out.exists()
    done = run("rebin", raw, "-o", out, "--z", 33.8, "--patient-position", "HFDL")
    assert done.exit_code == 0, done.output
    scan = read_scan(out / "slice_0001.npz")
    assert scan.patient_position == "HFDL"
    assert "as --patient-position says" in "".join(scan.notes)
    assert read_scan(raw, patient_position="HFDL").patient_position == "HFDL"


def test_a_position_that_contradicts_the_scan_is_refused() -> None:
    assert position_of("s", " ffs ") == position_of("s", "", "FFS") == position_of("s", "FFS", "FFS") == "FFS"
    with pytest.raises(SettingError, match="PatientPosition is HFS, --patient-position FFS"):
        position_of("s", "HFS", "FFS")
    with pytest.raises(SettingError, match="must be one of HFS"):
        position_of("s", "HFS", "hfs")
    with pytest.raises(InputError, match="is missing"):
        position_of("s", "")


def test_comments_hold_what_fits() -> None:
    said = comments(["a\tnote \x1b[31m", *("x" * 900 for _ in range(20))])
    assert "Assumed: a note ?[31m" in said
    assert len(said) <= 10240
    assert said.endswith("10 more assumptions stand in the report.")
