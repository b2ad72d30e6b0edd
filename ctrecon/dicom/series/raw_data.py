"""The frame of an object of raw data beside a series: whose it is, what made it, and when."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import RawDataStorage

from ctrecon.dicom.common.uids import IMPLEMENTATION
from ctrecon.dicom.series.ct_image import SERIES_NUMBERS, contributing_equipment, program_version
from ctrecon.dicom.series.study import Study


def raw_data(image: Dataset, kind: str, description: str, index: int, *, study: Study) -> Dataset:
    """Raw data Storage without what it holds and without its own UIDs.

    Args:
        image: One of the series, for how the patient lay.
        kind: Which of ``SERIES_NUMBERS`` it goes to.
        description: What it is, between RESEARCH and "not for diagnosis".
        index: Its number in that series, from 1.
        study: Whose it is.

    Returns:
        A new dataset.
    """
    ds = Dataset()
    study.copy_to(ds)
    ds.SOPClassUID = RawDataStorage
    ds.Modality = "CT"
    ds.Manufacturer = ds.ManufacturerModelName = "ctrecon"
    ds.SoftwareVersions = program_version()
    ds.ContributingEquipmentSequence = DicomSequence([contributing_equipment()])
    ds.SeriesDescription = f"RESEARCH {description}, not for diagnosis"
    ds.SeriesNumber = SERIES_NUMBERS[kind]
    ds.InstanceNumber = index
    study.side_to(ds)
    ds.PatientPosition = image.PatientPosition
    ds.AcquisitionContextSequence = DicomSequence([])
    ds.ContentDate, ds.ContentTime = study.moment
    ds.CreatorVersionUID = IMPLEMENTATION
    return ds
