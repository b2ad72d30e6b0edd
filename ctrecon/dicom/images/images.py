"""CT images in DICOM as arrays in HU: one slice, or any series as a volume that knows where it lies.

Axes: arrays are ``[slices, rows, columns]``. Positions are in the patient's system of DICOM, LPS: x grows to the
patient's left, y to the back, z to the head, in mm. (ITK uses the same; NIfTI on disk is RAS, which is -x, -y, z.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.config import IGNORE
from pydicom.dataset import FileDataset
from pydicom.uid import UID

from ctrecon.dicom.common.files import (
    Source,
    is_dicom,
    number_of,
    numbers_of,
    read_dataset,
    short,
    sources,
    text_of,
)
from ctrecon.dicom.common.hounsfield import rescale_type
from ctrecon.dicom.common.pixels import PixelFormat, pixel_format, stored_frames
from ctrecon.dicom.images.concatenation import Concatenations
from ctrecon.dicom.images.frames import (
    HU_TYPES,
    Lookup,
    Rescale,
    Slice,
    check_plausible,
    padding_of,
    rescale_of,
    slices_of,
)
from ctrecon.dicom.images.stack import stack
from ctrecon.errors import InputError
from ctrecon.measurement.scan import WATER_MU_PER_MM
from ctrecon.support.arrays import BoolArray, Float32Array, Float64Array
from ctrecon.support.limits import MAX_BYTES

CT_IMAGES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.2.1": "Enhanced CT Image Storage",
    "1.2.840.10008.5.1.4.1.1.2.2": "Legacy Converted Enhanced CT Image Storage",
}
AIR_HU = -1000.0
_OUTSIDE_HU = -1100.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """``hu``: ``[slices, rows, columns]``, float32, in HU; where ``padding`` is True nothing was measured (air there).

    ``affine``: 4 x 4, takes (column, row, slice) to (x, y, z) in LPS, mm. ``spacing_mm``: (slice, row, column).
    ``source_to_axis_mm``, ``source_to_detector_mm``: of the scanner, where the files say it.
    ``notes``: one sentence for everything that was assumed, changed or left out.
    """

    hu: Float32Array
    padding: BoolArray
    affine: Float64Array
    spacing_mm: tuple[float, float, float]
    source_to_axis_mm: float | None
    source_to_detector_mm: float | None
    notes: tuple[str, ...]


def attenuation(hu: npt.NDArray[np.floating], water_mu: float = WATER_MU_PER_MM) -> Float32Array:
    """``mu = water_mu (1 + HU / 1000)``; nothing absorbs less than nothing, so -1000 HU is the floor.

    Args:
        hu: Of any shape, in HU.
        water_mu: Attenuation of water, 1/mm.

    Returns:
        Of the same shape, 1/mm, float32.
    """
    return np.maximum(water_mu * (1 + hu.astype(np.float64) / 1000), 0).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which series of several, and how sure a person is of its values.

    ``number``: its SeriesNumber, however it is written. ``uid``: its SeriesInstanceUID, where numbers are the same.
    ``insist_hu``: values that the files call something else (RescaleType) are taken for HU.
    """

    number: int | None = None
    uid: str | None = None
    insist_hu: bool = False

    def takes(self, ds: FileDataset, name: str) -> bool:
        """Whether a file is of this series: "000005" is number 5.

        Args:
            ds: The file's header.
            name: Of the file, for messages.

        Returns:
            True where number and UID are as they are asked for; what is None is not asked for.
        """
        number = text_of(ds, "SeriesNumber", name).strip()
        same = bool(re.fullmatch(r"[+-]?\d{1,12}", number)) and int(number) == self.number
        return (self.number is None or same) and (
            self.uid is None or text_of(ds, "SeriesInstanceUID", name).strip("\0 ") == self.uid
        )

    def __str__(self) -> str:
        number = "" if self.number is None else f" of series {self.number}"
        return number + ("" if self.uid is None else f" of series {short(self.uid)}")


ANY = Choice()


def read_volume(path: Path, *, choice: Choice = ANY) -> Volume:
    """Read a CT series.

    Args:
        path: A folder, a ``.zip`` or one (also multi-frame) file.
        choice: Which series, where there are several.

    Returns:
        The volume in HU, where it stands, in mm, and notes.

    Raises:
        InputError: For what is no CT, for damaged files, and for slices that are not one regular volume.
    """
    return read_volume_from(sources(path), str(path), choice=choice)


def read_volume_from(files: list[Source], what: str, *, choice: Choice = ANY) -> Volume:
    """``read_volume`` of files given one by one; ``what`` names them in messages."""
    found, notes, scanner = _headers(files, what, choice)
    ordered = stack(found, what)
    form = ordered.slices[0].form
    shape = (len(found), form.rows, form.columns)
    if 5 * int(np.prod(shape, dtype=np.int64)) > 2 * MAX_BYTES:
        raise InputError(f"{what}: {shape} voxels need more than {2 * MAX_BYTES} bytes; give a part of the series")
    hu, padding = np.empty(shape, np.float32), np.zeros(shape, dtype=bool)
    place = {(s.source, s.frame): k for k, s in enumerate(ordered.slices)}
    for source in sorted({s.source for s in ordered.slices}):
        ds = read_dataset(files[source].name, files[source].read())
        for frame, stored in enumerate(stored_frames(ds, files[source].name, pixel_format(ds, files[source].name))):
            k = place[source, frame]
            values, unmeasured = ordered.slices[k].rescale.apply(stored)
            check_plausible(ordered.slices[k].name, values[~unmeasured], ordered.slices[k].form)
            hu[k], padding[k] = np.where(unmeasured, AIR_HU, values), unmeasured
    return Volume(
        hu=hu, padding=padding, affine=ordered.affine,
        spacing_mm=(ordered.slice_spacing_mm, *ordered.slices[0].spacing_mm),
        source_to_axis_mm=scanner[0], source_to_detector_mm=scanner[1],
        notes=(*notes, *ordered.notes, *_value_notes(hu, padding)),
    )  # fmt: skip


def _value_notes(hu: Float32Array, padding: BoolArray) -> Iterable[str]:
    padded, outside = int(padding.sum()), int((hu < _OUTSIDE_HU).sum())
    if padded:
        yield f"{padded} voxels are padding (PixelPaddingValue): masked, and set to {AIR_HU:g} HU"
    if outside:
        yield f"{outside} voxels are below {_OUTSIDE_HU:g} HU, less than air: what a scanner writes outside its field"


_Found = tuple[list[Slice], list[str], tuple[float | None, float | None]]


def _headers(files: list[Source], what: str, choice: Choice) -> _Found:
    """The slices of the one series, notes, and the scanner's distances; pixels are dropped again."""
    found: list[Slice] = []
    numbers: dict[str, str] = {}
    scanner: tuple[float | None, float | None] = (None, None)
    others = localizers = captures = 0
    called, passed = set[str](), set[str]()
    parts = Concatenations()
    for k, file in enumerate(files):
        data = file.read()
        if len(files) > 1 and not is_dicom(data) and not file.name.lower().endswith(".dcm"):
            others += 1
            continue
        ds = read_dataset(file.name, data)
        if len(files) > 1 and _class_of(ds, file.name) not in CT_IMAGES and "PixelData" not in ds:
            others += 1  # a report, a DICOMDIR
            continue
        number = text_of(ds, "SeriesNumber", file.name)
        if not choice.takes(ds, file.name):
            passed.add(number or "(none)")
            continue
        if len(files) > 1 and _is_no_slice(ds, file.name):
            captures += 1  # a dose report as a picture, a segmentation
            continue
        _check_ct(ds, file.name)
        if "LOCALIZER" in text_of(ds, "ImageType", file.name).split("\\"):
            localizers += 1
            continue
        found += slices_of(ds, file.name, k, pixel_format(ds, file.name), insist_hu=choice.insist_hu)
        called |= _kinds_of(ds, file.name)
        parts.add(ds, file.name)
        numbers[found[-1].series] = number
        scanner = _scanner(ds, file.name)
    if not found:
        left = f"{others + captures} other files, {localizers} localizers"
        there = f"; it has series of the numbers {short(', '.join(sorted(passed)))}" if passed else ""
        raise InputError(f"{what}: holds no CT slices{choice} ({left}){there}")
    if len(numbers) > 1:
        same = choice.number is not None or len(set(numbers.values())) < len(numbers)
        by_uid = f"; where numbers are the same, --series-uid one of {', '.join(sorted(numbers))}" if same else ""
        raise InputError(
            f"{what}: holds {len(numbers)} series, with the numbers {', '.join(sorted(numbers.values()))}; "
            f"give one of them with --series NUMBER, or its own folder{by_uid}"
        )
    notes = []
    if others:
        notes.append(f"{others} files in {what} are no images in DICOM and were left out")
    if captures:
        kinds = "captured screens, segmentations, other modalities"
        notes.append(f"{captures} images in {what} are no CT slices ({kinds}) and were left out")
    notes += parts.notes(what)
    if localizers:
        notes.append(f"{localizers} localizer images (scouts) were left out")
    for kind in sorted(called):
        meant = "taken for HU" if rescale_type(kind) in HU_TYPES else "taken for HU, as --insist-hu asks"
        notes.append(f"the files call their values {short(kind)!r} (RescaleType), {meant}")
    if any(s.form.inverted for s in found):
        notes.append("MONOCHROME1 says how to show the values, not what they are: HU are taken as they stand")
    return found, notes, scanner


def _kinds_of(ds: FileDataset, name: str) -> set[str]:
    """Names of its values' type that are not the standard's for HU; US is "unspecified"."""
    groups = [ds]
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        groups += [one for item in ds.get(keyword) or [] for one in item.get("PixelValueTransformationSequence") or []]
    return {text_of(group, "RescaleType", name) for group in groups} - (set(HU_TYPES) - {"US"})


def _class_of(ds: FileDataset, name: str) -> str:
    return text_of(ds, "SOPClassUID", name)


def _is_no_slice(ds: FileDataset, name: str) -> bool:
    """Whether it is another kind of image, or a captured screen in the guise of CT, which stands nowhere."""
    if _class_of(ds, name) not in CT_IMAGES:
        return bool(_class_of(ds, name))
    secondary = text_of(ds, "ImageType", name).split("\\")[1:2] == ["SECONDARY"]
    stands = "ImagePositionPatient" in ds or "ImageOrientationPatient" in ds
    return secondary and not stands and "PerFrameFunctionalGroupsSequence" not in ds


def _check_ct(ds: FileDataset, name: str) -> None:
    kind = _class_of(ds, name)
    if "DirectoryRecordSequence" in ds:
        raise InputError(f"{name}: is a DICOMDIR, which lists the files of a medium; give the folder that it is in")
    if kind not in CT_IMAGES:
        modality = short(text_of(ds, "Modality", name)) or "no Modality"
        found = short(UID(kind, validation_mode=IGNORE).name) or "without SOPClassUID"
        raise InputError(f"{name}: is no CT image but {found} ({modality}); give CT images")


def _scanner(ds: FileDataset, name: str) -> tuple[float | None, float | None]:
    """Distances from the source to axis and to detector, in mm, where both are possible."""
    axis = number_of(ds, "DistanceSourceToPatient", name)
    detector = number_of(ds, "DistanceSourceToDetector", name)
    if axis is None or detector is None or not 10 <= axis <= detector <= 1e5:
        return None, None
    return axis, detector


@dataclass(frozen=True, kw_only=True, eq=False)
class GreySlice:
    """``values [rows, columns]``, float64, rescaled where the file says how; ``spacing_mm`` (row, column) or None."""

    values: Float64Array
    padding: BoolArray
    spacing_mm: tuple[float, float] | None


def read_grey_slice(path: Path) -> GreySlice:
    """Read one grey slice of any modality, wherever it lies.

    Args:
        path: Of the file.

    Returns:
        Values ``[rows, columns]`` in the file's own unit, where nothing was measured, and the spacing in mm where the
        file has it.

    Raises:
        InputError: For colour, several frames, or damage.
    """
    name = path.name
    ds, form = _one_frame(path)
    slope = number_of(ds, "RescaleSlope", name)
    intercept = number_of(ds, "RescaleIntercept", name)
    rescale = Rescale(
        slope=1.0 if slope is None else slope, intercept=intercept or 0.0, padding=padding_of(ds, name, form)
    )
    values, unmeasured = rescale.apply(next(iter(stored_frames(ds, name, form))))
    spacing = numbers_of(ds, "PixelSpacing", name, 2)
    good = spacing is not None and min(spacing) > 0
    return GreySlice(
        values=values, padding=unmeasured,
        spacing_mm=(spacing[0], spacing[1]) if good and spacing is not None else None,
    )  # fmt: skip


def read_ct_slice(path: Path) -> Float64Array:
    """Read one CT slice; where it lies is not asked.

    Args:
        path: Of the file.

    Returns:
        ``[rows, columns]`` in HU, float64, padding as air.

    Raises:
        InputError: For what is no CT image of one frame, or damaged.
    """
    ds, form = _one_frame(path)
    rescale = rescale_of(Lookup([], ds, path.name), form)
    values, padding = rescale.apply(next(iter(stored_frames(ds, path.name, form))))
    check_plausible(path.name, values[~padding], form)
    return np.where(padding, AIR_HU, values)


def _one_frame(path: Path) -> tuple[FileDataset, PixelFormat]:
    ds = read_dataset(path.name, sources(path)[0].read())
    form = pixel_format(ds, path.name)
    if form.frames != 1:
        raise InputError(f"{path.name}: holds {form.frames} frames; give a file of one slice")
    return ds, form
