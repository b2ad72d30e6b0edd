"""What a projection's header says beside PatientPosition of where its rows and columns point, or how the patient lay.

PatientOrientation and ImageOrientationPatient are of the stored image (PS3.3 C.7.6.1.1.1, C.7.6.2.1.1), whose rows and
columns are the detector's. With the angle of the view and PatientPosition the format's frame says where these point:
where both cannot be true, either the position is wrong, and with it left and right, or they are of another image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ctrecon.dicom.raw.ct_pd_fields import Fields
from ctrecon.dicom.raw.ct_pd_pairs import OTHER, Value
from ctrecon.dicom.raw.patient_axes import PatientAxes
from ctrecon.errors import InputError
from ctrecon.measurement.terms import NOBODY
from ctrecon.support.arrays import Float64Array

DIRECTIONS = ("PatientOrientation", "ImageOrientationPatient")
CODED = ("PatientOrientationCodeSequence", "PatientGantryRelationshipCodeSequence")
Directions = tuple[float, ...]
NO_DIRECTIONS: Directions = (math.nan,) * (3 * len(DIRECTIONS))
"""Of each of ``DIRECTIONS`` x and y of where the detector's columns follow each other, and z of where its rows do."""

# SNOMED CT, and what its codes were in DICOM before (PS3.16, CID 20 and 21).
_CODES = {
    "40199007": "S", "F-10340": "S", "1240000": "P", "F-10310": "P", "102535000": "DR", "F-10317": "DR",
    "102536004": "DL", "F-10319": "DL", "102540008": "HF", "F-10470": "HF", "102541007": "FF", "F-10480": "FF",
}  # fmt: skip
_MODIFIER = "PatientOrientationModifierCodeSequence"
# To the left, the back and the head; the second row for animals on four legs (PS3.3 C.7.6.1.1.1).
_LETTERS = {
    "L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "H": (0, 0, 1), "F": (0, 0, -1),
    "LE": (1, 0, 0), "RT": (-1, 0, 0), "D": (0, 1, 0), "V": (0, -1, 0), "CR": (0, 0, 1), "CD": (0, 0, -1),
}  # fmt: skip
# A letter names the nearest of the axes: what it says is true to within 45 degrees.
_AGREES = 0.6


def coded_in(fields: Fields) -> dict[str, Value]:
    """What of PatientPosition each of ``CODED`` says, ``OTHER`` where none of it, None where it is not there.

    Raises InputError where a sequence cannot be read.
    """
    found: dict[str, Value] = {}
    for keyword in CODED:
        items = list(fields.public(keyword, None) or ())
        if keyword == CODED[0]:
            items = [item for one in items for item in one.get(_MODIFIER) or ()]
        try:
            codes = [_CODES.get(str(item.get("CodeValue", ""))) for item in items]
        except Exception:  # pydicom raises of many kinds on damaged values
            raise InputError(f"{fields.path}: {keyword} cannot be read; export the scan again") from None
        known = [code for code in codes if code]
        found[keyword] = known[0] if known else OTHER if codes else None
    return found


def directions_in(fields: Fields, *, upright: bool) -> Directions:
    """Of each of ``DIRECTIONS`` what ``NO_DIRECTIONS`` lists, NaN where it is not there.

    ``upright``: whether the stored image's rows are the detector's. Raises InputError for what is no direction.
    """
    found = list[float]()
    for keyword, read in zip(DIRECTIONS, (_letters, _cosines), strict=True):
        value = fields.public(keyword, None)
        several = hasattr(value, "__iter__") and not isinstance(value, str)
        parts = [] if value is None else list(value) if several else [value]
        if not parts:
            found += NO_DIRECTIONS[:3]
            continue
        try:
            across, down = read([str(part).strip().upper() for part in parts])
        except (ValueError, KeyError, ZeroDivisionError):
            said = " and ".join(map(str, parts))[:60]
            raise InputError(
                f"{fields.path}: {keyword} is {said!r}, no two directions; export the scan "
                "again, or take it out"
            ) from None
        columns, rows = (across, down) if upright else (down, across)
        found += [columns[0], columns[1], rows[2]]
    return tuple(found)


def _letters(parts: Sequence[str]) -> tuple[Float64Array, Float64Array]:
    one, other = map(_direction, parts)
    return one, other


def _direction(word: str) -> Float64Array:
    """The first letter says most: LA is more to the left than to the front."""
    whole = np.zeros(3)
    weight, rest = 1.0, word
    while rest:
        size = 2 if rest[:2] in _LETTERS else 1
        axis = np.array(_LETTERS[rest[:size]])
        if whole @ axis:
            raise ValueError(word)
        whole += weight * axis
        weight, rest = 0.5 * weight, rest[size:]
    return _unit(whole)


def _cosines(parts: Sequence[str]) -> tuple[Float64Array, Float64Array]:
    row, column = np.array([float(part) for part in parts]).reshape(2, 3)
    return _unit(row), _unit(column)


def _unit(vector: Float64Array) -> Float64Array:
    length = float(np.linalg.norm(vector))
    if not 0 < length < math.inf:
        raise ValueError(length)
    return vector / length


def check_directions(
    folder: Path, directions: npt.NDArray[np.float32], angle_rad: Float64Array, axes: PatientAxes
) -> tuple[str, ...]:
    """Compare where the files say that rows and columns point with where they do.

    Args:
        folder: For messages.
        directions: ``[projections, 6]``, ``Directions`` of each.
        angle_rad: Of the focal centre, ``[projections]``, as ``axes`` turned it.
        axes: Of the patient.

    Returns:
        Notes on what is not of these views.

    Raises:
        InputError: Where all files say the opposite of what PatientPosition does.
    """
    notes = list[str]()
    for k, keyword in enumerate(DIRECTIONS):
        x, y, along = directions[:, 3 * k : 3 * k + 3].astype(np.float64).T
        there = ~np.isnan(x)
        if not there.any():
            continue
        if axes.position == NOBODY:
            notes.append(f"{keyword} names sides of a patient, but that nobody lay there was given; it was not used")
            continue
        # Columns follow each other with the angle, rows against z; x of the format's frame is to the patient's right.
        around = -axes.ends * (x * np.cos(angle_rad) + y * np.sin(angle_rad))[there]
        agree = (around, -axes.ends * along[there])
        if any(bool((one < -_AGREES).all()) for one in agree):
            raise InputError(
                f"{folder}: {keyword} says the opposite of PatientPosition {axes.position} with the angles: were the "
                "position wrong, left and right or front and back would be exchanged; export the scan again, or take "
                f"{keyword} out"
            )
        if not all(bool((one > _AGREES).all()) for one in agree):
            notes.append(
                f"{keyword} is not of these views, by PatientPosition {axes.position} and their angles (perhaps of "
                "slices); it was not used"
            )
        elif not there.all():
            notes.append(f"{keyword} stands in {int(there.sum())} of {there.size} files alone")
    return tuple(notes)
