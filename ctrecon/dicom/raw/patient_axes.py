"""From the gantry to the patient: where a scan's numbers stand once its frame is turned to how the patient lay.

The format's frame is the scanner's, as somebody sees it who stands before the gantry, at the table: x to the right, y
up, z out of the gantry. The images here have x to the patient's left, y to the front and z to the head, whichever way
the patient lay. For a patient lying feet first on the back these differ by x = -x, and ``projections.py`` reads a scan
as if of one. Any other position is that scan, seen after a turn of the frame (docs/projections.md derives them):

    head first     half a turn about the vertical, (x, y, z) -> (-x, y, -z):    angles -> -angles, rows and columns
                   change ends, and heights and shifts their sign
    prone          half a turn about z:                                        angles + pi
    on the right   the left side is up, a quarter turn about z:                angles + pi/2
    on the left    the right side is up, a quarter turn back:                  angles - pi/2

What is no patient keeps the scanner's axes: x to the right as seen from the table, y up, z into the gantry, which are
those of a patient lying head first on the back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctrecon.measurement.patient_position import position_of
from ctrecon.measurement.terms import NOBODY, PatientPosition
from ctrecon.support.arrays import Array, Float64Array

_TURN_RAD = {"S": 0.0, "P": math.pi, "DR": math.pi / 2, "DL": -math.pi / 2}


@dataclass(frozen=True)
class PatientAxes:
    """The turn from the scanner's frame to that of a patient in ``position``, of ``POSITIONS`` or ``NOBODY``."""

    position: PatientPosition

    def __post_init__(self) -> None:
        position_of("the scan", self.position)

    @property
    def ends(self) -> int:
        """-1 where the frame's sense along the axis changes, so that rows and columns change ends; else 1."""
        return -1 if self._as.startswith("HF") else 1

    @property
    def turn_rad(self) -> float:
        return _TURN_RAD[self._as[2:]]

    @property
    def _as(self) -> str:
        """The position of a patient whose axes these are."""
        return "HFS" if self.position == NOBODY else self.position

    def angles(self, angle_rad: Float64Array) -> Float64Array:
        """Turn angles.

        Args:
            angle_rad: Of the focal centre in the scanner's frame, in rad, any shape.

        Returns:
            In the patient's frame, in rad.
        """
        return self.ends * angle_rad + self.turn_rad

    def along(self, values: Float64Array) -> Float64Array:
        """Turn what has a sense along the axis or about it.

        Args:
            values: Heights, or shifts in height or angle, any shape and unit.

        Returns:
            The same in the patient's frame.
        """
        return self.ends * values

    def cells(self, values: Array) -> Array:
        """Turn values of a detector.

        Args:
            values: ``[rows, columns]`` or ``[columns]``.

        Returns:
            In the patient's order: rows and columns change ends where ``ends`` is -1.
        """
        return values if self.ends == 1 else np.flip(values)

    def centre(self, centre: tuple[float, float], columns: int, rows: int) -> tuple[float, float]:
        """Turn the central column and row, counted from 1.

        Args:
            centre: Column and row as the file says them.
            columns: Of the detector.
            rows: Of the detector.

        Returns:
            Column and row in the order of ``cells``.
        """
        column, row = centre
        return centre if self.ends == 1 else (columns + 1 - column, rows + 1 - row)
