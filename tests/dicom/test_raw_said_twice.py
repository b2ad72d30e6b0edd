"""What a raw scan's standard attributes say of what its private ones state: where both cannot be true, it is said."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydicom
import pytest

from ctrecon.dicom.raw import ct_pd_tags as tags
from ctrecon.dicom.raw.ct_pd_bounds import PUBLIC
from ctrecon.dicom.raw.ct_pd_kind import KIND
from ctrecon.dicom.raw.ct_pd_stated import STATED
from ctrecon.dicom.raw.projections import read_projections
from ctrecon.dicom.raw.synthesise import Protocol, synthesise, water_phantom
from ctrecon.errors import InputError

HELIX = Protocol(rows=4, columns=16, column_pitch_mm=59.0, per_turn=24, turns=0.1251, feed_mm=2.0)
CIRCLE = Protocol(rows=4, columns=16, column_pitch_mm=59.0, per_turn=24, turns=0.1251, feed_mm=0.0)
TRUE: dict[str, Any] = {
    "DistanceSourceToDetector": 1085.6, "DistanceSourceToPatient": 595, "TableHeight": 150, "TableFeedPerRotation": 2.0,
    "TableSpeed": 4.0, "RevolutionTime": 0.5, "TotalCollimationWidth": 2.4, "DataCollectionDiameter": 500,
    "RotationDirection": "CC", "AcquisitionType": "SPIRAL", "ScanOptions": "HELICAL MODE", "DeviceSerialNumber": "7",
    "ManufacturerModelName": "M", "LossyImageCompression": "00", "StudyDate": "20240131", "AcquisitionDate": "20240201",
    "PatientBirthDate": "19500101", "KVP": 120, "GantryDetectorTilt": 0, "GantryDetectorSlew": 0, "Modality": "CT",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "RescaleType": "US", "PhotometricInterpretation": "MONOCHROME2",
    "BitsStored": 16, "HighBit": 15, "PixelPaddingValue": 65535, "PixelPaddingRangeLimit": 65534,
}  # fmt: skip
"""Of ``HELIX``: everything that can be stated twice, and fits."""

# Another value in all files, which nothing else in them shows to be wrong.
FREE = {"TableHeight", "ManufacturerModelName", "DeviceSerialNumber", "PixelPaddingRangeLimit"}
WRONG: dict[str, tuple[Any, ...]] = {
    "DistanceSourceToDetector": (1000, 1100, 1086e1, 0, -1085.6, "NaN"),
    "DistanceSourceToPatient": (600, 541, 59.5, 0), "TableHeight": (15000, "NaN"),
    "TableFeedPerRotation": (2.05, 4.0, 0.2, 0, -2), "TableSpeed": (8.0, -4.0), "RevolutionTime": (0.28, 1.0, 0.0),
    "TotalCollimationWidth": (24.0, 1.2, 0.0), "DataCollectionDiameter": (50, 1000, 0),
    "RotationDirection": ("CW", "LEFT"), "AcquisitionType": ("SEQUENCED", "CONSTANT_ANGLE"),
    "ScanOptions": ("AXIAL MODE", "SCOUT MODE"), "LossyImageCompression": ("01",), "StudyDate": ("20240302", "NEVER"),
    "AcquisitionDate": ("20231231", "19490101"), "PatientBirthDate": ("20250101",), "KVP": (60, 700),
    "GantryDetectorTilt": (12,), "GantryDetectorSlew": (-12,), "Modality": ("MR",),
    "ImageType": (["ORIGINAL", "PRIMARY", "LOCALIZER"],), "RescaleType": ("HU",),
    "PhotometricInterpretation": ("RGB",), "BitsStored": (17, 0), "HighBit": (14,),
}  # fmt: skip


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("twice")
    for name, protocol in (("helix", HELIX), ("circle", CIRCLE)):
        synthesise(place / name, water_phantom(), protocol)
    return {name: place / name for name in ("helix", "circle")}


def said(scan: Path, place: Path, facts: Mapping[str, Any], only: str = "") -> str:
    """The notes on a scan that states ``facts`` besides (in the file ``only``, or in all), or why it is refused."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for path in scan.iterdir():
        ds = pydicom.dcmread(path)
        for keyword, value in {**TRUE, **(facts if only in ("", path.name) else {})}.items():
            with pydicom.config.disable_value_validation():
                vr = pydicom.datadict.dictionary_VR(keyword).split(" ")[0]
                ds.add_new(pydicom.datadict.tag_for_keyword(keyword), vr, str(value) if vr == "DS" else value)
        ds.save_as(place / path.name)
    try:
        return "\n".join(read_projections(place).notes)
    except InputError as why:
        return str(why)


def test_everything_that_can_be_stated_twice_is_tried(scans: dict[str, Path], tmp_path: Path) -> None:
    assert {*STATED, *KIND, *PUBLIC} - {*TRUE} == {"XRayTubeCurrent", "SpiralPitchFactor", "ModalityLUTSequence"}
    assert {*TRUE} - {*WRONG} == FREE - {"TableHeight"} | {"PixelPaddingValue"}
    assert said(scans["helix"], tmp_path / "raw", {}) == ""


@pytest.mark.parametrize("keyword", WRONG)
def test_what_contradicts_the_geometry_is_refused_or_named(
    keyword: str, scans: dict[str, Path], tmp_path: Path
) -> None:
    for value in WRONG[keyword]:
        found = said(scans["helix"], tmp_path / "raw", {keyword: value})
        assert keyword in found, (value, found)
        if "Date" in keyword:
            assert str(value) not in found
    found = said(scans["helix"], tmp_path / "raw", {keyword: WRONG[keyword][0]}, "projection_000002.dcm")
    assert keyword in found or ("BirthDate" in keyword and "of the same patient" in found), found


def test_a_circle_has_no_feed_and_the_same_words(scans: dict[str, Path], tmp_path: Path) -> None:
    fits = {"AcquisitionType": "SEQUENCED", "ScanOptions": "AXIAL MODE", "TableFeedPerRotation": 40}
    assert said(scans["circle"], tmp_path / "raw", fits) == ""
    assert "AcquisitionType" in said(scans["circle"], tmp_path / "raw", {**fits, "AcquisitionType": "SPIRAL"})
    assert "ScanOptions" in said(scans["circle"], tmp_path / "raw", {**fits, "ScanOptions": "HELIX\\HELICAL MODE"})


def test_two_scanners_in_one_folder_are_refused(scans: dict[str, Path], tmp_path: Path) -> None:
    for keyword, value in {"DeviceSerialNumber": "SN-88", "ManufacturerModelName": "N", "TableHeight": 170}.items():
        found = said(scans["helix"], tmp_path / "raw", {keyword: value}, "projection_000002.dcm")
        assert keyword in found
        assert "mixes scans" in found
        assert "SN-88" not in found
    sags = {"TableHeight": 151.5, "AcquisitionDate": "20240202"}
    assert said(scans["helix"], tmp_path / "raw", sags, "projection_000002.dcm") == ""


def test_pixels_that_the_header_does_not_allow_are_refused(scans: dict[str, Path], tmp_path: Path) -> None:
    for facts in (
        {"BitsStored": 12, "HighBit": 11}, {"BitsStored": 15, "HighBit": 14, "PixelRepresentation": 1},
        {"PixelPaddingValue": 2500, "PixelPaddingRangeLimit": 0},
    ):  # fmt: skip
        assert said(scans["helix"], tmp_path / "raw", facts) == ""
        with pytest.raises(InputError, match=r"BitsStored|PixelPaddingValue"):
            read_projections(tmp_path / "raw").view(0)
    said(scans["helix"], tmp_path / "raw", {"BitsStored": 15, "HighBit": 14})
    assert read_projections(tmp_path / "raw").view(0)[0].max() > 3


def test_shifts_of_the_focal_spot_go_with_its_mode(scans: dict[str, Path], tmp_path: Path) -> None:
    for mode, shift in ((b"FFSXY ", tags.ANGLE_SHIFT), (b"FFSZ", tags.Z_SHIFT)):
        shutil.copytree(scans["helix"], tmp_path / mode.decode().strip())
        for path in (folder := tmp_path / mode.decode().strip()).iterdir():
            ds = pydicom.dcmread(path)
            ds[tags.FLYING.number].value = mode
            ds.save_as(path)
        assert [note for note in read_projections(folder).notes if str(shift) in note]
