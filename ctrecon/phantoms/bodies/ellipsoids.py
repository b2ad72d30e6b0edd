"""Ellipsoids: a body with holes and inserts, with or without a wall, or a loose set of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrecon.phantoms.body_family import Inside, grains
from ctrecon.phantoms.solids import Body, Ellipsoid, Solid

PLACE = 10


@dataclass(frozen=True)
class Ellipsoids:
    """One body with holes and inserts, or, in a quarter, none around them."""

    name: str = "ellipsoids"

    def sample(self, rng: np.random.Generator) -> Body:
        if rng.random() < 0.25:
            room = Inside((0.0, 0.0, 0.0), (0.95, 0.95, 0.95))
            return Body(tuple(grains(rng, room, int(rng.integers(15, 50)), (0.05, 0.45), (0.3, 1.6))))
        a, b, c = (float(part) for part in rng.uniform(0.6, 0.95, 3))
        value, turn = float(rng.uniform(0.6, 1.2)), float(rng.uniform(0, np.pi))
        parts: list[Solid] = [Ellipsoid(center=(0, 0, 0), semi_axes=(a, b, c), value=value, angle_rad=turn)]
        wall = 1.0
        if rng.random() < 0.5:
            # A wall of another material, as of a bottle.
            wall, within = float(rng.uniform(0.85, 0.96)), float(rng.uniform(0.3, 0.9)) * value
            inner = (a * wall, b * wall, c * wall)
            parts.append(Ellipsoid(center=(0, 0, 0), semi_axes=inner, value=within - value, angle_rad=turn))
            value = within
        # Whichever way the body is turned, this much lies within.
        least = min(a, b) * wall
        room = Inside((0, 0, 0), (least, least, c * wall))
        contrast = float(rng.uniform(0.15, 1.0)) * value
        parts += grains(rng, room, int(rng.integers(8, 50)), (0.02, 0.3), (-contrast, contrast))
        return Body(tuple(parts))
