"""A CT series out: valid DICOM that other programs read as the same voxels at the same places."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
import SimpleITK
from dicom_series import GIVEN, GRID, Z_MM, dicom_files, errors_of, letter, need, results, write
from pydicom import dcmread

from ctrecon.dicom.common.hounsfield import hounsfield
from ctrecon.dicom.common.uids import uid_of
from ctrecon.dicom.series.study import study_of
from ctrecon.errors import InputError, OutputError, SettingError
from ctrecon.outputs.series import SeriesTarget

itk: Any = SimpleITK


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("dicom") / "series")


@pytest.fixture(scope="module")
def volume(series: Path) -> np.ndarray:
    """HU ``[slices, rows, columns]`` straight from the certified arrays."""
    certified = [np.load(series / "certificates" / f"slice-{k:04d}.npy") for k in (1, 2, 3)]
    return hounsfield(np.stack(certified), 0.02)


def test_the_image_is_upright_and_in_hounsfield_units(volume: np.ndarray) -> None:
    for k, hu in enumerate(volume):
        truth = hounsfield(letter(k), 0.02)
        error = float(np.abs(hu - truth).mean())
        wrong = [truth[::-1], truth[:, ::-1], truth[::-1, ::-1], truth + 1000, truth * 2]
        assert error < 120
        assert all(float(np.abs(hu - other).mean()) > 2 * error for other in wrong)


def test_every_file_is_valid(series: Path) -> None:
    files = dicom_files(series)
    assert [path.name for path in files] == [
        "certificate-0001.dcm", "certificate-0002.dcm", "certificate-0003.dcm",
        "ct-0001.dcm", "ct-0002.dcm", "ct-0003.dcm", "manifest.dcm", "report-pdf.dcm", "report.dcm", "residual.dcm",
    ]  # fmt: skip
    assert {path.name: errors_of(path) for path in files if errors_of(path)} == {}


def test_dciodvfy_would_see_an_error(series: Path, tmp_path: Path) -> None:
    broken = dcmread(series / "ct-0001.dcm")
    del broken.ImagePositionPatient
    broken.save_as(tmp_path / "broken.dcm")
    assert errors_of(tmp_path / "broken.dcm")


def test_the_files_agree_with_each_other(series: Path, tmp_path: Path) -> None:
    tool = need("dcentvfy")

    def complaints(*files: Path) -> list[str]:
        ran = subprocess.run([tool, *files], capture_output=True, text=True, check=False)
        lines = (ran.stdout + ran.stderr).splitlines()
        # Its own tables put this attribute at different levels of images and of reports, whatever the value.
        return [line for line in lines if line.strip() and "Different information entities" not in line]

    assert complaints(*dicom_files(series)) == []
    other = dcmread(series / "ct-0002.dcm")
    other.PatientName = "Another^One"
    other.save_as(tmp_path / "other.dcm")
    assert complaints(series / "ct-0001.dcm", tmp_path / "other.dcm")


def test_simpleitk_reads_the_same(series: Path, volume: np.ndarray) -> None:
    reader = itk.ImageSeriesReader()
    names = [reader.GetGDCMSeriesFileNames(str(series), uid) for uid in reader.GetGDCMSeriesIDs(str(series))]
    reader.SetFileNames(next(found for found in names if len(found) == 3))
    read = reader.Execute()
    np.testing.assert_allclose(itk.GetArrayFromImage(read), volume, rtol=0, atol=1e-3)
    np.testing.assert_allclose(read.GetSpacing(), (GRID.pixel_mm, GRID.pixel_mm, 2.5), rtol=1e-12)
    np.testing.assert_allclose(read.GetOrigin(), (GRID.x_mm[0], -GRID.y_mm[0], Z_MM[0]), rtol=1e-12)
    assert read.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    # The middle of the image, on the axis of rotation, is the origin of the patient's coordinates.
    middle = read.TransformContinuousIndexToPhysicalPoint(((GRID.columns - 1) / 2, (GRID.rows - 1) / 2, 0))
    np.testing.assert_allclose(middle, (0, 0, Z_MM[0]), atol=1e-9)


def test_highdicom_reads_the_same(series: Path, volume: np.ndarray) -> None:
    read = highdicom.get_volume_from_series([dcmread(series / f"ct-{k:04d}.dcm") for k in (3, 1, 2)])
    where = read.affine @ np.array([0, 0, 0, 1.0])
    upward = volume if np.isclose(where[2], Z_MM[0]) else volume[::-1]
    np.testing.assert_allclose(read.array, upward, rtol=0, atol=1e-9)
    np.testing.assert_allclose(read.spacing, (2.5, GRID.pixel_mm, GRID.pixel_mm), rtol=1e-12)
    np.testing.assert_allclose(where[:2], (GRID.x_mm[0], -GRID.y_mm[0]), rtol=1e-12)
    column_step = read.affine @ np.array([0, 0, 1.0, 0])
    np.testing.assert_allclose(column_step, (GRID.pixel_mm, 0, 0, 0), atol=1e-12)


def test_dcm2niix_reads_the_same(series: Path, volume: np.ndarray, tmp_path: Path) -> None:
    tool = need("dcm2niix")
    subprocess.run([tool, "-z", "n", "-f", "%s", "-o", tmp_path, series], check=True, capture_output=True)
    read = itk.ReadImage(str(tmp_path / "9001.nii"))
    # NIfTI files count rows from the back to the front; as an ITK image both stand at the same points.
    for index in ((14, 31, 0), (39, 28, 1), (30, 5, 2), (0, 0, 0)):
        x, y, z = read.TransformIndexToPhysicalPoint(index)
        column, row = x / GRID.pixel_mm + (GRID.columns - 1) / 2, y / GRID.pixel_mm + (GRID.rows - 1) / 2
        k = Z_MM.index(round(z, 4))
        np.testing.assert_allclose((column, row), np.rint((column, row)), atol=1e-3)
        assert read.GetPixel(*index) == pytest.approx(volume[k, round(row), round(column)], abs=0.05)
    np.testing.assert_allclose(read.GetSpacing(), (GRID.pixel_mm, GRID.pixel_mm, 2.5), rtol=1e-5)
    sidecar = json.loads((tmp_path / "9001.json").read_text())
    assert sidecar["Modality"] == "CT"
    assert "PatientPosition" not in sidecar, "nobody said how the patient lay"
    assert "is of no patient, but of a phantom" in dcmread(series / "ct-0001.dcm").ImageComments


def test_it_says_that_it_is_research_and_who_the_patient_is(series: Path) -> None:
    for path in dicom_files(series):
        ds = dcmread(path)
        assert ds.SeriesDescription.startswith("RESEARCH ")
        assert str(ds.PatientName) == GIVEN["PatientName"]
        assert (ds.PatientID, ds.StudyDescription, ds.StudyDate) == ("P-17", "Kopf <nativ>", "20240229")
        assert len({dcmread(other).StudyInstanceUID for other in dicom_files(series)}) == 1
    image = dcmread(series / "ct-0001.dcm")
    assert "not for diagnostic use" in image.ImageComments
    assert "not for diagnostic use" in image.DerivationDescription
    assert "Certified for the stored pixels" in image.DerivationDescription


@pytest.mark.long
def test_the_same_input_gives_the_same_bytes(series: Path, tmp_path: Path) -> None:
    again = write(tmp_path / "again")
    assert [path.read_bytes() for path in dicom_files(again)] == [path.read_bytes() for path in dicom_files(series)]
    other = write(tmp_path / "other", study=study_of(None, {**GIVEN, "PatientID": "P-18"}))
    uids = {dcmread(path).SOPInstanceUID for folder in (series, other) for path in dicom_files(folder)}
    assert len(uids) == 20


def test_uids_are_valid_and_keep_parts_apart() -> None:
    uids = [uid_of("ab", "c"), uid_of("a", "bc"), uid_of("abc"), uid_of("abc", ""), uid_of("ä")]
    assert len(set(uids)) == len(uids)
    assert all(uid.is_valid and uid.startswith("2.25.") and len(uid) <= 44 for uid in uids)
    assert uid_of("ab", "c") == uids[0]


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = write(tmp_path / "series", slices=2)
    before = {path.name for path in folder.iterdir()}
    with pytest.raises(OutputError, match="not empty"):
        write(folder, slices=1)
    assert {path.name for path in folder.iterdir()} == before
    write(folder, slices=1, overwrite=True)
    assert {path.name for path in folder.iterdir()} == before - {"ct-0002.dcm", "certificate-0002.dcm"}
    left = sorted(path.name for path in (folder / "certificates").glob("*.json"))
    assert left == ["slice-0001.certificate.json", "slice-0001.history.json"]
    (folder / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match=r"'thesis\.tex'"):
        write(folder, slices=1, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == {"series"}


def test_nothing_is_left_of_a_series_that_cannot_be_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ctrecon.certificates.feasible import FeasibleCertificate

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FeasibleCertificate, "write", full)
    with pytest.raises(OutputError, match="disk is full"):
        write(tmp_path / "series", slices=1)
    assert list(tmp_path.iterdir()) == []


def test_slices_that_make_no_series_are_refused(tmp_path: Path) -> None:
    (result,) = results(1)
    target = SeriesTarget(folder=tmp_path / "s", study=study_of(None, {}))
    with pytest.raises(InputError, match="two slices stand at z = 1 mm"):
        target.write([result, result], method="cgls", z_mm=[1.0, 1.0])
    with pytest.raises(InputError, match="positions"):
        target.write([result], method="cgls", z_mm=[1.0, 2.0])
    for water_mu in (0.0, -1.0, float("nan")):
        with pytest.raises(SettingError, match="water_mu"):
            SeriesTarget(folder=tmp_path / "s", study=study_of(None, {}), water_mu=water_mu).write(
                [result], method="cgls"
            )
    assert list(tmp_path.iterdir()) == []


def test_water_comes_from_the_scan_unless_it_is_given(tmp_path: Path) -> None:
    (result,) = results(1)
    scan = replace(result.problem.scan, water_mu_per_mm=0.0193)
    calibrated = replace(result, problem=replace(result.problem, scan=scan))
    for water, given, expected in ((None, calibrated, 0.0193), (0.021, calibrated, 0.021), (None, result, 0.02)):
        folder = tmp_path / f"{expected}"
        target = SeriesTarget(folder=folder, study=study_of(None, {}), water_mu=water, pictures=False)
        target.write([given], method="cgls")
        ds = dcmread(folder / "ct-0001.dcm")
        assert ds.private_block(0x71, "CTRECON")[1].value == expected
        hu = ds.pixel_array[12:18, 14:18] * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        assert hu.mean() == pytest.approx((result.image[12:18, 14:18].mean() / expected - 1) * 1000, abs=0.5)
    with pytest.raises(InputError, match="different waters"):
        SeriesTarget(folder=tmp_path / "x", study=study_of(None, {})).write(
            [calibrated, result], method="cgls", z_mm=[0, 1]
        )


def test_what_was_filtered_is_not_called_iterative(tmp_path: Path) -> None:
    for iterative, meaning in ((True, "Iterative Reconstruction"), (False, "Filtered Back Projection")):
        target = SeriesTarget(folder=tmp_path / meaning, study=study_of(None, {}), pictures=False)
        target.write(results(1), method="any", iterative=iterative)
        ds = dcmread(tmp_path / meaning / "ct-0001.dcm")
        assert ds.DerivationCodeSequence[0].CodeMeaning == meaning
        assert errors_of(tmp_path / meaning / "ct-0001.dcm") == []
