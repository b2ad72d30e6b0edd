"""Where images of one set differ: pixel by pixel, and in discs against their surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctrecon.auditing.regions import Region, Ring
from ctrecon.auditing.tiles import default_radius, tile_up
from ctrecon.support.arrays import Array, Float32Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Spot:
    """One disc: its contrast to the surroundings in each image, the certified one first."""

    region: Region
    column: float
    row: float
    contrasts: tuple[float, ...]

    @property
    def range(self) -> float:
        return max(self.contrasts) - min(self.contrasts)


def spots(
    images: Sequence[Array], *, radius: float | None = None, ring: Ring | None = None, most: int | None = None
) -> tuple[Spot, ...]:
    """The discs of the audit's map in which the contrast differs most between images ``[rows, columns]``.

    Args:
        images: Of one shape.
        radius: Of the discs in pixels; None for a sixteenth of the image's shorter side.
        ring: Their surroundings.
        most: So many at most; None for all.

    Returns:
        Those of the largest range first.

    Raises:
        SettingError: For a radius with which no disc fits the image.
    """
    shape = (int(images[0].shape[0]), int(images[0].shape[1]))
    places = tile_up(shape, default_radius(shape) if radius is None else radius, Ring() if ring is None else ring)
    found = []
    for column, row, region in places:
        contrasts = tuple(float(np.vdot(region.functional, image)) for image in images)
        found.append(Spot(region=region, column=column, row=row, contrasts=contrasts))
    found.sort(key=lambda spot: -spot.range)
    return tuple(found[:most])


def range_of(images: Sequence[Array]) -> Float32Array:
    """Per pixel the largest value less the smallest, ``[rows, columns]``."""
    stack = np.stack(images).astype(np.float64)
    return np.asarray((stack.max(axis=0) - stack.min(axis=0)).astype(np.float32))


def deviation_of(images: Sequence[Array]) -> Float32Array:
    """Per pixel the root of the mean squared distance from the mean."""
    return np.asarray(np.stack(images).astype(np.float64).std(axis=0).astype(np.float32))
