"""What the standard's own attributes say of a scan whose geometry the private ones state.

Whether both can be true, ``ct_pd_pairs.py`` says of the geometry; here are voltage, focal spot and dates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import numpy as np

from ctrecon.dicom.raw import ct_pd_tags as tags
from ctrecon.dicom.raw.ct_pd_fields import Fields
from ctrecon.dicom.raw.ct_pd_lying import CODED, coded_in
from ctrecon.dicom.raw.ct_pd_pairs import Value
from ctrecon.errors import InputError
from ctrecon.support.arrays import Float64Array

Stated = tuple[tuple[str, Value], ...]

_NUMBERS = (
    "DistanceSourceToDetector", "DistanceSourceToPatient", "DistanceSourceToIsocenter",
    "EstimatedRadiographicMagnificationFactor", "TableHeight", "TableFeedPerRotation", "TableSpeed", "RevolutionTime",
    "SpiralPitchFactor", "SingleCollimationWidth", "TotalCollimationWidth", "DataCollectionDiameter",
)
_PAIRS = ("ImagerPixelSpacing",)
_WORDS = (
    "RotationDirection", "AcquisitionType", "ScanOptions", "LossyImageCompression", "DeviceSerialNumber",
    "ManufacturerModelName",
)
_DATES = ("StudyDate", "AcquisitionDate")
KEYWORDS = (*_NUMBERS, *_PAIRS, *_WORDS, *_DATES, *CODED)
STATED = (*KEYWORDS, tags.HU_FACTOR.name)
"""Of one scan, these are the same in all its files."""
UNSAID = ("StudyDate", "AcquisitionDate", "DeviceSerialNumber")
"""No message may quote these: they say when somebody was where."""

# What two files of one scan may differ by: rounding, a table that gathers speed, and one that sags.
_LIKE, _FASTER, _SAG_MM = 0.005, 0.1, 2.0
# Water for photons of so many keV, in 1/mm (J. H. Hubbell, S. M. Seltzer, NISTIR 5632, table 4, at 1 g/cm^3).
_KEV = (10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 150.0, 200.0)
_WATER = (0.5329, 0.1673, 0.08096, 0.03756, 0.02683, 0.02269, 0.02059, 0.01837, 0.01707, 0.01505, 0.01370)
# No photon has more energy than the tube's voltage gives; a filtered beam's mean is above this share of that.
_SOFTEST, _ROUNDING = 0.35, 0.05


def stated_in(fields: Fields, *, upright: bool) -> Stated:
    """What one file states, None for what it does not; pairs are of the detector's columns and rows.

    ``upright``: whether the stored image's rows are the detector's. Raises InputError for values that no scanner has.
    """
    found: dict[str, Value] = {keyword: fields.bounded_public(keyword) for keyword in _NUMBERS}
    found[tags.HU_FACTOR.name] = fields.bounded(tags.HU_FACTOR) if fields.states(tags.HU_FACTOR) else None
    for keyword in _PAIRS:
        pair = fields.bounded_publics(keyword, 2)
        found[keyword] = pair[::-1] if pair and upright else pair
    found |= coded_in(fields)
    for keyword in (*_WORDS, *_DATES):
        value = fields.public(keyword, None)
        found[keyword] = None if value is None else _text(value)
    if (sense := found["RotationDirection"]) not in (None, "CW", "CC"):
        raise InputError(
            f"{fields.path}: RotationDirection is {str(sense)[:40]!r}; it must be CW or CC; export the scan again"
        )
    for keyword in _DATES:
        if found[keyword] is not None and _day(found[keyword]) is None:
            raise InputError(f"{fields.path}: {keyword} is no date; export the scan again")
    return tuple((keyword, found[keyword]) for keyword in STATED)


def _text(value: Any) -> str:
    several = hasattr(value, "__iter__") and not isinstance(value, str)
    return "\\".join(map(str, value)).strip().upper() if several else str(value).strip().upper()


def _day(value: Value) -> date | None:
    """A date as DICOM writes it today, or as it did, with points."""
    digits = str(value or "").replace(".", "")
    try:
        return datetime.strptime(digits, "%Y%m%d").date()
    except ValueError:
        return None


def alike(keyword: str, one: Value, other: Value) -> bool:
    """Whether two files of one scan may state these; a scan may run past midnight."""
    days = (_day(one), _day(other)) if keyword == "AcquisitionDate" else (None, None)
    if days[0] is not None and days[1] is not None:
        return abs((days[0] - days[1]).days) <= 1
    if isinstance(one, float) and isinstance(other, float):
        share = _FASTER if keyword == "TableSpeed" else _LIKE
        return math.isclose(one, other, rel_tol=share, abs_tol=_SAG_MM if keyword == "TableHeight" else 0.0)
    return one == other


def check_water(source: object, kvp: float | None, water_mu_per_mm: float | None, by: str) -> None:
    """Whether photons of a tube's voltage can be attenuated so by water, as the attribute ``by`` says.

    Raises InputError where none can.
    """
    if kvp is None or water_mu_per_mm is None:
        return
    hardest, softest = _water(kvp) * (1 - _ROUNDING), _water(_SOFTEST * kvp) * (1 + _ROUNDING)
    if not hardest <= water_mu_per_mm <= softest:
        raise InputError(
            f"{source}: {by} is {water_mu_per_mm:g} 1/mm, KVP {kvp:g}: in the beam of such a tube water has "
            f"{hardest:.3g} to {softest:.3g} 1/mm; one of them is wrong; export the scan again"
        )


def _water(kev: float) -> float:
    return float(np.exp(np.interp(math.log(kev), np.log(_KEV), np.log(_WATER))))


def flight_notes(
    flying: str, shifts: Mapping[tags.Tag, Float64Array], unstated: tuple[str, ...]
) -> tuple[str, ...]:
    """Notes where the focal spot flies in another way than FlyingFocalSpotMode says; the shifts are what is used."""
    notes = [] if flying == "FFSNONE" else [f"{tags.FLYING} is {flying}, but {tag} is not stated: 0 was used"
                                            for tag in unstated]  # fmt: skip
    for tag, letters in ((tags.ANGLE_SHIFT, "XY"), (tags.Z_SHIFT, "Z")):
        flies, said = float(np.ptp(shifts[tag])) > 0, flying != "FFSNONE" and letters in flying
        if flies != said:
            notes.append(
                f"{tags.FLYING} is {flying}, but {tag} {'changes' if flies else 'never changes'}: the shifts were used "
                "as they are stated, and rays would be off by up to half a column or row if they are wrong"
            )
    return tuple(notes)


def dates_notes(stated: Stated, born: str) -> tuple[str, ...]:
    """Notes on dates that contradict each other, without the dates."""
    notes, said, birth = list[str](), dict(stated), _day(born)
    study, acquired = (_day(said[keyword]) for keyword in _DATES)
    if study is not None and acquired is not None and acquired < study:
        notes.append("AcquisitionDate is before StudyDate: one of them is wrong; the study's was kept")
    if birth is not None and any(day is not None and day < birth for day in (study, acquired)):
        notes.append("PatientBirthDate is after the date of study or acquisition: one of them is wrong")
    return tuple(notes)
