"""One DICOM-CT-PD file: its header as numbers, its pixels as line integrals.

DICOM's Rows is the number of detector *columns*: the stored image is the detector on its side.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from ctrecon.dicom.common.files import check_not_deflated
from ctrecon.dicom.raw import ct_pd_tags as tags
from ctrecon.dicom.raw.ct_pd_bounds import PRIVATE, check_bounds, check_detector, check_shift
from ctrecon.dicom.raw.ct_pd_fields import Fields
from ctrecon.dicom.raw.ct_pd_kind import KIND, check_kind, check_stored_values
from ctrecon.dicom.raw.ct_pd_lying import DIRECTIONS, Directions, directions_in
from ctrecon.dicom.raw.ct_pd_stated import KEYWORDS, Stated, check_water, stated_in
from ctrecon.errors import InputError
from ctrecon.support.arrays import Array

SHIFTS = (tags.ANGLE_SHIFT, tags.Z_SHIFT, tags.RADIUS_SHIFT)
MAX_CELLS = 1 << 22
_LARGEST_FILE = 1 << 28
_WHOSE = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
_PUBLIC = (
    "Rows", "Columns", "BitsAllocated", "PixelRepresentation", "SamplesPerPixel", "NumberOfFrames", "RescaleSlope",
    "RescaleIntercept", "InstanceNumber", "StudyInstanceUID", "SeriesInstanceUID", "Manufacturer", "PatientPosition",
    "FrameOfReferenceUID", "KVP", "XRayTubeCurrent", *KIND, *KEYWORDS, *DIRECTIONS, *_WHOSE,
)
_PRIVATE = (
    tags.COLUMN_PITCH, tags.ROW_PITCH, tags.SHAPE, tags.ROWS, tags.COLUMNS, tags.ANGLE, tags.Z, tags.RADIUS,
    tags.DISTANCE, tags.CENTRE, tags.ANGLE_SHIFT, tags.Z_SHIFT, tags.RADIUS_SHIFT, tags.FLYING, tags.PER_TURN,
    tags.SPECTRA, tags.SPECTRUM, tags.KIND, tags.BEAM, tags.LOG, tags.WATER, *tags.CORRECTIONS,
)
_WANTED: list[Any] = [*_PUBLIC, *(tag.number for tag in (*_PRIVATE, tags.HU_FACTOR))]


class NoProjectionError(InputError):
    """A sound DICOM file without any attribute of the format."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What changes from view to view: where detector and focal spot stood (rad, mm), slope and intercept of pixels.

    ``directions``: where rows and columns are said to point.
    """

    angle_rad: float
    z_mm: float
    angle_shift_rad: float
    z_shift_mm: float
    radius_shift_mm: float
    scale: tuple[float, float]
    instance: int | None
    directions: Directions


@dataclass(frozen=True, kw_only=True)
class Common:
    """What all files of a scan must agree on. Lengths in mm; ``centre`` is column and row, counted from 1.

    ``patient``: a hash of who it is, so that no message can name anybody; ``born``: PatientBirthDate, to be compared.
    ``stated``: what the standard's attributes say of the geometry; ``unstated``: shifts that no file states;
    ``water_by``: which attribute states the water.
    """

    series: str
    study: str
    frame_of_reference: str
    patient: str
    kind: str
    shape: str
    rows: int
    columns: int
    column_pitch_mm: float
    row_pitch_mm: float
    radius_mm: float
    distance_mm: float
    centre: tuple[float, float]
    flying: str
    per_turn: int
    spectrum: int
    kvp: float | None
    stated: Stated
    unstated: tuple[str, ...]
    born: str
    water_mu_per_mm: float | None
    water_by: str
    corrections: tuple[str, ...]
    manufacturer: str
    patient_position: str


@contextmanager
def _unheard() -> Iterator[None]:
    """Silence: pydicom warns of values that break their own rules; what matters of them is checked here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@_unheard()
def read_header(path: Path) -> tuple[Common, Place]:
    """Everything but the pixels.

    Raises NoProjectionError where the file is a DICOM
    file of another kind, InputError where it lacks or breaks an attribute of the format.
    """
    fields = Fields(path, _open(path, pixels=False))
    if not fields.has_any(_PRIVATE):
        raise NoProjectionError(f"{path}: is a DICOM file, but no DICOM-CT-PD projection; move it elsewhere")
    rows, columns = fields.count(tags.ROWS), fields.count(tags.COLUMNS)
    if rows * columns > MAX_CELLS:
        raise InputError(f"{path}: a detector of {rows} x {columns} cells is larger than {MAX_CELLS}; check the file")
    upright = fields.check_stored(rows, columns)
    if fields.text(tags.LOG, "YES") != "YES":
        raise InputError(f"{path}: {tags.LOG} says that no logarithm was taken; export line integrals")
    if fields.number(tags.SPECTRA, 1.0) != 1:
        raise InputError(
            f"{path}: {tags.SPECTRA} says several spectra, or none; put the files of one into a folder of its own"
        )
    if "PARALLEL" in fields.text(tags.BEAM, "FANBEAM"):
        raise InputError(f"{path}: {tags.BEAM} says parallel beams; only beams from a focal spot can be read")
    fields.one_of(tags.BEAM, ("FANBEAM", "CONEBEAM"), "FANBEAM")
    column, row = fields.numbers(tags.CENTRE, 2)
    water = next((tag for tag in (tags.WATER, tags.HU_FACTOR) if fields.states(tag)), None)
    fields.bounded_public("XRayTubeCurrent")
    check_kind(fields)
    detector: dict[str, Any] = {
        "rows": rows,
        "columns": columns,
        "column_pitch_mm": fields.bounded(tags.COLUMN_PITCH),
        "row_pitch_mm": fields.bounded(tags.ROW_PITCH),
        "radius_mm": fields.bounded(tags.RADIUS),
        "distance_mm": fields.bounded(tags.DISTANCE),
        "centre": (column, row),
    }
    check_detector(path, **detector)
    common = Common(
        series=str(fields.public("SeriesInstanceUID", "")),
        study=str(fields.public("StudyInstanceUID", "")),
        frame_of_reference=str(fields.public("FrameOfReferenceUID", "")),
        patient=hashlib.sha256(repr([str(fields.public(name, "")) for name in _WHOSE]).encode()).hexdigest(),
        kind=fields.one_of(tags.KIND, ("HELICAL", "AXIAL")),
        shape=fields.one_of(tags.SHAPE, ("CYLINDRICAL",)),
        flying=fields.one_of(tags.FLYING, ("FFSNONE", "FFSZ", "FFSXY", "FFSXYZ"), "FFSNONE"),
        per_turn=int(check_bounds(path, tags.PER_TURN, fields.count(tags.PER_TURN), PRIVATE[tags.PER_TURN])),
        spectrum=int(fields.number(tags.SPECTRUM, 1.0)),
        kvp=fields.bounded_public("KVP"),
        stated=stated_in(fields, upright=upright),
        unstated=tuple(str(tag) for tag in SHIFTS if not fields.states(tag)),
        born=str(fields.public("PatientBirthDate", "")),
        water_mu_per_mm=None if water is None else fields.bounded(water),
        water_by=str(water or ""),
        corrections=tuple(tag.name for tag in tags.CORRECTIONS if fields.text(tag, "") == "YES"),
        manufacturer=str(fields.public("Manufacturer", "")),
        patient_position=str(fields.public("PatientPosition", "")),
        **detector,
    )
    check_water(path, common.kvp, common.water_mu_per_mm, common.water_by)
    instance = fields.public("InstanceNumber", None) is not None
    place = Place(
        angle_rad=fields.bounded(tags.ANGLE),
        z_mm=fields.bounded(tags.Z),
        angle_shift_rad=fields.bounded(tags.ANGLE_SHIFT, 0.0),
        z_shift_mm=fields.bounded(tags.Z_SHIFT, 0.0),
        radius_shift_mm=fields.bounded(tags.RADIUS_SHIFT, 0.0),
        scale=fields.scale(),
        instance=fields.whole("InstanceNumber", None) if instance else None,
        directions=directions_in(fields, upright=upright),
    )
    check_shift(
        path, place.angle_shift_rad, column_pitch_mm=common.column_pitch_mm, distance_mm=common.distance_mm
    )
    return common, place


@_unheard()
def read_projection(path: Path, common: Common) -> tuple[Array, Array | None]:
    """Line integrals ``[rows, columns]`` of the detector, float64, and the photons sent to each column, or None.

    Raises InputError where the pixels are missing, cut short, or of another size than in the scan's first file.
    """
    dataset = _open(path, pixels=True)
    fields = Fields(path, dataset)
    upright = fields.check_stored(common.rows, common.columns)
    if "PixelData" not in dataset:
        raise InputError(f"{path}: holds no pixels; copy it again")
    try:
        stored = dataset.pixel_array
    except Exception as error:  # the decoders of compressed pixels can fail in any way
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: its pixels cannot be read ({reason}); copy it again") from None
    check_stored_values(fields, stored, fields.native_pixels())
    slope, intercept = fields.scale()
    values = slope * stored.astype(np.float64) + intercept
    if not bool(np.isfinite(values).all()):
        raise InputError(f"{path}: holds line integrals that are not finite; check RescaleSlope and RescaleIntercept")
    return np.ascontiguousarray(values if upright else values.T), fields.photons(common.columns)


def _open(path: Path, *, pixels: bool) -> Dataset:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{path}: is larger than a projection can be ({_LARGEST_FILE >> 20} MiB); check the file")
        check_not_deflated(path)
        if pixels:
            return pydicom.dcmread(path)
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_WANTED)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from None
    except Exception as error:  # pydicom raises of many kinds on damaged files
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: is not a whole DICOM file ({reason}); copy it again") from None
