"""What every family of bodies is, and how parts find their place in one."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from ctrecon.phantoms.shapes import log_uniform
from ctrecon.phantoms.solids import Body, Ellipsoid

Point = tuple[float, float, float]


class BodyFamily(Protocol):
    """A kind of body: one file with one frozen class."""

    @property
    def name(self) -> str: ...

    def sample(self, rng: np.random.Generator) -> Body:
        """A body in the unit ball, nowhere negative, water about 1; the same generator state gives the same one."""
        ...


class Inside:
    """Room for balls inside an ellipsoid about ``center`` that stands upright; what is taken does not overlap."""

    def __init__(self, center: Point, semi_axes: Point) -> None:
        self._center, self._axes = np.asarray(center), np.asarray(semi_axes)
        self._taken: list[tuple[np.ndarray, float]] = []

    def take(self, rng: np.random.Generator, radius: float, tries: int = 30) -> Point | None:
        """Where a ball of ``radius`` fits among those taken, and is taken now; None where no try found room."""
        room = self._axes - radius
        if (room <= 0).any():
            return None
        for _ in range(tries):
            direction = rng.normal(size=3)
            # Even over the ellipsoid's volume.
            inside = direction / np.linalg.norm(direction) * rng.uniform() ** (1 / 3)
            place = self._center + room * inside
            if all(np.linalg.norm(place - other) > radius + away for other, away in self._taken):
                self._taken.append((place, radius))
                return float(place[0]), float(place[1]), float(place[2])
        return None

    def keep(self, center: Point, radius: float) -> None:
        """Keep a ball free of others."""
        self._taken.append((np.asarray(center), radius))


def grains(
    rng: np.random.Generator, room: Inside, count: int, radii: tuple[float, float], values: tuple[float, float]
) -> list[Ellipsoid]:
    """Up to ``count`` ellipsoids of any lengths up to a radius each, wherever there is room; the large ones first."""
    found = []
    for radius in sorted((log_uniform(rng, *radii) for _ in range(count)), reverse=True):
        place = room.take(rng, radius)
        if place is not None:
            a, b, c = (radius * float(part) for part in rng.uniform(0.4, 1.0, 3))
            angle, value = float(rng.uniform(0, math.pi)), float(rng.uniform(*values))
            found.append(Ellipsoid(center=place, semi_axes=(a, b, c), value=value, angle_rad=angle))
    return found
