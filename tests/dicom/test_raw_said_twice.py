"""What a raw scan's standard attributes say of what its private ones state: where both cannot be true, it is said."""

from __future__ import annotations

import math
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset
from raw_facts import TRUE, coded, state

from ctrecon.dicom.raw import ct_pd_tags as tags
from ctrecon.dicom.raw.ct_pd_bounds import PUBLIC
from ctrecon.dicom.raw.ct_pd_kind import KIND
from ctrecon.dicom.raw.ct_pd_stated import STATED
from ctrecon.dicom.raw.projections import read_projections
from ctrecon.dicom.raw.scan_notes import said_of
from ctrecon.dicom.raw.synthesise import Protocol, synthesise, water_phantom
from ctrecon.errors import InputError

HELIX = Protocol(rows=4, columns=16, column_pitch_mm=59.0, per_turn=24, turns=0.1251, feed_mm=2.0)
CIRCLE = Protocol(rows=4, columns=16, column_pitch_mm=59.0, per_turn=24, turns=0.1251, feed_mm=0.0)

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
    "DistanceSourceToIsocenter": (600.0, 541.0, -595.0, 0.0, math.nan), "SpiralPitchFactor": (0.75, 8.33, 0, -0.8),
    "EstimatedRadiographicMagnificationFactor": (1.84, 1.1, 0.5, 0), "SingleCollimationWidth": (0.64, 6.0, 0.0),
    "ImagerPixelSpacing": ([1.0947, 59], [59.6, 1.0947], [59, 2], [59], [59, 1.0947, 1], [59, -1.0947]),
    "HUCalibrationFactor": (0.0194, 0.0190, 0.0225, 0.2, 0, -0.02, "NaN"),
    "PixelIntensityRelationship": ("LIN",), "PixelIntensityRelationshipSign": (1, 0),
    "PatientOrientationCodeSequence": (
        coded("102538003", "1240000"), coded("F-10450", "F-10317"), coded("", "33586001"),
    ),
    "PatientGantryRelationshipCodeSequence": (coded("102540008"), coded("F-10470"), coded("126830"), [Dataset()]),
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
        state(ds, {**TRUE, **(facts if only in ("", path.name) else {})})
        ds.save_as(place / path.name)
    try:
        return "\n".join(read_projections(place).notes)
    except InputError as why:
        return str(why)


def test_everything_that_can_be_stated_twice_is_tried(scans: dict[str, Path], tmp_path: Path) -> None:
    assert {*STATED, *KIND, *PUBLIC} - {*TRUE} == {"XRayTubeCurrent", "ModalityLUTSequence"}
    assert {*TRUE} - {*WRONG} == FREE - {"TableHeight"} | {"PixelPaddingValue"}
    assert said(scans["helix"], tmp_path / "raw", {}) == ""


@pytest.mark.sampled(11)
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


# Left, back and head of a patient, of x to the right, y up and z out of the gantry as seen from the table: where each
# side of somebody who lies so is.
LIES = {
    "FFS": ((-1, 0, 0), (0, -1, 0), (0, 0, 1)), "FFP": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "FFDR": ((0, 1, 0), (-1, 0, 0), (0, 0, 1)), "FFDL": ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
    "HFS": ((1, 0, 0), (0, -1, 0), (0, 0, -1)), "HFP": ((-1, 0, 0), (0, 1, 0), (0, 0, -1)),
    "HFDR": ((0, 1, 0), (1, 0, 0), (0, 0, -1)), "HFDL": ((0, -1, 0), (-1, 0, 0), (0, 0, -1)),
}  # fmt: skip


def pointing(position: str, *, letters: bool) -> Callable[[Dataset], list[Any]]:
    """Where rows and columns of a stored projection point of somebody who lies so, by the format's frame."""

    def of(ds: Dataset) -> list[Any]:
        [angle] = struct.unpack("<f", ds[tags.ANGLE.number].value)
        # The stored image is on its side: along its rows are the detector's rows, against z.
        both = ((0, 0, -1), (math.cos(angle), math.sin(angle), 0))
        vectors = [[sum(map(math.prod, zip(side, vector, strict=True))) for side in LIES[position]] for vector in both]
        if not letters:
            return [f"{value:.6f}" for vector in vectors for value in vector]
        return ["".join(
            names[value < 0] for value, names in sorted(zip(vector, ("LR", "PA", "HF"), strict=True),
                                                        key=lambda one: -abs(one[0])) if abs(value) > 0.3
        ) for vector in vectors]  # fmt: skip

    return of


def test_where_rows_and_columns_point_goes_with_how_the_patient_lay(scans: dict[str, Path], tmp_path: Path) -> None:
    # Feet for head, and then front for back; a quarter turn is neither, and named.
    for position, others in {"FFS": ("HFS", "FFP", "FFDR"), "HFDL": ("FFDL", "HFDR", "HFP")}.items():
        for keyword in ("PatientOrientation", "ImageOrientationPatient"):
            plain = {"PatientOrientationCodeSequence": None, "PatientGantryRelationshipCodeSequence": None}
            facts = {**plain, "PatientPosition": position, keyword: pointing(position, letters="Image" not in keyword)}
            assert said(scans["helix"], tmp_path / "raw", facts) == ""
            for other, refused in zip(others, (True, True, False), strict=True):
                facts[keyword] = pointing(other, letters="Image" not in keyword)
                found = said(scans["helix"], tmp_path / "raw", facts)
                assert keyword in found, (position, other, found)
                assert f"PatientPosition {position}" in found
                assert ("the opposite" in found) == refused, (position, other, found)


def test_directions_of_other_images_are_named_and_what_is_none_refused(scans: dict[str, Path], tmp_path: Path) -> None:
    for keyword, slices, wrong in (
        ("PatientOrientation", ["L", "P"], (["X", "P"], ["L"], ["L", "P", "H"], ["LR", "P"])),
        ("ImageOrientationPatient", [1, 0, 0, 0, 1, 0], ([1, 0, 0], [0] * 6, ["NaN", 0, 0, 0, 1, 0], [1] * 7)),
    ):
        found = said(scans["helix"], tmp_path / "raw", {keyword: slices})
        assert f"{keyword} is not of these views" in found
        for value in wrong:
            found = said(scans["helix"], tmp_path / "raw", {keyword: value})
            assert f"{keyword} is " in found, (value, found)
            assert "no two directions" in found
        assert said(scans["helix"], tmp_path / "raw", {keyword: []}) == ""


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


def test_water_that_the_first_dictionary_alone_has_is_used_and_that_is_said(
    scans: dict[str, Path], tmp_path: Path
) -> None:
    for value, outcome in ((0.0193, 0.0193), (0.193, "no scanner has"), (0.012, "KVP 120"), (None, None)):
        shutil.rmtree(folder := tmp_path / "raw", ignore_errors=True)
        shutil.copytree(scans["helix"], folder)
        for path in folder.iterdir():
            ds = pydicom.dcmread(path)
            del ds[tags.WATER.number]
            state(ds, {"KVP": 120, **({} if value is None else {"HUCalibrationFactor": value})})
            ds.save_as(path)
        if isinstance(outcome, str):
            with pytest.raises(InputError, match=rf"HUCalibrationFactor is {value}.*{outcome}"):
                read_projections(folder)
            continue
        scan = read_projections(folder)
        assert scan.common.water_mu_per_mm == outcome
        assert ("in (0018,0061) HUCalibrationFactor" in "".join(said_of(scan, counted=True))) == (outcome is not None)


def test_a_note_says_what_was_used_instead(scans: dict[str, Path], tmp_path: Path) -> None:
    """Of each kind of pair, since what was used differs: a number, an angle, a position, and nothing."""
    for keyword, used in (
        ("DistanceSourceToIsocenter", ", which was used"), ("RotationDirection", "so the angles were used"),
        ("PatientOrientationCodeSequence", "PatientPosition FFS was used"), ("LossyImageCompression", "accounts for"),
    ):  # fmt: skip
        value = {"DistanceSourceToIsocenter": 600.0, "PatientOrientationCodeSequence": coded("", "33586001")}
        notes = said(scans["helix"], tmp_path / "s", {keyword: value.get(keyword, WRONG[keyword][0])})
        [note] = [line for line in notes.splitlines() if keyword in line]
        assert used in note
        assert "private" not in note
