"""A series of an image that does not stand about the axis, its pixels not square: it lies where it was scanned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dicom_series
import numpy as np
import pytest
import SimpleITK
from dicom_series import dicom_files, errors_of, letter, reconstruct
from pydicom import dcmread

from ctrecon.dicom.common.private import PIXEL, read_tie
from ctrecon.dicom.deidentify.files import deidentify_folder
from ctrecon.dicom.deidentify.identity import Identity
from ctrecon.dicom.series.series_check import check_series
from ctrecon.dicom.series.study import study_of
from ctrecon.geometry.grid import Grid
from ctrecon.outputs.files import Target
from ctrecon.outputs.series import SeriesTarget

PLACED = Grid(rows=40, columns=56, pixel_mm=(0.9, 0.6000000000000001), centre_mm=(3.2, -4.1))


@pytest.fixture
def series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(dicom_series, "GRID", PLACED)
    made = reconstruct(letter())
    assert made.certified
    target = SeriesTarget(folder=tmp_path / "series", study=study_of(None, dicom_series.GIVEN), pictures=False)
    lying = replace(made, problem=replace(made.problem, scan=replace(made.problem.scan, patient_position="HFS")))
    target.write((lying,), method="cgls", z_mm=(2.5,), thickness_mm=2.5)
    Target(path=tmp_path / "u.npy", volume=tmp_path / "u.nii").write(lying)
    return tmp_path / "series"


def test_it_is_certified_and_lies_where_it_was_scanned(series: Path) -> None:
    assert check_series(series).valid
    slice_ = dcmread(series / "ct-0001.dcm")
    np.testing.assert_allclose([float(side) for side in slice_.PixelSpacing], PLACED.spacing_mm, rtol=1e-12)
    tie = read_tie(slice_)
    assert tie is not None
    assert tie.spacing_mm == PLACED.spacing_mm
    assert errors_of(series / "ct-0001.dcm") == []
    for path in (series / "ct-0001.dcm", series.with_name("u.nii")):
        read = SimpleITK.ReadImage(str(path))  # type: ignore[attr-defined]
        np.testing.assert_allclose(read.GetSpacing()[:2], PLACED.spacing_mm[::-1], rtol=1e-6)
        np.testing.assert_allclose(read.GetOrigin()[:2], (PLACED.x_mm[0], -PLACED.y_mm[0]), atol=1e-4)


def test_it_stays_certified_without_names(series: Path) -> None:
    out = series.with_name("nameless")
    deidentify_folder(series, out, Identity(secret=b"0123456789abcdef"))
    verdict = check_series(out, pixels_only=True)
    assert verdict.valid, verdict


def test_one_that_was_moved_is_refused(series: Path) -> None:
    path = next(path for path in dicom_files(series) if path.name == "ct-0001.dcm")
    original = dcmread(path)
    for name, value in (("PixelSpacing", [0.6, 0.9]), ("ImagePositionPatient", [-16.5, -17.55, 2.5])):
        changed = dcmread(path)
        setattr(changed, name, value)
        changed.save_as(path)
        assert not check_series(series).valid, name
    changed = dcmread(path)
    changed.PixelSpacing, changed.ImagePositionPatient = original.PixelSpacing, original.ImagePositionPatient
    changed.private_block(0x0071, "CTRECON")[PIXEL].value = [0.6000000000000001, 0.9]
    changed.save_as(path)
    assert not check_series(series).valid
