"""One DICOM-CT-PD file: its header as numbers, its pixels as line integrals.

DICOM's Rows is the number of detector *columns*: the stored image is the detector on its side.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import AllTransferSyntaxes, ExplicitVRBigEndian

from ctrecon.dicom.raw import ct_pd_tags as tags
from ctrecon.errors import InputError
from ctrecon.support.arrays import Array

MAX_CELLS = 1 << 22
_LARGEST_FILE = 1 << 28
_PUBLIC = (
    "Rows", "Columns", "BitsAllocated", "PixelRepresentation", "SamplesPerPixel", "NumberOfFrames", "RescaleSlope",
    "RescaleIntercept", "InstanceNumber", "StudyInstanceUID", "SeriesInstanceUID", "Manufacturer", "PatientPosition",
)
_PRIVATE = (
    tags.COLUMN_PITCH, tags.ROW_PITCH, tags.SHAPE, tags.ROWS, tags.COLUMNS, tags.ANGLE, tags.Z, tags.RADIUS,
    tags.DISTANCE, tags.CENTRE, tags.ANGLE_SHIFT, tags.Z_SHIFT, tags.RADIUS_SHIFT, tags.FLYING, tags.PER_TURN,
    tags.SPECTRA, tags.KIND, tags.BEAM, tags.LOG, tags.WATER, *tags.CORRECTIONS,
)
_WANTED: list[Any] = [*_PUBLIC, *(tag.number for tag in _PRIVATE)]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where detector and focal spot stood: the six numbers that change from view to view (rad and mm)."""

    angle_rad: float
    z_mm: float
    angle_shift_rad: float
    z_shift_mm: float
    radius_shift_mm: float
    instance: int | None


@dataclass(frozen=True, kw_only=True)
class Common:
    """What all files of a scan must agree on. Lengths in mm; ``centre`` is column and row, counted from 1."""

    series: str
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
    water_mu_per_mm: float | None
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
    """Everything but the pixels. Raises InputError where the file is no DICOM-CT-PD or lacks or breaks an attribute."""
    fields = _Fields(path, _open(path, pixels=False))
    rows, columns = fields.count(tags.ROWS), fields.count(tags.COLUMNS)
    if rows * columns > MAX_CELLS:
        raise InputError(f"{path}: a detector of {rows} x {columns} cells is larger than {MAX_CELLS}; check the file")
    fields.check_stored(rows, columns)
    if fields.text(tags.LOG, "YES") != "YES":
        raise InputError(f"{path}: {tags.LOG} says that no logarithm was taken; export line integrals")
    if fields.number(tags.SPECTRA, 1.0) > 1:
        raise InputError(f"{path}: {tags.SPECTRA} says several spectra; put the files of one into a folder of its own")
    if "PARALLEL" in fields.text(tags.BEAM, "FANBEAM"):
        raise InputError(f"{path}: {tags.BEAM} says parallel beams; only beams from a focal spot can be read")
    column, row = fields.numbers(tags.CENTRE, 2)
    water = fields.number(tags.WATER, 0.0)
    if not 0 <= water < 10:
        raise InputError(f"{path}: {tags.WATER} is {water:g}, which water has not in 1/mm; export the scan again")
    common = Common(
        series=str(fields.public("SeriesInstanceUID", "")),
        kind=fields.one_of(tags.KIND, ("HELICAL", "AXIAL")),
        shape=fields.one_of(tags.SHAPE, ("CYLINDRICAL",)),
        rows=rows,
        columns=columns,
        column_pitch_mm=fields.length(tags.COLUMN_PITCH),
        row_pitch_mm=fields.length(tags.ROW_PITCH),
        radius_mm=fields.length(tags.RADIUS),
        distance_mm=fields.length(tags.DISTANCE),
        centre=(column, row),
        flying=fields.one_of(tags.FLYING, ("FFSNONE", "FFSZ", "FFSXY", "FFSXYZ"), "FFSNONE"),
        per_turn=fields.count(tags.PER_TURN),
        water_mu_per_mm=water or None,
        corrections=tuple(tag.name for tag in tags.CORRECTIONS if fields.text(tag, "") == "YES"),
        manufacturer=str(fields.public("Manufacturer", "")),
        patient_position=str(fields.public("PatientPosition", "")),
    )
    instance = fields.public("InstanceNumber", None) is not None
    place = Place(
        angle_rad=fields.number(tags.ANGLE),
        z_mm=fields.number(tags.Z),
        angle_shift_rad=fields.number(tags.ANGLE_SHIFT, 0.0),
        z_shift_mm=fields.number(tags.Z_SHIFT, 0.0),
        radius_shift_mm=fields.number(tags.RADIUS_SHIFT, 0.0),
        instance=fields.whole("InstanceNumber", None) if instance else None,
    )
    return common, place


@_unheard()
def read_projection(path: Path, common: Common) -> tuple[Array, Array | None]:
    """Line integrals ``[rows, columns]`` of the detector, float64, and the photons sent to each column, or None.

    Raises InputError where the pixels are missing, cut short, or of another size than in the scan's first file.
    """
    dataset = _open(path, pixels=True)
    fields = _Fields(path, dataset)
    upright = fields.check_stored(common.rows, common.columns)
    if "PixelData" not in dataset:
        raise InputError(f"{path}: holds no pixels; copy it again")
    try:
        stored = dataset.pixel_array
    except Exception as error:  # the decoders of compressed pixels can fail in any way
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: its pixels cannot be read ({reason}); copy it again") from None
    slope, intercept = fields.scale()
    values = slope * stored.astype(np.float64) + intercept
    if not bool(np.isfinite(values).all()):
        raise InputError(f"{path}: holds line integrals that are not finite; check RescaleSlope and RescaleIntercept")
    return np.ascontiguousarray(values if upright else values.T), fields.photons(common.columns)


def _open(path: Path, *, pixels: bool) -> Dataset:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise InputError(f"{path}: is larger than a projection can be ({_LARGEST_FILE >> 20} MiB); check the file")
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


class _Fields:
    """The attributes of one file; every error names file, attribute and remedy."""

    def __init__(self, path: Path, dataset: Dataset) -> None:
        self.path, self._dataset = path, dataset
        syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
        if syntax is not None and syntax not in AllTransferSyntaxes:
            raise InputError(f"{path}: its transfer syntax {str(syntax)[:64]!r} is not known; copy it again")
        self._little = syntax != ExplicitVRBigEndian

    def public(self, keyword: str, default: Any) -> Any:
        try:
            value = self._dataset.get(keyword)
        except Exception:  # a value that its own representation does not allow
            raise InputError(f"{self.path}: {keyword} cannot be read; export the scan again") from None
        return default if value is None or value == "" else value

    def whole(self, keyword: str, default: int | None) -> int:
        value = self.public(keyword, default)
        try:
            return int(value)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{self.path}: {keyword} must be one whole number, got {str(value)[:40]!r}") from None

    def _raw(self, tag: tags.Tag) -> tuple[float, ...] | str | None:
        if tag.number not in self._dataset:
            return None
        try:
            # The bytes as they stand in the file, whatever representation it gives them.
            value = self._dataset.get_item(tag.number).value
        except Exception:  # pydicom converts some nevertheless
            raise InputError(f"{self.path}: {tag} cannot be read; export the scan again") from None
        if value is None:
            return None
        return tags.decode(tag, value, little_endian=self._little, source=self.path)

    def text(self, tag: tags.Tag, default: str | None = None) -> str:
        value = self._raw(tag)
        if isinstance(value, str) and value:
            return value
        if default is None:
            raise self._missing(tag)
        return default

    def one_of(self, tag: tags.Tag, known: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(tag, default)
        if value not in known:
            raise InputError(f"{self.path}: {tag} is {value[:40]!r}; only {', '.join(known)} can be read")
        return value

    def numbers(self, tag: tags.Tag, count: int) -> tuple[float, ...]:
        value = self._raw(tag)
        if value is None:
            raise self._missing(tag)
        if isinstance(value, str) or len(value) != count or not bool(np.isfinite(value).all()):
            raise InputError(f"{self.path}: {tag} must be {count} finite numbers, got {str(value)[:60]}")
        return value

    def number(self, tag: tags.Tag, default: float | None = None) -> float:
        if default is not None and self._raw(tag) is None:
            return default
        return self.numbers(tag, 1)[0]

    def length(self, tag: tags.Tag) -> float:
        value = self.number(tag)
        if value <= 0:
            raise InputError(f"{self.path}: {tag} must be > 0 mm, got {value:g}; export the scan again")
        return value

    def count(self, tag: tags.Tag) -> int:
        value = self.number(tag)
        if value < 1:
            raise InputError(f"{self.path}: {tag} must be at least 1, got {value:g}; export the scan again")
        return int(value)

    def photons(self, columns: int) -> Array | None:
        value = self._raw(tags.PHOTONS)
        if value is None:
            return None
        photons = np.asarray(value)
        if photons.shape not in ((1,), (columns,)) or not bool((np.isfinite(photons) & (photons > 0)).all()):
            raise InputError(
                f"{self.path}: {tags.PHOTONS} must be {columns} numbers > 0, one per column, got {photons.size}; "
                "export the scan again"
            )
        return np.broadcast_to(photons, (columns,))

    def scale(self) -> tuple[float, float]:
        found = []
        for keyword in ("RescaleSlope", "RescaleIntercept"):
            value = self.public(keyword, None)
            if value is None:
                raise InputError(f"{self.path}: {keyword} is missing, so pixels mean nothing; export the scan again")
            try:
                found.append(float(value))
            except (TypeError, ValueError):
                raise InputError(f"{self.path}: {keyword} must be a number, got {str(value)[:40]!r}") from None
        if found[0] == 0 or not bool(np.isfinite(found).all()):
            raise InputError(f"{self.path}: RescaleSlope {found[0]:g} and RescaleIntercept {found[1]:g} make no scale")
        return found[0], found[1]

    def check_stored(self, rows: int, columns: int) -> bool:
        """Whether the image stands upright (Rows are detector rows); raises where it has neither shape."""
        stored = (self.whole("Rows", 0), self.whole("Columns", 0))
        if self.whole("SamplesPerPixel", 1) != 1 or self.whole("NumberOfFrames", 1) != 1:
            raise InputError(f"{self.path}: holds several frames or colours; a projection is one grey image")
        bits = self.whole("BitsAllocated", 16)
        if bits != 16:
            raise InputError(f"{self.path}: has {bits} bits a pixel, a projection has 16")
        if stored == (columns, rows):
            return False
        if stored == (rows, columns):
            return True
        raise InputError(
            f"{self.path}: its image is {stored[0]} x {stored[1]}, its detector {columns} columns of {rows} cells; "
            "they must agree, export the scan again"
        )

    def _missing(self, tag: tags.Tag) -> InputError:
        return InputError(f"{self.path}: {tag} is missing, so this is no DICOM-CT-PD projection; check the folder")
