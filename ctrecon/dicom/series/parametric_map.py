"""What a series leaves of the data, back-projected, as Parametric Map Storage with 16-bit values (PS3.3 A.75)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from ctrecon.dicom.common.uids import uid_of
from ctrecon.dicom.series.ct_image import (
    NOT_FOR_DIAGNOSIS,
    SERIES_NUMBERS,
    SeriesPart,
    contributing_equipment,
    nameless,
    program_version,
)
from ctrecon.dicom.series.sr import SCHEME
from ctrecon.dicom.series.study import Study

QUANTITY = Code("residual-mean", SCHEME, "Mean residual Au - f of the rays through a pixel")
EXPLANATION = "mean of Au - f over the rays through the pixel, weighted by their length"


def misfit_map(images: Sequence[Dataset], parts: Sequence[SeriesPart], *, study: Study) -> Dataset:
    """One frame per slice on the grid of the images, without its own UIDs.

    Zero is always the stored value 32768, and the most extreme value of the series 1 or 65535.
    """
    step = short_step(max(float(np.abs(one.misfit).max()) for one in parts) or 1.0)
    stored = np.empty((len(images), *parts[0].grid.plane), np.uint16)
    for k, plane in enumerate(plane for one in parts for plane in one.misfit):
        stored[k] = np.rint(plane.astype(np.float64) / step).astype(np.int32) + 32768
    mapping = hd.pm.RealWorldValueMapping(
        lut_label="RESIDUAL",
        lut_explanation=EXPLANATION[:64],
        unit=codes.UCUM.NoUnits,
        value_range=(0, 65535),
        slope=step,
        intercept=-32768 * step,
        quantity_definition=QUANTITY,
    )
    placeholder = uid_of("placeholder")
    ds: Dataset = hd.pm.ParametricMap(
        source_images=[nameless(image) for image in images],
        pixel_array=stored,
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
    return ds


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
