"""The table of what the standard's attributes and the private ones both state of a scan, and the one rule over it.

The private attributes are what is reconstructed. One of the standard's that says otherwise shows that one of the two is
wrong: far off it is refused, since nobody can tell which; a little off, or where the standard leaves open what is
meant, it is named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ctrecon.dicom.raw import ct_pd_tags as tags
from ctrecon.errors import InputError
from ctrecon.measurement.terms import NOBODY

Value = float | str | tuple[float, ...] | None


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What the private attributes and the patient's position make of a scan, in mm and rad.

    ``turned_rad``: from the first view to the last, as the files count; ``feed_mm``: per turn, 0 of circles;
    ``position``: one of ``POSITIONS``, or ``NOBODY``; ``water_mu_per_mm``: None where nothing states it.
    """

    radius_mm: float
    distance_mm: float
    rows: int
    columns: int
    row_pitch_mm: float
    column_pitch_mm: float
    helical: bool
    turned_rad: float
    feed_mm: float
    position: str
    water_mu_per_mm: float | None

    @property
    def magnified(self) -> float:
        return self.distance_mm / self.radius_mm

    @property
    def rows_see_mm(self) -> float:
        """All rows, at the axis."""
        return self.rows * self.row_pitch_mm / self.magnified

    @property
    def field_mm(self) -> float:
        """The circle that the fan sees from every side."""
        return 2 * self.radius_mm * math.sin(self.columns / 2 * self.column_pitch_mm / self.distance_mm)


@dataclass(frozen=True)
class Contradiction:
    """What does not fit, as a clause that says what was used, but where it is ``refused``: too much to go on."""

    clause: str
    refused: bool


class Pair(Protocol):
    """One line of the table."""

    @property
    def keywords(self) -> tuple[str, ...]:
        """Of the standard's attributes."""

    def contradiction(self, stated: Mapping[str, Value], frame: Frame) -> Contradiction | None:
        """What is wrong between them and the private ones; None where both can be true, or nothing is stated."""


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """A number, or the product of several, that a scan's frame has too.

    ``found``: what the frame makes of it, one for each component that the attribute has; ``wrong`` and ``off``: by
    which share of the smaller it may differ before it is refused or named; ``helix``: of circles it says nothing.
    """

    keywords: tuple[str, ...]
    by: str
    found: Callable[[Frame], tuple[float, ...]]
    wrong: float
    off: float
    unit: str = "mm"
    helix: bool = False

    def contradiction(self, stated: Mapping[str, Value], frame: Frame) -> Contradiction | None:
        said = [_numbers(stated[keyword]) for keyword in self.keywords]
        if not all(said) or (self.helix and not frame.helical):
            return None
        values = tuple(math.prod(each) for each in zip(*said, strict=True))
        found = self.found(frame)
        apart = _apart(values, found)
        if apart <= self.off:
            return None
        each = " and ".join(f"{name} {_listed(one)}" for name, one in zip(self.keywords, said, strict=True))
        clause = f"{self.keywords[0]} is" if len(self.keywords) == 1 else f"{each} make"
        by = f"by {self.by} it is {_listed(found)} {self.unit}".rstrip()
        refused = apart > self.wrong
        used = "" if refused else ", which was used"
        return Contradiction(f"{clause} {_listed(values)} {self.unit}".rstrip() + f", {by}{used}", refused)


@dataclass(frozen=True, kw_only=True)
class Words:
    """Words that say what a scan's frame says too."""

    keywords: tuple[str, ...]
    judged: Callable[[str, str, Frame], Contradiction | None]

    def contradiction(self, stated: Mapping[str, Value], frame: Frame) -> Contradiction | None:
        [keyword] = self.keywords
        said = stated[keyword]
        return self.judged(keyword, str(said), frame) if said else None


def _numbers(value: Value) -> tuple[float, ...]:
    return (value,) if isinstance(value, float) else value if isinstance(value, tuple) else ()


def _apart(values: tuple[float, ...], found: tuple[float, ...]) -> float:
    """The largest share of the smaller one by which two differ."""
    ends = [sorted(pair) for pair in zip(values, found, strict=True)]
    return max(high / low - 1 if low > 0 else math.inf for low, high in ends)


def _listed(values: tuple[float, ...]) -> str:
    return " and ".join(f"{value:.5g}" for value in values)


_CIRCLES = ("SEQUENCED", "AXIAL", "CINE", "STATIONARY")
_HELIX = ("SPIRAL", "HELICAL")
_NO_TURN = ("CONSTANT_ANGLE", "SCOUT", "SURVIEW", "TOPOGRAM", "LOCALIZER")


def _kind(keyword: str, said: str, frame: Frame) -> Contradiction | None:
    if any(word in said for word in _NO_TURN):
        return Contradiction(f"{keyword} is {said[:40]!r}, of a view from one side, but {tags.ANGLE} turns", True)
    circles, helix = (any(word in said for word in words) for words in (_CIRCLES, _HELIX))
    if (circles and not helix and frame.helical) or (helix and not circles and not frame.helical):
        kind = "HELICAL" if frame.helical else "AXIAL"
        return Contradiction(f"{keyword} is {said[:40]!r}, {tags.KIND} {kind}", True)
    return None


def _sense(keyword: str, said: str, frame: Frame) -> Contradiction | None:
    """The angle grows from the top to the left, as seen by who stands at the table before the gantry."""
    if frame.turned_rad == 0 or (said == "CC") == (frame.turned_rad > 0):
        return None
    way = "counter-clockwise" if frame.turned_rad > 0 else "clockwise"
    return Contradiction(
        f"{keyword} is {said}, by {tags.ANGLE} the tube turns {way} as seen from the table; the standard does not say "
        "from which side, so the angles were used; were they wrong, left and right would be exchanged", False,
    )  # fmt: skip


def _loss(keyword: str, said: str, frame: Frame) -> Contradiction | None:
    return None if said != "01" else Contradiction(
        f"{keyword} says that pixels were compressed with loss, which no variance accounts for", False
    )


def _position(keyword: str, said: str, frame: Frame) -> Contradiction | None:
    """``said``: what of PatientPosition the coded attribute says, or ``OTHER``."""
    if frame.position == NOBODY:
        return Contradiction(f"{keyword} says how a patient lay, but that nobody lay there was given; it was not "
                             "used", False)  # fmt: skip
    if said == OTHER:
        return Contradiction(f"{keyword} holds a code of no position that is known here; PatientPosition "
                             f"{frame.position} was used", False)  # fmt: skip
    fits = frame.position.startswith(said) if said in ENTRIES else frame.position[2:] == said
    return None if fits else Contradiction(
        f"{keyword} says {ENTRIES.get(said) or LYING[said]}, PatientPosition {frame.position}: were it wrong, left and "
        "right or front and back would be exchanged", True,
    )  # fmt: skip


OTHER = "another"
ENTRIES = {"HF": "head first", "FF": "feet first"}
LYING = {"S": "supine", "P": "prone", "DR": "on the right side", "DL": "on the left side"}
"""What PatientPosition is made of."""

_WRONG, _OFF = 0.03, 0.005
_FEED_WRONG, _FEED_OFF = 0.05, 0.01
_ROWS = f"{tags.ROW_PITCH} and {tags.ROWS}"


def _length(keyword: str, by: object, found: Callable[[Frame], float], wrong: float = _WRONG, off: float = _OFF,
            *, unit: str = "mm", helix: bool = False) -> Numbers:  # fmt: skip
    return Numbers(
        keywords=(keyword,), by=str(by), found=lambda frame: (found(frame),), wrong=wrong, off=off, unit=unit,
        helix=helix,
    )  # fmt: skip


TABLE: tuple[Pair, ...] = (
    *(Words(keywords=(keyword,), judged=_kind) for keyword in ("AcquisitionType", "ScanOptions")),
    Words(keywords=("LossyImageCompression",), judged=_loss),
    _length("DistanceSourceToDetector", tags.DISTANCE, lambda frame: frame.distance_mm),
    _length("DistanceSourceToPatient", tags.RADIUS, lambda frame: frame.radius_mm),
    _length("DistanceSourceToIsocenter", tags.RADIUS, lambda frame: frame.radius_mm),
    _length("EstimatedRadiographicMagnificationFactor", f"{tags.DISTANCE} and {tags.RADIUS}",
            lambda frame: frame.magnified, unit=""),
    Numbers(keywords=("ImagerPixelSpacing",), by=f"{tags.COLUMN_PITCH} and {tags.ROW_PITCH}", wrong=_WRONG, off=_OFF,
            found=lambda frame: (frame.column_pitch_mm, frame.row_pitch_mm)),
    _length(tags.HU_FACTOR.name, tags.WATER, lambda frame: frame.water_mu_per_mm or math.nan, unit="1/mm"),
    _length("SingleCollimationWidth", tags.ROW_PITCH, lambda frame: frame.row_pitch_mm / frame.magnified, 1.5, 0.05),
    _length("TotalCollimationWidth", _ROWS, lambda frame: frame.rows_see_mm, 1.5, 0.05),
    _length("DataCollectionDiameter", "the fan of (7029,1002) and (7029,1011)", lambda frame: frame.field_mm,
            math.inf, 0.1),
    _length("SpiralPitchFactor", f"{tags.Z} and {tags.ROW_PITCH}", lambda frame: frame.feed_mm / frame.rows_see_mm,
            1.5, 0.05, unit="", helix=True),
    _length("TableFeedPerRotation", tags.Z, lambda frame: frame.feed_mm, _FEED_WRONG, _FEED_OFF, helix=True),
    Numbers(keywords=("TableSpeed", "RevolutionTime"), by=str(tags.Z), found=lambda frame: (frame.feed_mm,),
            wrong=_FEED_WRONG, off=_FEED_OFF, helix=True),
    Words(keywords=("RotationDirection",), judged=_sense),
    *(Words(keywords=(keyword,), judged=_position)
      for keyword in ("PatientOrientationCodeSequence", "PatientGantryRelationshipCodeSequence")),
)  # fmt: skip


def check_pairs(folder: Path, stated: Mapping[str, Value], frame: Frame) -> tuple[str, ...]:
    """Compare what all files state with what the private attributes state.

    Args:
        folder: For messages.
        stated: By keyword, None for what the files do not say.
        frame: Of the private attributes.

    Returns:
        Notes on what does not fit, and what was used.

    Raises:
        InputError: Where one of the two must be wrong.
    """
    found = [wrong for pair in TABLE if (wrong := pair.contradiction(stated, frame)) is not None]
    for wrong in found:
        if wrong.refused:
            raise InputError(
                f"{folder}: {wrong.clause}; one of them is wrong: export the scan again, or take out the one that is"
            )
    return tuple(wrong.clause for wrong in found)
