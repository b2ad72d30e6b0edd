"""What the standard's attributes say of a small helix of raw data, all of it true, for tests that make it false."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import Dataset

from ctrecon.dicom.raw import ct_pd_tags as tags

PRIVATE = {tag.name: tag for tag in vars(tags).values() if isinstance(tag, tags.Tag)}
FACTORS = {"zero": 0.0, "negate": -1.0, "ten times": 10.0, "NaN": np.nan, "inf": np.inf}
TEXTS = ("DS", "IS")


def coded(code: str, modifier: str = "") -> list[Dataset]:
    """A sequence of one code, and one that modifies it."""
    item = Dataset()
    item.CodeValue = code
    if modifier:
        item.PatientOrientationModifierCodeSequence = coded(modifier)
    return [item]


TRUE: dict[str, Any] = {
    "DistanceSourceToDetector": 1085.6, "DistanceSourceToPatient": 595, "TableHeight": 150, "TableFeedPerRotation": 2.0,
    "TableSpeed": 4.0, "RevolutionTime": 0.5, "TotalCollimationWidth": 2.4, "DataCollectionDiameter": 500,
    "RotationDirection": "CC", "AcquisitionType": "SPIRAL", "ScanOptions": "HELICAL MODE", "DeviceSerialNumber": "7",
    "ManufacturerModelName": "M", "LossyImageCompression": "00", "StudyDate": "20240131", "AcquisitionDate": "20240201",
    "PatientBirthDate": "19500101", "KVP": 120, "GantryDetectorTilt": 0, "GantryDetectorSlew": 0, "Modality": "CT",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "RescaleType": "US", "PhotometricInterpretation": "MONOCHROME2",
    "BitsStored": 16, "HighBit": 15, "PixelPaddingValue": 65535, "PixelPaddingRangeLimit": 65534,
    "DistanceSourceToIsocenter": 595.0, "EstimatedRadiographicMagnificationFactor": 1.825, "SpiralPitchFactor": 0.833,
    "ImagerPixelSpacing": [59.0, 1.0947], "SingleCollimationWidth": 0.6, "PixelIntensityRelationship": "LOG",
    "PixelIntensityRelationshipSign": -1, "PatientOrientationCodeSequence": coded("102538003", "40199007"),
    "PatientGantryRelationshipCodeSequence": coded("102541007"), "HUCalibrationFactor": 0.0192,
}  # fmt: skip
"""Of four rows and 16 columns of 59 mm, and a feed of 2 mm a turn: everything that can be stated twice, and fits."""


def state(ds: Dataset, facts: dict[str, Any]) -> None:
    """Write attributes whatever their values; a function of the data set says it for itself."""
    for keyword, fact in facts.items():
        value = fact(ds) if callable(fact) else fact
        with pydicom.config.disable_value_validation():
            number = PRIVATE[keyword].number if keyword in PRIVATE else pydicom.datadict.tag_for_keyword(keyword)
            vr = pydicom.datadict.dictionary_VR(number).split(" ")[0]
            text = vr == "DS" and not isinstance(value, list)
            ds.add_new(number, vr, str(value) if text else value)


def stated_everywhere(folder: Path) -> None:
    """Write ``TRUE`` into every file of a folder."""
    for path in folder.iterdir():
        ds = pydicom.dcmread(path)
        state(ds, TRUE)
        ds.save_as(path)


def changed(name: str, how: str) -> Callable[[pydicom.Dataset], None]:
    """What changes an attribute, private by its name or the standard's by its keyword, in one of the tests' ways."""
    return functools.partial(_change_private, PRIVATE[name], how) if name in PRIVATE else functools.partial(
        _change_public, name, how
    )


def _change_private(tag: tags.Tag, how: str, dataset: pydicom.Dataset) -> None:
    if how == "delete":
        dataset.pop(tag.number, None)
        return
    if tag.number not in dataset:
        return
    held, layout = dataset.get_item(tag.number).value, tag.vr.layout
    raw = held if isinstance(held, bytes) else str(held).encode()
    if how in ("text", "empty"):
        value = b"NONSENSE" if how == "text" else b""
    elif how == "one more":
        value = raw.rstrip() + b"\\" + raw if layout is None else raw + raw[-struct.calcsize(layout) :]
    elif layout is None:
        text = raw.decode().strip()
        number = _number(text)
        value = (f"{number * FACTORS[how]:.6g}" if number is not None else how.upper()[:4]).encode()
    else:
        numbers = np.array(struct.unpack(f"<{len(raw) // struct.calcsize(layout)}{layout}", raw))
        factor = FACTORS[how]
        if layout == "H":
            result = np.nan_to_num(numbers * factor, nan=65535, posinf=65535) % 65536
            value = struct.pack(f"<{numbers.size}H", *result.astype(int))
        else:
            changed_to = np.full(numbers.size, np.inf) if how == "inf" else numbers * factor
            value = struct.pack(f"<{numbers.size}f", *changed_to)
    value += b" " * (len(value) % 2)
    if tag.number in pydicom.datadict.DicomDictionary:  # which pydicom would convert, and under implicit VR is bytes
        dataset.add(pydicom.DataElement(tag.number, "LO", value.decode()))
    else:
        dataset[tag.number].value = value


def _change_public(keyword: str, how: str, dataset: pydicom.Dataset) -> None:
    if how == "delete":
        if keyword in dataset:
            delattr(dataset, keyword)
        return
    before, vr = dataset.get(keyword), pydicom.datadict.dictionary_VR(keyword).split(" ")[0]
    if vr == "SQ":
        return
    with pydicom.config.disable_value_validation():
        dataset.add(pydicom.DataElement(keyword, "LO" if vr in TEXTS else vr, _public(before, vr, how)))


def _public(before: Any, vr: str, how: str) -> Any:
    several = list(before) if hasattr(before, "__iter__") and not isinstance(before, str) else [before]
    number = _number(str(several[0])) if several[0] not in (None, "") else None
    factor = FACTORS.get(how)
    if how == "empty":
        return ""
    if vr in ("US", "SS"):
        least, most = (0, 65535) if vr == "US" else (-32768, 32767)
        value = (number or 1) * (7.0 if factor is None else factor)
        value = int(np.clip(np.nan_to_num(value, nan=most), least, most)) if vr == "SS" or abs(value) > 1e9 else (
            int(np.nan_to_num(value, nan=most)) % 65536
        )
        return [value, value] if how == "one more" else value
    if how == "one more":
        more = [*several, several[-1]]
        return more if vr in ("FD", "FL") else [str(one) for one in more] if before not in (None, "") else ["1", "1"]
    if vr in ("FD", "FL"):
        return [(100.0 if number is None else number) * (7.0 if factor is None else factor)] * len(several)
    if vr in TEXTS:
        return "NONSENSE" if factor is None else [f"{(100.0 if number is None else number) * factor:g}"] * len(several)
    return {"zero": "", "negate": "1.2.3", "ten times": "10", "NaN": "NAN", "text": "NONSENSE", "inf": "INF"}[how]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
