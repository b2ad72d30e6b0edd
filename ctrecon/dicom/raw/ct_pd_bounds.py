"""What the numbers of a scanner can be: beyond these bounds a file is damaged, or in another unit.

Wide enough for any scanner of people ever built, and narrow enough that a value in cm, in degrees or with a digit too
many falls outside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ctrecon.dicom.raw import ct_pd_tags as tags
from ctrecon.errors import InputError


@dataclass(frozen=True)
class Bounds:
    """From ``low`` to ``high``, both allowed, and the unit in words."""

    low: float
    high: float
    unit: str

    def hold(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"from {self.low:g} to {self.high:g} {self.unit}".rstrip()


WATER = Bounds(0.01, 0.05, "1/mm")
PRIVATE = {
    tags.COLUMN_PITCH: Bounds(0.1, 200.0, "mm"),
    tags.ROW_PITCH: Bounds(0.2, 10.0, "mm"),
    tags.RADIUS: Bounds(200.0, 1200.0, "mm"),
    tags.DISTANCE: Bounds(300.0, 2500.0, "mm"),
    tags.ANGLE: Bounds(-1000 * math.pi, 1000 * math.pi, "rad"),
    tags.Z: Bounds(-5000.0, 5000.0, "mm"),
    tags.ANGLE_SHIFT: Bounds(-0.05, 0.05, "rad"),
    tags.Z_SHIFT: Bounds(-5.0, 5.0, "mm"),
    tags.RADIUS_SHIFT: Bounds(-30.0, 30.0, "mm"),
    tags.PER_TURN: Bounds(4, 20_000, "projections"),
    tags.WATER: WATER,
    tags.HU_FACTOR: WATER,
}
PHOTONS = Bounds(1e-3, 1e9, "photons")
PUBLIC = {
    "KVP": Bounds(20.0, 200.0, "kV"),
    "XRayTubeCurrent": Bounds(1.0, 2000.0, "mA"),
    "SpiralPitchFactor": Bounds(0.05, 4.0, ""),
    "GantryDetectorTilt": Bounds(-45.0, 45.0, "degrees"),
    "GantryDetectorSlew": Bounds(-45.0, 45.0, "degrees"),
    "DistanceSourceToDetector": Bounds(300.0, 2500.0, "mm"),
    "DistanceSourceToPatient": Bounds(200.0, 1200.0, "mm"),
    "DistanceSourceToIsocenter": Bounds(200.0, 1200.0, "mm"),
    "EstimatedRadiographicMagnificationFactor": Bounds(1.0, 10.0, ""),
    "ImagerPixelSpacing": Bounds(0.1, 200.0, "mm"),
    "SingleCollimationWidth": Bounds(0.1, 100.0, "mm"),
    "TableHeight": Bounds(-1000.0, 1000.0, "mm"),
    "TableFeedPerRotation": Bounds(0.0, 500.0, "mm"),
    "TableSpeed": Bounds(0.0, 1000.0, "mm/s"),
    "RevolutionTime": Bounds(0.1, 120.0, "s"),
    "TotalCollimationWidth": Bounds(0.1, 500.0, "mm"),
    "DataCollectionDiameter": Bounds(20.0, 1500.0, "mm"),
}
"""Of the standard's own attributes, where a file has them."""

LINE_INTEGRALS = Bounds(-5.0, 25.0, "")
"""exp(-25) of the photons is none at all, and no noise makes exp(5) times as many as were sent."""

# A gantry that says less is upright, as far as anyone adjusts it.
_UPRIGHT_DEG = 0.1
# Full angles of fan and cone, and how many columns a focal spot can fly.
_FAN = Bounds(0.3, 1.6, "rad")
_WIDEST_CONE_RAD = 0.4
_FARTHEST_COLUMNS = 1.5


def check_bounds(source: object, name: object, value: float, bounds: Bounds) -> float:
    """``value``, which ``name`` states. Raises InputError outside of the bounds."""
    if not bounds.hold(value):
        raise InputError(
            f"{source}: {name} is {value:g}, which no scanner has ({bounds}); is it in another unit? Export it again"
        )
    return value


def check_detector(
    source: object, *, columns: int, rows: int, column_pitch_mm: float, row_pitch_mm: float, radius_mm: float,
    distance_mm: float, centre: tuple[float, float],
) -> None:
    """Whether fan, cone, distances and centre go together. Raises InputError with the attribute to look at."""
    if not 1.1 <= distance_mm / radius_mm <= 4:
        raise InputError(
            f"{source}: {tags.DISTANCE} is {distance_mm:g} mm and {tags.RADIUS} {radius_mm:g} mm: the detector would "
            "not stand behind the patient; export the scan again"
        )
    fan = columns * column_pitch_mm / distance_mm
    if not _FAN.hold(fan):
        raise InputError(
            f"{source}: {columns} columns of {tags.COLUMN_PITCH} {column_pitch_mm:g} mm at {distance_mm:g} mm are a "
            f"fan of {fan:.3g} rad, no scanner's ({_FAN}); export the scan again"
        )
    cone = rows * row_pitch_mm / distance_mm
    if cone > _WIDEST_CONE_RAD:
        raise InputError(
            f"{source}: {rows} rows of {tags.ROW_PITCH} {row_pitch_mm:g} mm at {distance_mm:g} mm are a cone of "
            f"{cone:.3g} rad, wider than any scanner's ({_WIDEST_CONE_RAD:g}); export the scan again"
        )
    for what, place, count in zip(("column", "row"), centre, (columns, rows), strict=True):
        if abs(place - (count + 1) / 2) > max(1.0, count / 8):
            raise InputError(
                f"{source}: {tags.CENTRE} says that the middle of {count} {what}s is {place:g}; no scanner is so far "
                "off; export the scan again"
            )


def check_upright(source: object, tilt_deg: float | None, keyword: str) -> None:
    """Whether the rotation axis is the table's: the format has no place for another one. Raises InputError."""
    if tilt_deg is not None and abs(tilt_deg) > _UPRIGHT_DEG:
        raise InputError(
            f"{source}: {keyword} is {tilt_deg:g} degrees: the table does not move along the axis of "
            "rotation, and slices would stand askew in the patient; only scans with an upright gantry can be read"
        )


def check_shift(source: object, shift_rad: float, *, column_pitch_mm: float, distance_mm: float) -> None:
    """Whether a focal spot flies by less than a column or two. Raises InputError."""
    column = column_pitch_mm / distance_mm
    if abs(shift_rad) > _FARTHEST_COLUMNS * column:
        raise InputError(
            f"{source}: {tags.ANGLE_SHIFT} is {shift_rad:g} rad, {abs(shift_rad) / column:.3g} columns; no focal spot "
            "flies so far; export the scan again"
        )


def check_travel(source: object, *, helical: bool, feed_mm: float, collimation_mm: float) -> None:
    """Whether the table moves as the kind of scan says, at the axis ``collimation_mm`` are seen. Raises InputError.

    ``feed_mm``: per turn, of any kind.
    """
    if not helical:
        return
    if feed_mm == 0:
        raise InputError(
            f"{source}: {tags.KIND} is HELICAL, but {tags.Z} never changes; export the scan again"
        )
    found = feed_mm / collimation_mm
    if found > 4:
        raise InputError(
            f"{source}: by {tags.Z} the table moves {feed_mm:.4g} mm a turn, {found:.3g} times what the rows see at "
            "the axis; no scanner does; export the scan again"
        )
