"""Texture: bodies full of soft blobs at many scales, with a few sharp inclusions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctrecon.phantoms.base import Phantom, Primitive
from ctrecon.phantoms.ellipse import Ellipse
from ctrecon.phantoms.gaussian import Gaussian
from ctrecon.phantoms.shapes import AIR, Room, clearance, filled, log_uniform, outline

PLACE = 50


@dataclass(frozen=True)
class Textured:
    """Blobs only add, on a base that is lowered for them, so the sum is positive and reads as light and dark."""

    name: str = "textured"

    def sample(self, rng: np.random.Generator) -> Phantom:
        axes = (rng.uniform(0.75, 0.96), rng.uniform(0.65, 0.96))
        walls = outline(
            rng, (0.0, 0.0), axes, angle_rad=rng.uniform(0, math.pi), roughness=rng.uniform(0, 0.08), count=64
        )
        base = rng.uniform(0.35, 0.9)
        parts: list[Primitive] = [filled(walls, base)]
        # Sharp things first; blobs lie over them as they come.
        room = Room(walls)
        for _ in range(rng.integers(0, 7)):
            radius = log_uniform(rng, 0.03, 0.25)
            place = room.take(rng, radius)
            if place is not None:
                value = rng.uniform(0.1, 0.5) if rng.random() < 0.6 else AIR - base * rng.uniform(0.3, 1)
                shape = outline(rng, place, (radius, radius * rng.uniform(0.5, 1)), roughness=0.1, count=32)
                parts.append(filled(shape, value))
        height = rng.uniform(0.08, 0.35)
        # One direction for all: fibres, or layers, or (round blobs) none.
        grain, aspect, mess = rng.uniform(0, math.pi), log_uniform(rng, 0.2, 1.0), rng.uniform(0.1, 1.5)
        finest = log_uniform(rng, 0.01, 0.03)
        count = int(rng.integers(40, 90))
        places = rng.uniform(-1, 1, size=(4 * count, 2))
        inside = clearance(walls, places)
        for (x, y), free in zip(places[inside > 0.05].tolist(), inside[inside > 0.05].tolist(), strict=True):
            if len(parts) >= count:
                break
            # Blobs stay inside: their tails fall below 5% at the wall.
            width = min(log_uniform(rng, finest, 0.16), free / 2.5)
            parts.append(
                Gaussian(
                    center=(x, y),
                    widths=(width, width * max(aspect * rng.uniform(0.8, 1.2), 0.15)),
                    value=height * rng.uniform(0.3, 1.2),
                    angle_rad=grain + mess * rng.normal(),
                )
            )
        # A few grains, bright and small.
        for _ in range(rng.integers(0, 12)):
            radius = log_uniform(rng, 0.008, 0.03)
            place = room.take(rng, radius, keep=False)
            if place is not None:
                parts.append(Ellipse(center=place, semi_axes=(radius, radius), value=rng.uniform(0.2, 0.9)))
        return Phantom(tuple(parts))
