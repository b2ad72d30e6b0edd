"""Cone beams on flat detectors: in a circle about the axis, and along a helix.

The axis of rotation is z. A detector that does not lean has level rows and columns parallel to the axis.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import Orbit, turned_axes
from ctrecon.geometry.checks import finite, positive
from ctrecon.geometry.detector_rows import DetectorRows
from ctrecon.geometry.fan import check_distances
from ctrecon.geometry.registry import register
from ctrecon.geometry.vectors import Vectors
from ctrecon.support.arrays import Float64Array

_WIDEST_RAD = 1.0


@register
@dataclass(frozen=True, kw_only=True)
class ConeBeam(DetectorRows):
    """A point source on a circle about the axis and a flat detector opposite. Lengths in mm.

    Args:
        angles_rad: of each view; angles, axes and columns are those of ``FanBeam``.
        detector_count: columns of cells.
        detector_rows: rows of cells; row 0 is the lowest.
        detector_spacing_mm: from column to column.
        detector_row_spacing_mm: from row to row.
        detector_offset_mm: from the central ray to the detector's middle, along the rows.
        detector_row_offset_mm: the same along the columns, upwards.
        source_to_axis_mm: the circle's radius.
        source_to_detector_mm: along the central ray.
        roll_rad: the detector turned in its own plane about its middle, from its rows' direction towards its columns'.
        tilt_rad: then leaning about its rows: its upper edge goes away from the source.
        swivel_rad: then turned about the vertical through its middle, counter-clockwise as seen from above.

    Raises:
        GeometryError: for what cannot be.
    """

    kind: ClassVar[str] = "cone"
    title: ClassVar[str] = "cone beam, flat detector"

    source_to_axis_mm: float
    source_to_detector_mm: float
    roll_rad: float = 0.0
    tilt_rad: float = 0.0
    swivel_rad: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("source_to_axis_mm", "source_to_detector_mm"):
            object.__setattr__(self, name, positive(name, getattr(self, name)))
        for name in ("roll_rad", "tilt_rad", "swivel_rad"):
            object.__setattr__(self, name, finite(name, getattr(self, name)))
        for name in ("tilt_rad", "swivel_rad"):
            if abs(getattr(self, name)) > _WIDEST_RAD:
                raise GeometryError(
                    f"{name} must be from -{_WIDEST_RAD:g} to {_WIDEST_RAD:g}, got {getattr(self, name)}; is it in "
                    "degrees?"
                )
        check_distances(self.source_to_axis_mm, self.source_to_detector_mm)

    @property
    def upright(self) -> bool:
        """Whether the detector neither rolls, leans nor swivels."""
        return not (self.roll_rad or self.tilt_rad or self.swivel_rad)

    @property
    def orbit(self) -> Orbit:
        return Orbit(
            angles_rad=self.angles_rad, detector_offset_mm=self.detector_offset_mm,
            source_to_axis_mm=self.source_to_axis_mm, source_to_detector_mm=self.source_to_detector_mm,
            steady=self.upright,
        )

    def heights_mm(self) -> Float64Array:
        """How high the source stands.

        Returns:
            The z of the source in each view, ``[views]``, in mm: 0 on a circle.
        """
        return np.zeros(len(self.angles_rad))

    def to_vectors(self) -> Vectors:
        """The geometry as free vectors in space.

        Returns:
            Source, middle of the detector and its two axes in each view, in mm.
        """
        across, along = turned_axes(self.angles_rad)
        z, up = self.heights_mm()[:, None], np.broadcast_to([0.0, 0.0, 1.0], (len(self.angles_rad), 3))
        behind = self.source_to_detector_mm - self.source_to_axis_mm
        middle = behind * along + self.detector_offset_mm * across
        u, v = self._leaning(np.pad(across, ((0, 0), (0, 1))), np.pad(along, ((0, 0), (0, 1))), up)
        return Vectors(
            parallel=False, source=np.hstack([-self.source_to_axis_mm * along, z]),
            detector=np.hstack([middle, z + self.detector_row_offset_mm]), u=u, v=v,
            rows=self.detector_rows, columns=self.detector_count, row_mm=self.detector_row_spacing_mm,
            column_mm=self.detector_spacing_mm,
        )

    def _leaning(
        self, across: Float64Array, along: Float64Array, up: Float64Array
    ) -> tuple[Float64Array, Float64Array]:
        """Rolled, tilted, swivelled: the detector's axes from those of an upright one."""
        if self.upright:
            return across, up
        # Tilt and swivel turn the upright axes; the roll is within the plane that comes of it.
        sine, cosine = math.sin(self.swivel_rad), math.cos(self.swivel_rad)
        across, along = cosine * across + sine * along, cosine * along - sine * across
        up = math.cos(self.tilt_rad) * up + math.sin(self.tilt_rad) * along
        sine, cosine = math.sin(self.roll_rad), math.cos(self.roll_rad)
        return cosine * across + sine * up, cosine * up - sine * across


@register
@dataclass(frozen=True, kw_only=True)
class HelicalCone(ConeBeam):
    """A cone beam that climbs with its angle: ``z = start_mm + pitch_mm (theta - theta_0) / (2 pi)``.

    Args:
        pitch_mm: how far source and detector climb in a turn; below 0 they descend.
        start_mm: the z of view 0.
        first_angle_rad: the angle at which the helix is at ``start_mm``; None takes that of view 0, and writes it
            down so that ``views`` keeps it.
    """

    kind: ClassVar[str] = "helical-cone"
    title: ClassVar[str] = "helical cone beam, flat detector"

    pitch_mm: float
    start_mm: float = 0.0
    first_angle_rad: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        first = self.angles_rad[0] if self.first_angle_rad is None else self.first_angle_rad
        for name, value in (("pitch_mm", self.pitch_mm), ("start_mm", self.start_mm), ("first_angle_rad", first)):
            object.__setattr__(self, name, finite(name, value))

    @property
    def orbit(self) -> Orbit:
        """That of a turning scanner, not steady: it climbs."""
        return dataclasses.replace(super().orbit, steady=False)

    def heights_mm(self) -> Float64Array:
        """How high the source stands: ``start_mm + pitch_mm t / (2 pi)`` after a turn by t since the first view.

        Returns:
            The z of the source in each view, ``[views]``, in mm.
        """
        assert self.first_angle_rad is not None
        turned = np.asarray(self.angles_rad) - self.first_angle_rad
        climbed: Float64Array = self.start_mm + self.pitch_mm * turned / (2 * math.pi)
        return climbed
