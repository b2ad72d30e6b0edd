"""Heads in space: skin, skull, fluid, brain, ventricles, sinuses and eyes, dense bone at the base, lesions.

A randomised relative of the three-dimensional phantoms of Shepp and Logan (1974) and of FORBILD; the crown is up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrecon.phantoms.body_family import Inside, grains
from ctrecon.phantoms.shapes import AIR, log_uniform
from ctrecon.phantoms.solids import Body, Ellipsoid, Solid

PLACE = 20

SKIN, FLUID = 1.0, 1.01


@dataclass(frozen=True)
class Head:
    """The face looks along y."""

    name: str = "head"

    def sample(self, rng: np.random.Generator) -> Body:
        a, b, c = rng.uniform(0.65, 0.78), rng.uniform(0.82, 0.92), rng.uniform(0.8, 0.92)
        bone, contrast = rng.uniform(1.5, 2.1), log_uniform(rng, 1.0, 6.0)
        brain = FLUID + 0.03 * contrast
        skull = rng.uniform(0.91, 0.96)
        cavity = skull - rng.uniform(0.05, 0.11)
        lobes = cavity * rng.uniform(0.95, 0.985)
        parts: list[Solid] = [
            _about(a, b, c, SKIN), _about(a * skull, b * skull, c * skull, bone - SKIN),
            _about(a * cavity, b * cavity, c * cavity, FLUID - bone),
            _about(a * lobes, b * lobes, c * lobes, brain - FLUID),
        ]  # fmt: skip
        room = Inside((0, 0, 0), (a * lobes, b * lobes, c * lobes))
        size = rng.uniform(0.6, 1.2)
        for side in (-1, 1):
            # A lateral ventricle: a leaning pair of ellipsoids, one before and one behind.
            for y, turn in ((0.14, 0.35), (-0.2, -0.3)):
                centre = (side * 0.12 * a, y * b, 0.1 * c)
                axes = (0.06 * size * a, 0.17 * size * b, 0.12 * size * c)
                parts.append(Ellipsoid(center=centre, semi_axes=axes, value=FLUID - brain, angle_rad=side * turn))
                room.keep(centre, max(axes))
            eye = (side * 0.33 * a, 0.5 * b, -0.3 * c)
            ball = 0.11 * float(rng.uniform(0.8, 1.2))
            parts.append(Ellipsoid(center=eye, semi_axes=(ball, ball, ball), value=FLUID - brain))
            room.keep(eye, ball)
            # The dense bone around the inner ear, with air beside it.
            ear = (side * 0.42 * a, -0.12 * b, -0.5 * c)
            parts.append(Ellipsoid(center=ear, semi_axes=(0.16, 0.07, 0.06), value=bone - brain, angle_rad=-side * 0.6))
            room.keep(ear, 0.16)
        nose = (0.0, 0.36 * b, -0.5 * c)
        parts.append(Ellipsoid(center=nose, semi_axes=(0.08, 0.16, 0.1), value=AIR - brain))
        room.keep(nose, 0.16)
        raised = 0.03 * contrast
        parts += grains(rng, room, int(rng.integers(4, 20)), (0.015, 0.1), (-raised, 2 * raised))
        return Body(tuple(parts))


def _about(a: float, b: float, c: float, value: float) -> Ellipsoid:
    return Ellipsoid(center=(0.0, 0.0, 0.0), semi_axes=(a, b, c), value=value)
