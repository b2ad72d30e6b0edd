"""Raw data that cannot be true: every attribute of the format changed in every way is refused by name, or harmless."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from raw_facts import PRIVATE, changed, stated_everywhere

from ctrecon.dicom.raw import ct_pd_file, projections
from ctrecon.dicom.raw import ct_pd_tags as tags
from ctrecon.dicom.raw import rebin as rebinning
from ctrecon.dicom.raw.ct_pd_kind import KIND
from ctrecon.dicom.raw.ct_pd_lying import DIRECTIONS
from ctrecon.dicom.raw.ct_pd_stated import STATED
from ctrecon.dicom.raw.projections import read_projections
from ctrecon.dicom.raw.rebin import rebin
from ctrecon.dicom.raw.synthesise import Protocol, synthesise, water_phantom
from ctrecon.errors import InputError
from ctrecon.measurement.scan import Scan

PROTOCOL = Protocol(
    rows=4, columns=16, column_pitch_mm=59.0, per_turn=24, turns=1.3, feed_mm=2.0, first_z_mm=-1.3, flying="FFSXYZ",
    photons=1e5,
)
Z_MM, WHICH = 0.0, 12
PUBLIC = (
    "Rows", "Columns", "BitsAllocated", "PixelRepresentation", "SamplesPerPixel", "NumberOfFrames", "RescaleSlope",
    "RescaleIntercept", "InstanceNumber", "StudyInstanceUID", "SeriesInstanceUID", "Manufacturer", "PatientPosition",
    "FrameOfReferenceUID", "KVP", "XRayTubeCurrent", "PatientID", "PatientName",
    "PatientBirthDate", "PatientSex",
)
ALL = tuple(dict.fromkeys((*PRIVATE, *PUBLIC, *KIND, *STATED, *DIRECTIONS)))
CHANGES = ("delete", "zero", "negate", "ten times", "NaN", "text", "inf", "empty", "one more")
# Words of a message that stand for an attribute as well as its name does.
ALSO = {
    "NumberOfFrames": "frames", "SamplesPerPixel": "frames or colours", "BitsAllocated": "bits a pixel",
    "Rows": "its image is", "Columns": "its image is", "NumberofDetectorRows": "its image is",
    "NumberofDetectorColumns": "its image is", "SeriesInstanceUID": "series", "StudyInstanceUID": "study",
    "FrameOfReferenceUID": "frame of reference", "PatientID": "patient", "PatientName": "patient",
    "PatientBirthDate": "patient", "PatientSex": "patient", "Manufacturer": "manufacturer", "KVP": "kvp",
    "SpiralPitchFactor": "pitch", "PatientPosition": "patient position", "PixelRepresentation": "line integrals",
    "FlyingFocalSpotMode": "flying", "SpectrumIndex": "spectrum", "TypeofProjectionData": "kind",
    "WaterAttenuationCoefficient": "water mu", "InstanceNumber": "copy the scan again, whole",
    "NumberofSpectra": "spectra", "NumberofSourceAngularSteps": "per turn",
    **{tag.name: "corrections" for tag in tags.CORRECTIONS},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cannot") / "whole"
    synthesise(folder, water_phantom(), PROTOCOL)
    stated_everywhere(folder)
    return folder


@pytest.fixture
def quick(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of ``whole`` are read once, wherever they are linked from: most of a changed scan is as it was."""
    header, pixels = functools.cache(ct_pd_file.read_header), functools.cache(ct_pd_file.read_projection)

    def original(path: Path) -> bool:
        return path.is_symlink()

    monkeypatch.setattr(
        projections, "read_header", lambda path: (header if original(path) else ct_pd_file.read_header)(path.resolve())
    )
    monkeypatch.setattr(
        projections, "read_projection",
        lambda path, common: (pixels if original(path) else ct_pd_file.read_projection)(path.resolve(), common),
    )


def raw_of(whole: Path, folder: Path, change: Callable[[pydicom.Dataset], None], names: tuple[str, ...]) -> Path:
    """The scan with ``names`` changed, the others linked."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in whole.iterdir():
        if path.name in names:
            dataset = pydicom.dcmread(path)
            change(dataset)
            dataset.save_as(folder / path.name)
        else:
            (folder / path.name).symlink_to(path)
    return folder


def outcome(folder: Path) -> Scan | str:
    """The slice, or why it was refused."""
    try:
        return rebin(read_projections(folder), Z_MM)
    except InputError as why:
        return str(why)


def same(a: Scan, b: Scan) -> bool:
    """Whether the images would be the same, bit for bit, and be called the same."""
    arrays = np.array_equal(a.sinogram, b.sinogram) and np.array_equal(a.variance, b.variance)  # type: ignore[arg-type]
    facts = ("geometry", "water_mu_per_mm", "patient_position", "study", "z_mm")
    return arrays and all(getattr(a, name) == getattr(b, name) for name in facts)


# A message may name the attribute that the change contradicts, where that is as likely wrong.
def names(message: str, name: str) -> bool:
    known = (name, ALSO.get(name, name))
    message = message.lower()
    return any(word.lower() in message or word.lower() in message.replace(" ", "") for word in known)


def judge(found: Scan | str, right: Scan, name: str, how: str, folder: Path) -> str:
    """Empty where the change was refused by name, or does not matter, or is said; else what is wrong."""
    what = f"{name}, {how}: "
    if isinstance(found, str):
        if "\n" in found or not found.startswith(str(folder)):
            return what + f"not one line about the folder: {found}"
        return "" if names(found, name) else what + f"not named: {found}"
    if same(found, right):
        return ""
    # What is only assumed instead is said.
    said = set(found.notes) - set(right.notes)
    return "" if any(names(note, name) for note in said) else what + "taken as true, and nothing said"


@pytest.mark.sampled(2)
@pytest.mark.parametrize("how", CHANGES)
def test_one_file_changed_in_any_attribute_is_refused_or_harmless(
    how: str, whole: Path, tmp_path: Path, quick: None
) -> None:
    right = outcome(whole)
    assert isinstance(right, Scan)
    one = (sorted(path.name for path in whole.iterdir())[WHICH],)
    wrong = [
        judge(outcome(raw_of(whole, tmp_path / "raw", changed(name, how), one)), right, name, how, tmp_path / "raw")
        for name in ALL
    ]
    assert list(filter(None, wrong)) == []


# Nothing but the data themselves can tell these from another scan that is as possible: one that turns or travels the
# other way (a mirror image), or with a focal spot that flies otherwise, or with more photons. A residual may tell.
POSSIBLE = {
    ("DetectorFocalCenterAngularPosition", "negate"), ("DetectorFocalCenterAxialPosition", "negate"),
    ("SourceAngularPositionShift", "negate"), ("SourceAxialPositionShift", "negate"),
    ("SourceRadialDistanceShift", "negate"), ("SourceRadialDistanceShift", "zero"),
    ("PhotonStatistics", "ten times"),
}


ANOTHER = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "SeriesInstanceUID",
    "FrameOfReferenceUID", "InstanceNumber", "StudyDate",
)  # fmt: skip
"""Attributes that, changed in all files alike, are those of another patient, study or series."""


@pytest.mark.long
@pytest.mark.parametrize("how", CHANGES)
def test_all_files_changed_in_any_attribute_are_refused_or_harmless(how: str, whole: Path, tmp_path: Path) -> None:
    right = outcome(whole)
    assert isinstance(right, Scan)
    everything = tuple(path.name for path in whole.iterdir())
    wrong = []
    for name in ALL:
        if (name, how) in POSSIBLE or name in ANOTHER:
            continue
        folder = raw_of(whole, tmp_path / "raw", changed(name, how), everything)
        wrong.append(judge(outcome(folder), right, name, how, folder))
    assert list(filter(None, wrong)) == []


@pytest.mark.parametrize(("tilt", "refused"), [("12", True), ("-0.5", True), ("400", True), ("0", False), ("", False)])
def test_a_tilted_gantry_is_refused_whose_slices_would_stand_askew(
    tilt: str, refused: bool, whole: Path, tmp_path: Path, quick: None
) -> None:
    first = (min(path.name for path in whole.iterdir()),)
    found = outcome(raw_of(whole, tmp_path / "raw", lambda ds: setattr(ds, "GantryDetectorTilt", tilt), first))
    assert isinstance(found, str) == refused
    assert not isinstance(found, str) or "GantryDetectorTilt" in found


def test_bounds_let_real_scanners_through() -> None:
    """Siemens and GE, as the published library has them: nothing is refused."""
    from ctrecon.dicom.raw.ct_pd_bounds import check_detector, check_shift, check_travel

    siemens = {
        "columns": 736, "rows": 64, "column_pitch_mm": 1.2858, "row_pitch_mm": 1.0947, "radius_mm": 595.0,
        "distance_mm": 1085.6, "centre": (369.625, 32.5),
    }  # fmt: skip
    check_detector("s", **siemens)  # type: ignore[arg-type]
    check_shift("s", 3.35e-4, column_pitch_mm=1.2858, distance_mm=1085.6)
    check_travel("s", helical=True, feed_mm=23.0, collimation_mm=64 * 0.6)
    general_electric = {
        "columns": 888, "rows": 64, "column_pitch_mm": 1.0239, "row_pitch_mm": 1.0963, "radius_mm": 541.0,
        "distance_mm": 949.0, "centre": (444.75, 32.5),
    }  # fmt: skip
    check_detector("s", **general_electric)  # type: ignore[arg-type]
    check_travel("s", helical=True, feed_mm=39.4, collimation_mm=40.0)


def test_two_patients_series_or_frames_in_one_folder_are_refused_without_a_name(
    whole: Path, tmp_path: Path, quick: None
) -> None:
    names_ = sorted(path.name for path in whole.iterdir())
    for keyword, value in (
        ("PatientID", "SECRET-1"), ("PatientName", "Secret^Person"), ("FrameOfReferenceUID", "1.2.3"),
        ("StudyInstanceUID", "1.2.4"), ("SeriesInstanceUID", "1.2.5"),
    ):
        change = functools.partial(setattr_, keyword, value)
        found = outcome(raw_of(whole, tmp_path / "raw", change, tuple(names_[9:])))
        assert isinstance(found, str), keyword
        assert "mixes scans" in found
        assert "ecret" not in found.lower()


def setattr_(keyword: str, value: str, dataset: pydicom.Dataset) -> None:
    setattr(dataset, keyword, value)


def test_stray_files_are_passed_over_with_a_note(whole: Path, tmp_path: Path, quick: None) -> None:
    folder = raw_of(whole, tmp_path / "raw", lambda _: None, ())
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" * 100)
    (folder / "notes.txt").write_text("repeat the scan")
    other = pydicom.dcmread(next(whole.iterdir()))
    for element in list(other):
        if element.tag.is_private:
            del other[element.tag]
    for name in ("DICOMDIR", "IM9"):
        other.save_as(folder / name)
    scan = read_projections(folder)
    assert scan.notes[0] == (
        "4 files of the folder are no projection and passed over: Thumbs.db, notes.txt, DICOMDIR and 1 more"
    )
    assert len(scan.files) == PROTOCOL.count
    right = outcome(whole)
    assert isinstance(right, Scan)
    assert same(rebin(scan, Z_MM), right)


def test_a_view_of_nothing_and_missing_views_are_a_gap_that_is_said(
    whole: Path, tmp_path: Path, quick: None
) -> None:
    files = sorted(path.name for path in whole.iterdir())
    right = outcome(whole)
    assert isinstance(right, Scan)

    def blank(dataset: pydicom.Dataset) -> None:
        dataset.PixelData = bytes(len(dataset.PixelData))

    dead = rebin(read_projections(raw_of(whole, tmp_path / "raw", blank, (files[WHICH],))), Z_MM)
    assert f"1 views hold one value everywhere and are not used ({files[WHICH]})" in "".join(dead.notes)
    (tmp_path / "raw" / files[WHICH]).unlink()
    gone = rebin(read_projections(tmp_path / "raw"), Z_MM)
    assert f"1 projections are missing (1 between {files[WHICH - 1]} and {files[WHICH + 1]})" in "".join(gone.notes)
    lost = WHICH - rebinning._window(read_projections(whole), Z_MM, "auto")[0]
    for gap in (dead, gone):
        # The other views are as they were, and this one stands where it would have been taken, and counts nothing.
        assert gap.mask is not None
        np.testing.assert_array_equal(gap.mask.all(axis=1), np.arange(right.sinogram.shape[0]) != lost)
        assert not gap.mask[lost].any()
        np.testing.assert_array_equal(gap.sinogram[gap.mask], right.sinogram[gap.mask])
        assert gap.variance is not None
        assert right.variance is not None
        np.testing.assert_array_equal(gap.variance[gap.mask], right.variance[gap.mask])
        assert gap.geometry is not None
        assert right.geometry is not None
        np.testing.assert_allclose(gap.geometry.orbit.angles_rad, right.geometry.orbit.angles_rad, atol=1e-6)
        assert gap.notes[-1] == f"16 of {right.sinogram.size} rays are missing and have no weight: view {lost}"
        assert gap.usable_count == right.sinogram.size - 16
    np.testing.assert_array_equal(dead.sinogram, gone.sinogram)
    # Where it would have been taken: with the focal spot at the same place of its flight.
    spots = gone.geometry.to_dict(), right.geometry.to_dict()
    for name in ("source_angle_shift_rad", "source_radius_shift_mm"):
        np.testing.assert_allclose(spots[0][name], spots[1][name], atol=1e-9)
    for name in files[6:20]:
        (tmp_path / "raw" / name).unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"half a turn is missing, between projection_000006\.dcm and"):
        read_projections(tmp_path / "raw")
