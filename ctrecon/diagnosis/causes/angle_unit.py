"""Angles in degrees where radians are stated, or converted once too often."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.suggestion import Suggestion, changed, with_geometry
from ctrecon.measurement.scan import Scan

PLACE = 30

_TURN_DEG = 360.0


def angle_unit(scan: Scan) -> Iterator[Suggestion]:
    """Angles of several turns read as degrees, angles of almost no turn as converted twice."""
    angles = getattr(scan.geometry, "angles_rad", None)
    if angles is None or len(angles) < 2:
        return
    span = float(np.ptp(angles))
    if 3 * math.pi < span <= 2.1 * _TURN_DEG:
        degrees = tuple(math.radians(angle) for angle in angles)
        yield Suggestion(
            cause="angles-in-degrees", words="the angles are in degrees and were taken for radians",
            scan=with_geometry(scan, changed(scan.geometry, angles_rad=degrees)),
        )  # fmt: skip
    if 0 < span <= math.radians(2.1 * 2 * math.pi):
        radians = tuple(math.degrees(angle) for angle in angles)
        yield Suggestion(
            cause="angles-converted-twice", words="the angles were divided by 57.3 once too often",
            scan=with_geometry(scan, changed(scan.geometry, angles_rad=radians)),
        )  # fmt: skip
