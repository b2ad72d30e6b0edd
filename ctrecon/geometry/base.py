"""Where source, detector and image stand: frozen geometries in mm and radians, after ASTRA's conventions.

Image axes: x grows with the column index, y falls with the row index; the rotation axis is the origin, by default the
middle of the image. At angle ``theta`` the detector axis points along ``(cos theta, sin theta)`` and rays travel along
``(-sin theta, cos theta)`` (fan) or its opposite (parallel, where the sense does not matter): at angle 0 the fan's
source stands below the image, at ``(0, -source_to_axis_mm)``, and moves counter-clockwise.
``docs/units.md`` draws all this; ``as_json.py`` reads and writes it as JSON.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.checks import MAX_RAYS_PER_CELL, PerView, count
from ctrecon.geometry.vectors import Vectors
from ctrecon.support.arguments import checked_with, shown
from ctrecon.support.arrays import Array, Float64Array


@dataclass(frozen=True, kw_only=True)
class Orbit:
    """A stated symmetry: one scanner that turns about the rotation axis.

    Filtered back projection, the search for the axis and the noise of whole turns rest on it.

    Args:
        angles_rad: of each view; at 0 the source stands below the image.
        detector_offset_mm: from where the axis projects to the detector's middle, along the detector.
        source_to_axis_mm: None for parallel rays.
        source_to_detector_mm: along the central ray, None for parallel rays.
        curved: whether the detector is an arc about the (nominal) source.
        steady: False where source or detector leave their nominal places from view to view.
    """

    angles_rad: tuple[float, ...]
    detector_offset_mm: float = 0.0
    source_to_axis_mm: float | None = None
    source_to_detector_mm: float | None = None
    curved: bool = False
    steady: bool = True

    @property
    def parallel(self) -> bool:
        return self.source_to_axis_mm is None

    def fan_angle_rad(self, s_mm: Float64Array) -> Float64Array:
        """The angle between the central ray and the ray to a place on the detector.

        Args:
            s_mm: Places along the detector from where the axis projects, in mm, any shape.

        Returns:
            Angles in rad, of the same shape; 0 for parallel rays.
        """
        if self.source_to_detector_mm is None:
            return np.zeros_like(s_mm)
        if self.curved:
            return s_mm / self.source_to_detector_mm
        return np.arctan2(s_mm, self.source_to_detector_mm)


class Geometry(ABC):
    """What a scanner is to this library: which straight lines it measures.

    A new geometry is one file with one frozen, keyword-only dataclass that has ``kind``, ``title``, ``detector_count``,
    ``detector_spacing_mm`` and ``to_vectors``, and one line ``register(...)`` (``as_json.py``). All else follows, JSON
    from the fields; what has one entry for each view is made by ``checks.each_view``. ``orbit`` and ``with_center`` are
    for those that have them: what needs one refuses the others by name.
    """

    kind: ClassVar[str]
    """Its name in JSON files."""
    title: ClassVar[str]
    """Its name for people."""
    detector_count: int
    detector_spacing_mm: float

    @abstractmethod
    def to_vectors(self) -> Vectors:
        """Where source and detector stand, view by view.

        Returns:
            Places in mm and axes of length one, ``[views, 3]``, as (x, y, z); z is 0 in the plane.
        """

    @property
    def shape(self) -> tuple[int, ...]:
        """``(views, detectors)``, the shape of one sinogram; in space ``(views, rows, columns)``."""
        return self.to_vectors().shape

    @property
    def orbit(self) -> Orbit | None:
        """The symmetry of a scanner that turns about the axis; None where there is none."""
        return None

    @checked_with(GeometryError)
    def rays(self, views: slice = slice(None), *, per_cell: int = 1) -> tuple[Float64Array, Float64Array]:
        """The lines that are measured in the plane.

        Args:
            views: which views.
            per_cell: how many rays to each cell, evenly spread along the row.

        Returns:
            A point on each ray and its direction (of any length), both ``[views, detectors * per_cell, 2]`` as (x, y)
            in mm.

        Raises:
            GeometryError: for a geometry in space, and for another number of rays than 1 to 1000.
        """
        vectors = self.to_vectors()
        if not vectors.planar:
            raise GeometryError(
                f"{type(self).__name__} measures in space and has no rays in the plane, which are needed here; rebin "
                "the scan to slices"
            )
        points, directions = vectors.views(views).split(count("per_cell", per_cell, MAX_RAYS_PER_CELL)).rays()
        return points[:, 0, :, :2], directions[:, 0, :, :2]

    @checked_with(GeometryError)
    def views(self, index: slice | Sequence[int] | Array) -> Self:
        """The same scanner with some of its views.

        Args:
            index: A slice, or the numbers of the views from 0.

        Returns:
            A geometry of the same class.

        Raises:
            GeometryError: where no view is left, a view is not there, or the class's entries for each view were not
                made by ``checks.each_view``.
        """
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        listed = {name: value for name, value in fields.items() if isinstance(value, PerView)}
        views = range(self.shape[0])
        try:
            kept = views[index] if isinstance(index, slice) else [views[number] for number in index]
        except (IndexError, TypeError):
            raise GeometryError(f"the views are whole numbers from 0 to {len(views) - 1}, not {shown(index)}") from None
        if not kept:
            raise GeometryError(f"no view of {len(views)} is left by {shown(index)}; keep at least one")
        cut = {name: PerView(value[number] for number in kept) for name, value in listed.items()}
        some = dataclasses.replace(self, **cut)  # type: ignore[type-var]
        if some.shape[0] != len(kept):
            raise GeometryError(
                f"{type(self).__name__} has {some.shape[0]} views after some were chosen: make what has one entry for "
                "each view by checks.each_view, or give it a method views"
            )
        return some

    def with_center(self, column: float) -> Self:
        """The same scanner with the rotation axis projecting to another column of the detector.

        Args:
            column: 0-based, whole at a cell's centre.

        Returns:
            A geometry of the same class.

        Raises:
            GeometryError: for a geometry that does not state how its axis is moved, or a column that the detector does
                not have.
        """
        raise missing(self, "with_center", "moving the rotation axis (--center)", "state it in the geometry's own file")

    def to_dict(self) -> dict[str, Any]:
        """Its JSON: the fields by name, but those that are None.

        Returns:
            ``geometry``, which is its kind, and the fields in mm and rad; lists have one entry for each view.
        """
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        listed = {
            name: [list(entry) if isinstance(entry, tuple) else entry for entry in value]
            if isinstance(value, tuple) else value
            for name, value in fields.items() if value is not None
        }
        return {"geometry": self.kind, **listed}


def missing(geometry: Geometry, member: str, what: str, remedy: str) -> GeometryError:
    """The error that says that ``what`` needs a ``member`` that the geometry does not have."""
    name = type(geometry).__name__
    return GeometryError(f"{what} needs {name}.{member}, which this geometry does not state; {remedy}")


def orbit_of(geometry: Geometry, what: str, remedy: str) -> Orbit:
    """The geometry's orbit. Raises GeometryError that says ``what`` needs it, where there is none."""
    orbit: Orbit | None = getattr(geometry, "orbit", None)  # also of what is no geometry at all
    if orbit is None:
        raise missing(geometry, "orbit", what, remedy)
    return orbit


def turned_axes(angles_rad: tuple[float, ...]) -> tuple[Float64Array, Float64Array]:
    """Of each view the detector's axis and the direction of the central ray, ``[views, 2]``."""
    angles = np.asarray(angles_rad)
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([cos, sin], axis=1), np.stack([-sin, cos], axis=1)


