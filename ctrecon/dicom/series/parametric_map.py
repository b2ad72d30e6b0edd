"""What a series leaves of the data, back-projected, as Parametric Map Storage with 16-bit values (PS3.3 A.75)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import BinaryIO

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.valuerep import format_number_as_ds

from ctrecon.dicom.common.uids import uid_of
from ctrecon.dicom.series.ct_image import (
    NOT_FOR_DIAGNOSIS,
    SERIES_NUMBERS,
    SeriesPart,
    contributing_equipment,
    nameless,
    program_version,
)
from ctrecon.dicom.series.item_by_item import Grown, Items, Spools
from ctrecon.dicom.series.sr import SCHEME
from ctrecon.dicom.series.study import Study

QUANTITY = Code("residual-mean", SCHEME, "Mean residual Au - f of the rays through a pixel")
EXPLANATION = "mean of Au - f over the rays through the pixel, weighted by their length"


def misfit_map(images: Sequence[Dataset], parts: Sequence[SeriesPart], *, study: Study, spools: Spools) -> Grown:
    """One frame per slice on the grid of the images, without its own UIDs.

    Zero is always the stored value 32768, and the most extreme value of the series 1 or 65535. Frames begin at the
    head, as highdicom has them.
    """
    step = short_step(max(float(np.abs(one.misfit).max()) for one in parts) or 1.0)
    mapping = hd.pm.RealWorldValueMapping(
        lut_label="RESIDUAL",
        lut_explanation=EXPLANATION[:64],
        unit=codes.UCUM.NoUnits,
        value_range=(0, 65535),
        slope=step,
        intercept=-32768 * step,
        quantity_definition=QUANTITY,
    )
    placeholder, first = uid_of("placeholder"), nameless(images[0])
    ds: Dataset = hd.pm.ParametricMap(
        source_images=[first],
        pixel_array=np.zeros((1, *parts[0].grid.plane), np.uint16),
        series_instance_uid=placeholder,
        series_number=SERIES_NUMBERS["misfit"],
        sop_instance_uid=placeholder,
        instance_number=1,
        manufacturer="ctrecon",
        manufacturer_model_name="ctrecon",
        software_versions=program_version(),
        device_serial_number="none",
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=32768.0, window_width=65536.0)],
        content_label="RESIDUAL",
        content_description=f"{NOT_FOR_DIAGNOSIS} Residual back-projected."[:64],
    )
    study.copy_to(ds)
    study.side_to(ds)
    ds.SeriesDescription = "RESEARCH residual back-projected, not for diagnosis"
    ds.ContributingEquipmentSequence = DicomSequence([contributing_equipment()])
    _same_each_time(ds, study)
    long = _of_each(ds, images, spools)
    _place(ds, images[0], [z for one in parts for z in one.z_mm])
    pixels, sha256 = _frames(parts, step, spools)
    ds.NumberOfFrames = len(images)
    ds.add_new("PixelData", "OW", pixels)
    return Grown(ds, long, sha256)


def _of_each(ds: Dataset, images: Sequence[Dataset], spools: Spools) -> dict[str, Items]:
    """Of the map of the first image, what it says of each, for all of them."""
    frame, inner = ds.PerFrameFunctionalGroupsSequence[0], ds.ReferencedSeriesSequence[0]
    names = ("PerFrameFunctionalGroupsSequence", "ReferencedSeriesSequence", "SourceImageSequence")
    objects = Items(spools)
    long = {name: Items(spools) for name in names}
    for image in images:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
        objects.add(item)
        long["SourceImageSequence"].add(item)
    for number, k in enumerate(reversed(range(len(images))), start=1):
        source, image = frame.DerivationImageSequence[0].SourceImageSequence[0], images[k]
        source.ReferencedSOPInstanceUID = image.SOPInstanceUID
        frame.FrameContentSequence[0].DimensionIndexValues = [number]
        frame.PlanePositionSequence[0].ImagePositionPatient = image.ImagePositionPatient
        long["PerFrameFunctionalGroupsSequence"].add(frame)
    del inner.ReferencedInstanceSequence
    long["ReferencedSeriesSequence"].add(inner, {"ReferencedInstanceSequence": objects})
    for name in names:
        delattr(ds, name)
    return long


def _place(ds: Dataset, image: Dataset, z_mm: Sequence[float]) -> None:
    """Where slices stand evenly, how far apart, and that they make a volume."""
    places = [[*map(float, image.ImagePositionPatient[:2]), z] for z in z_mm]
    measures, ways = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0], image.ImageOrientationPatient
    spacing, _ = hd.spatial.get_volume_positions(places, ways)
    if "SpacingBetweenSlices" not in image:
        if spacing is not None:
            measures.SpacingBetweenSlices = format_number_as_ds(spacing)
        elif "SpacingBetweenSlices" in measures:
            del measures.SpacingBetweenSlices
    if len(z_mm) > 1:
        in_order, _ = hd.spatial.get_volume_positions(places, ways, sort=False)
        if in_order is not None and in_order > 0:
            ds.DimensionOrganizationType = "3D"


def _frames(parts: Sequence[SeriesPart], step: float, spools: Spools) -> tuple[BinaryIO, str]:
    """Stored values of all frames, the last slice's first: a file, and their hash as the manifest has it."""
    stream, found = spools.open(), hashlib.sha256()
    for one in reversed(parts):
        for plane in np.asarray(one.misfit)[::-1]:
            stored = np.rint(plane.astype(np.float64) / step).astype(np.int32) + 32768
            stream.write(stored.astype("<u2").tobytes())
            found.update(stored.astype("<i4").tobytes())
    stream.seek(0)
    return stream, found.hexdigest()


def short_step(limit: float) -> float:
    """The least step of three digits of which 32767 reach ``limit``, and half of one more: nothing wraps around."""
    least = limit / 32767
    exponent = math.floor(math.log10(least)) - 2
    return float(f"{math.floor(least / 10.0**exponent) + 1}e{exponent}")


def _same_each_time(ds: Dataset, study: Study) -> None:
    """Replace what highdicom takes from the clock and from chance."""
    ds.ContentDate, ds.ContentTime = study.moment
    for keyword in ("InstanceCreationDate", "InstanceCreationTime", "SeriesDate", "SeriesTime"):
        if keyword in ds:
            delattr(ds, keyword)
    dimensions = uid_of("dimensions", str(study.attributes.StudyInstanceUID))
    for sequence in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
        for item in ds[sequence].value:
            item.DimensionOrganizationUID = dimensions
