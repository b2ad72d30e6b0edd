"""One slice as its file describes it: where it stands, how its values become HU. Also of Enhanced multi-frame files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset

from ctrecon.dicom.common.files import number_of, numbers_of, refusing, short, text_of, value_of
from ctrecon.dicom.common.hounsfield import rescale_type
from ctrecon.dicom.common.pixels import PixelFormat
from ctrecon.errors import InputError
from ctrecon.support.arrays import Float64Array, Int32Array

# Beyond any scanner's extended scale: then the sign, or the rescale, is not what the header says.
HU_TYPES = ("", "HU", "HU_MOD", "US")
"""RescaleType of CT images in HU; unspecified ones are."""
LOWEST_HU, HIGHEST_HU = -32768, 61439
_UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Rescale:
    """``value = stored * slope + intercept``; stored values from ``padding[0]`` to ``padding[1]`` are no picture."""

    slope: float
    intercept: float
    padding: tuple[int, int] | None

    def apply(self, stored: Int32Array) -> tuple[Float64Array, npt.NDArray[np.bool_]]:
        """``(values, is_padding)``, both of the shape of ``stored``."""
        values = np.asarray(stored * self.slope + self.intercept, dtype=np.float64)
        if self.padding is None:
            return values, np.zeros_like(stored, dtype=np.bool_)
        return values, np.logical_and(stored >= self.padding[0], stored <= self.padding[1])


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Where frame ``frame`` (0-based) of the file ``name`` stands, in the patient's system (LPS, mm).

    ``position``: centre of the first pixel. ``along_row``, ``along_column``: unit vectors in which the column index and
    the row index grow. ``spacing_mm``: (row, column). The texts say what slices must share to be one series.
    """

    name: str
    source: int
    frame: int
    form: PixelFormat
    rescale: Rescale
    position: Float64Array
    along_row: Float64Array
    along_column: Float64Array
    spacing_mm: tuple[float, float]
    thickness_mm: float | None
    patient: str
    series: str
    frame_of_reference: str

    @property
    def normal(self) -> Float64Array:
        return np.cross(self.along_row, self.along_column)


def slices_of(
    ds: FileDataset, name: str, source: int, form: PixelFormat, *, insist_hu: bool = False
) -> list[Slice]:
    """All frames of a CT file. ``source`` numbers the file; ``insist_hu`` takes values of another type for HU.

    Raises InputError for what is missing or impossible.
    """
    shared = _groups(ds, "SharedFunctionalGroupsSequence", name)
    per_frame = _groups(ds, "PerFrameFunctionalGroupsSequence", name)
    if not per_frame and form.frames > 1:
        raise InputError(f"{name}: has {form.frames} frames without positions (no functional groups); give CT images")
    if per_frame and len(per_frame) != form.frames:
        raise InputError(f"{name}: describes {len(per_frame)} frames and claims {form.frames}; the file is damaged")
    same = {key: text_of(ds, keyword, name) for key, keyword in _SHARED_TEXTS.items()}
    slices = []
    for k in range(form.frames):
        look = Lookup([*per_frame[k : k + 1], *shared[:1]], ds, name if form.frames == 1 else f"{name} frame {k + 1}")
        along_row, along_column = look.orientation()
        slices.append(
            Slice(
                name=look.name, source=source, frame=k, form=form, rescale=rescale_of(look, form, insist_hu=insist_hu),
                position=look.vector("PlanePositionSequence", "ImagePositionPatient", 3),
                along_row=along_row, along_column=along_column, spacing_mm=look.spacing(),
                thickness_mm=look.thickness(), **same,
            )
        )
    return slices


_SHARED_TEXTS = {"patient": "PatientID", "series": "SeriesInstanceUID", "frame_of_reference": "FrameOfReferenceUID"}


def _groups(ds: Dataset, keyword: str, name: str) -> list[Dataset]:
    with refusing(f"{name}: its {keyword} cannot be read"):
        return [item for item in (ds.get(keyword) or []) if isinstance(item, Dataset)]


@dataclass(frozen=True)
class Lookup:
    """An attribute from a frame's functional groups, else from the file itself, as classic images have it."""

    groups: list[Dataset]
    ds: Dataset
    name: str

    def home(self, sequence: str) -> Dataset:
        for group in self.groups:
            items = _groups(group, sequence, self.name)
            if items:
                return items[0]
        return self.ds

    def vector(self, sequence: str, keyword: str, count: int) -> Float64Array:
        found = numbers_of(self.home(sequence), keyword, self.name, count)
        if found is None:
            raise InputError(f"{self.name}: has no {keyword}, so nobody can say where the slice lies; write it first")
        return np.array(found)

    def orientation(self) -> tuple[Float64Array, Float64Array]:
        both = self.vector("PlaneOrientationSequence", "ImageOrientationPatient", 6)
        row, column = both[:3], both[3:]
        with np.errstate(over="ignore", invalid="ignore"):
            off = max(abs(row @ row - 1), abs(column @ column - 1), abs(row @ column))
        if not off <= _UNIT_TOLERANCE:
            raise InputError(
                f"{self.name}: ImageOrientationPatient {both.tolist()} is not two unit vectors at right angles; "
                "correct it first"
            )
        # Files hold six digits: made orthonormal here, once.
        row = row / np.linalg.norm(row)
        column = column - (column @ row) * row
        return row, column / np.linalg.norm(column)

    def spacing(self) -> tuple[float, float]:
        row, column = self.vector("PixelMeasuresSequence", "PixelSpacing", 2)
        if not (1e-4 <= row <= 1e4 and 1e-4 <= column <= 1e4):
            raise InputError(f"{self.name}: PixelSpacing must be two lengths > 0 in mm, got {row:g} and {column:g}")
        return float(row), float(column)

    def thickness(self) -> float | None:
        found = number_of(self.home("PixelMeasuresSequence"), "SliceThickness", self.name)
        return found if found is not None and 1e-4 <= found <= 1e4 else None





def rescale_of(look: Lookup, form: PixelFormat, *, insist_hu: bool = False) -> Rescale:
    """Raises InputError where slope or intercept is missing, no number, or zero, or the values are not HU."""
    home, name = look.home("PixelValueTransformationSequence"), look.name
    slope, intercept = number_of(home, "RescaleSlope", name), number_of(home, "RescaleIntercept", name)
    if slope is None or intercept is None:
        raise InputError(f"{name}: has no RescaleSlope or RescaleIntercept, so its values are not in HU; write them")
    if slope == 0 or max(abs(slope), abs(intercept)) > 1e6:
        raise InputError(f"{name}: RescaleSlope {slope:g} and RescaleIntercept {intercept:g} give no HU; correct them")
    kind = text_of(home, "RescaleType", name)
    if rescale_type(kind) not in HU_TYPES and not insist_hu:
        raise InputError(
            f"{name}: its values are not in HU (RescaleType {short(kind)!r}); give a series in HU, or --insist-hu"
        )
    return Rescale(slope=slope, intercept=intercept, padding=padding_of(look.ds, name, form))


def padding_of(ds: Dataset, name: str, form: PixelFormat) -> tuple[int, int] | None:
    """The stored values that fill what was never measured, from the lower to the upper, or None."""
    ends = []
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        value: Any = value_of(ds, keyword, name)
        if isinstance(value, int):
            # Some files give it in the other sign than their pixels: the bits are what is meant.
            bits = value & ((1 << form.bits_stored) - 1)
            sign = 1 << (form.bits_stored - 1)
            ends.append((bits ^ sign) - sign if form.signed else bits)
    return (min(ends), max(ends)) if ends else None


def check_plausible(name: str, values: Float64Array, form: PixelFormat) -> None:
    """Raises InputError for values that no CT scanner writes."""
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if not (LOWEST_HU <= low and high < HIGHEST_HU):
        sign = "signed" if form.signed else "unsigned"
        raise InputError(
            f"{name}: holds values from {low:g} to {high:g} HU, which no scanner writes; are its {sign} pixels "
            f"(PixelRepresentation {int(form.signed)}) or its rescale declared wrongly?"
        )
