"""What the standard's own attributes say of a scan whose geometry the private ones state, and whether both can be true.

The private attributes are what is reconstructed. One of the standard's that says otherwise shows that one of the two is
wrong: far off it is refused, since nobody can tell which; a little off, or where the standard leaves open what is
meant, it is named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.dicom.raw import ct_pd_tags as tags
from ctrecon.dicom.raw.ct_pd_fields import Fields
from ctrecon.errors import InputError
from ctrecon.support.arrays import Float64Array

Value = float | str | None
Stated = tuple[tuple[str, Value], ...]

_LENGTHS = (
    "DistanceSourceToDetector", "DistanceSourceToPatient", "TableHeight", "TableFeedPerRotation", "TableSpeed",
    "RevolutionTime", "TotalCollimationWidth", "DataCollectionDiameter",
)
_WORDS = (
    "RotationDirection", "AcquisitionType", "ScanOptions", "LossyImageCompression", "DeviceSerialNumber",
    "ManufacturerModelName",
)
_DATES = ("StudyDate", "AcquisitionDate")
STATED = (*_LENGTHS, *_WORDS, *_DATES)
"""Of one scan, these are the same in all its files."""
UNSAID = ("StudyDate", "AcquisitionDate", "DeviceSerialNumber")
"""No message may quote these: they say when somebody was where."""

# What two files of one scan may differ by: rounding, a table that gathers speed, and one that sags.
_LIKE, _FASTER, _SAG_MM = 0.005, 0.1, 2.0
_WRONG, _OFF = 0.03, 0.005
_CIRCLES = ("SEQUENCED", "AXIAL", "CINE", "STATIONARY")
_HELIX = ("SPIRAL", "HELICAL")
_NO_TURN = ("CONSTANT_ANGLE", "SCOUT", "SURVIEW", "TOPOGRAM", "LOCALIZER")
# Water for photons of so many keV, in 1/mm (J. H. Hubbell, S. M. Seltzer, NISTIR 5632, table 4, at 1 g/cm^3).
_KEV = (10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 150.0, 200.0)
_WATER = (0.5329, 0.1673, 0.08096, 0.03756, 0.02683, 0.02269, 0.02059, 0.01837, 0.01707, 0.01505, 0.01370)
# No photon has more energy than the tube's voltage gives; a filtered beam's mean is above this share of that.
_SOFTEST, _ROUNDING = 0.35, 0.05


def stated_in(fields: Fields) -> Stated:
    """What one file states, None for what it does not. Raises InputError for values that no scanner has."""
    found: dict[str, Value] = {keyword: fields.bounded_public(keyword) for keyword in _LENGTHS}
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
    return tuple(found.items())


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


def check_water(source: object, kvp: float | None, water_mu_per_mm: float | None) -> None:
    """Whether photons of a tube's voltage can be attenuated so by water. Raises InputError where none can."""
    if kvp is None or water_mu_per_mm is None:
        return
    hardest, softest = _water(kvp) * (1 - _ROUNDING), _water(_SOFTEST * kvp) * (1 + _ROUNDING)
    if not hardest <= water_mu_per_mm <= softest:
        raise InputError(
            f"{source}: {tags.WATER} is {water_mu_per_mm:g} 1/mm, KVP {kvp:g}: in the beam of such a tube water has "
            f"{hardest:.3g} to {softest:.3g} 1/mm; one of them is wrong; export the scan again"
        )


def _water(kev: float) -> float:
    return float(np.exp(np.interp(math.log(kev), np.log(_KEV), np.log(_WATER))))


def check_stated(
    folder: Path, everything: Stated, *, radius_mm: float, distance_mm: float, kind: str, turned_rad: float,
    feed_mm: float, rows_see_mm: float, half_fan_rad: float,
) -> tuple[str, ...]:
    """Compare what all files state with the geometry of the private attributes.

    Args:
        folder: For messages.
        everything: Of ``stated_in``.
        radius_mm: From the focal centre to the axis.
        distance_mm: From the focal centre to the detector.
        kind: HELICAL or AXIAL.
        turned_rad: From the first view to the last, as the files count.
        feed_mm: Of a helix, per turn, > 0.
        rows_see_mm: All detector rows, at the axis.
        half_fan_rad: Of the fan's wider side.

    Returns:
        Notes on what does not fit.

    Raises:
        InputError: Where one of the two must be wrong.
    """
    notes, stated = list[str](), dict(everything)
    _check_turn(folder, stated, kind)
    if stated["LossyImageCompression"] == "01":
        notes.append("LossyImageCompression says that pixels were compressed with loss, which no variance accounts for")
    pairs = [
        ("DistanceSourceToDetector", str(tags.DISTANCE), distance_mm, _WRONG, _OFF),
        ("DistanceSourceToPatient", str(tags.RADIUS), radius_mm, _WRONG, _OFF),
        ("TotalCollimationWidth", f"{tags.ROW_PITCH} and {tags.ROWS}", rows_see_mm, 1.5, 0.05),
        ("DataCollectionDiameter", "the fan of (7029,1002) and (7029,1011)", 2 * radius_mm * math.sin(half_fan_rad),
         math.inf, 0.1),
    ]  # fmt: skip
    if kind == "HELICAL":
        pairs.append(("TableFeedPerRotation", str(tags.Z), feed_mm, 0.05, 0.01))
    for keyword, by, found, wrong, off in pairs:
        value = stated[keyword]
        if isinstance(value, float):
            notes += _compared(folder, f"{keyword} is {value:g} mm", value, by, found, wrong, off)
    speed, revolution = stated["TableSpeed"], stated["RevolutionTime"]
    if kind == "HELICAL" and isinstance(speed, float) and isinstance(revolution, float):
        what = f"TableSpeed {speed:g} mm/s and RevolutionTime {revolution:g} s are {speed * revolution:.4g} mm a turn"
        notes += _compared(folder, what, speed * revolution, str(tags.Z), feed_mm, 0.05, 0.01)
    return (*notes, *_sense(stated, turned_rad))


def _compared(
    folder: Path, what: str, value: float, by: str, found: float, wrong: float, off: float
) -> tuple[str, ...]:
    low, high = sorted((value, found))
    if high > (1 + wrong) * low:
        raise InputError(
            f"{folder}: {what}, by {by} it is {found:.5g} mm: one of them is wrong, and with it the size of what is "
            "seen; export the scan again, or take out the one that is wrong"
        )
    return (f"{what}, by {by} it is {found:.5g} mm, which was used",) if high > (1 + off) * low else ()


def _check_turn(folder: Path, stated: Mapping[str, Value], kind: str) -> None:
    for keyword in ("AcquisitionType", "ScanOptions"):
        said = str(stated[keyword] or "")
        if any(word in said for word in _NO_TURN):
            raise InputError(f"{folder}: {keyword} is {said[:40]!r}, of a view from one side; give a scan that turns")
        circles, helix = (any(word in said for word in words) for words in (_CIRCLES, _HELIX))
        if (circles and not helix and kind == "HELICAL") or (helix and not circles and kind == "AXIAL"):
            raise InputError(
                f"{folder}: {keyword} is {said[:40]!r}, {tags.KIND} {kind}: one of them is wrong; export the scan again"
            )


def _sense(stated: Mapping[str, Value], turned_rad: float) -> tuple[str, ...]:
    """The angle grows from the top to the left, as seen by who stands at the table before the gantry."""
    said = stated["RotationDirection"]
    if said is None or turned_rad == 0 or (said == "CC") == (turned_rad > 0):
        return ()
    way = "counter-clockwise" if turned_rad > 0 else "clockwise"
    return (
        f"RotationDirection is {said}, by {tags.ANGLE} the tube turns {way} as seen from the table: the standard does "
        "not say from which side, so the angles were used; were they wrong, left and right would be exchanged",
    )


def flight_notes(flying: str, shifts: Mapping[tags.Tag, Float64Array]) -> tuple[str, ...]:
    """Notes where the focal spot flies in another way than FlyingFocalSpotMode says; the shifts are what is used."""
    notes = list[str]()
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
