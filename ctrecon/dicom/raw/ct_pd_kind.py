"""Whether a file says of its own pixels that they are line integrals of a scan that turned about an upright axis."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ctrecon.dicom.raw import ct_pd_tags as tags
from ctrecon.dicom.raw.ct_pd_bounds import check_upright
from ctrecon.dicom.raw.ct_pd_fields import Fields
from ctrecon.errors import InputError
from ctrecon.support.arrays import Array

KIND = (
    "Modality", "ImageType", "RescaleType", "ModalityLUTSequence", "PhotometricInterpretation", "BitsStored", "HighBit",
    "PixelIntensityRelationship", "PixelIntensityRelationshipSign",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "GantryDetectorTilt", "GantryDetectorSlew",
)  # fmt: skip
# What RescaleType may say of line integrals, which have no unit.
_SCALES = ("", "US", "UNSPECIFIED", "UNITLESS", "1")
_UPRIGHT = ("GantryDetectorTilt", "GantryDetectorSlew")


def check_kind(fields: Fields) -> None:
    """Whether the header contradicts that this is a projection. Raises InputError where it does."""
    for keyword in _UPRIGHT:
        check_upright(fields.path, fields.bounded_public(keyword), keyword)
    if (modality := _text(fields, "Modality")) not in ("", "CT"):
        raise _not_one(fields, "Modality", modality, "only projections of CT can be read")
    if "LOCALIZER" in (image := _text(fields, "ImageType")):
        raise _not_one(fields, "ImageType", image, "a view from one side makes no slice; give a scan that turns")
    if (scale := _text(fields, "RescaleType")) not in _SCALES:
        raise _not_one(fields, "RescaleType", scale, "line integrals have no unit; export line integrals")
    if fields.public("ModalityLUTSequence", None) is not None:
        raise InputError(
            f"{fields.path}: ModalityLUTSequence contradicts RescaleSlope and RescaleIntercept; export line integrals"
        )
    shown = _text(fields, "PhotometricInterpretation")
    if shown not in ("", "MONOCHROME1", "MONOCHROME2"):
        raise _not_one(fields, "PhotometricInterpretation", shown, "a projection is one grey image")
    _check_sense(fields)
    bits = fields.whole("BitsStored", 16)
    if not 1 <= bits <= 16 or fields.whole("HighBit", bits - 1) != bits - 1:
        raise InputError(
            f"{fields.path}: BitsStored {bits} and HighBit {fields.whole('HighBit', bits - 1)} are no pixels of up to "
            "16 bits; export the scan again"
        )


def _check_sense(fields: Fields) -> None:
    """More matter, larger line integrals: pixels that count X-rays are no line integrals."""
    if (linear := _text(fields, "PixelIntensityRelationship")) == "LIN":
        raise _not_one(fields, "PixelIntensityRelationship", linear, f"pixels count X-rays then, by {tags.LOG} they "
                       "are line integrals; one of them is wrong; export line integrals")  # fmt: skip
    if fields.whole("PixelIntensityRelationshipSign", -1) != -1:
        raise _not_one(
            fields, "PixelIntensityRelationshipSign", str(fields.public("PixelIntensityRelationshipSign", "")),
            "larger pixels mean more X-rays then, larger line integrals mean fewer; export line integrals",
        )


def check_stored_values(fields: Fields, stored: Array, native: npt.NDArray[np.uint16] | None) -> None:
    """Whether pixels are what BitsStored and PixelPaddingValue allow.

    Args:
        fields: Of their file.
        stored: As decoded, which leaves out bits that BitsStored does not count.
        native: All 16 bits of them where they are not compressed.

    Raises:
        InputError: Where they are not.
    """
    bits, signed = fields.whole("BitsStored", 16), fields.whole("PixelRepresentation", 0) == 1
    if native is not None and bits < 16:
        above = native >> (bits - 1 if signed else bits)
        allowed = (above == 0) | (above == 0xFFFF >> (bits - 1)) if signed else above == 0
        if not bool(allowed.all()):
            raise InputError(
                f"{fields.path}: {int((~allowed).sum())} of its pixels need more bits than BitsStored {bits} says; "
                "export the scan again"
            )
    if fields.public("PixelPaddingValue", None) is None:
        return
    one = fields.whole("PixelPaddingValue", None)
    ends = sorted((one, fields.whole("PixelPaddingRangeLimit", one)))
    padded = int(((stored >= ends[0]) & (stored <= ends[1])).sum())
    if padded:
        limit = " to PixelPaddingRangeLimit" if ends[0] != ends[1] else ""
        raise InputError(
            f"{fields.path}: {padded} of its pixels hold PixelPaddingValue{limit}, by which nothing was measured "
            "there; export the scan again without padding"
        )


def _text(fields: Fields, keyword: str) -> str:
    value = fields.public(keyword, "")
    several = hasattr(value, "__iter__") and not isinstance(value, str)
    return "\\".join(map(str, value)).upper() if several else str(value).strip().upper()


def _not_one(fields: Fields, keyword: str, value: str, why: str) -> InputError:
    return InputError(f"{fields.path}: {keyword} is {value[:40]!r}; {why}")
