"""Trunks: fat, muscle, two lungs with vessels and nodules, heart, a spine of vertebrae, ribs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctrecon.phantoms.body_family import Inside, grains
from ctrecon.phantoms.solids import Body, Ellipsoid, Solid

PLACE = 30

FAT, MUSCLE, BONE = 0.9, 1.05, 1.7


@dataclass(frozen=True)
class Trunk:
    """The front looks along y, the head is up."""

    name: str = "trunk"

    def sample(self, rng: np.random.Generator) -> Body:
        a, b, c = rng.uniform(0.85, 0.95), rng.uniform(0.6, 0.75), rng.uniform(0.85, 0.95)
        fat = rng.uniform(0.88, 0.95)
        parts: list[Solid] = [
            Ellipsoid(center=(0, 0, 0), semi_axes=(a, b, c), value=FAT),
            Ellipsoid(center=(0, 0, 0), semi_axes=(a * fat, b * fat, c * fat), value=MUSCLE - FAT),
        ]
        parts += _ribs(rng, a * fat * 0.93, b * fat * 0.93, c)
        for side in (-1, 1):
            centre = (side * 0.46 * a, 0.02 * b, 0.05 * c)
            axes = (0.25 * a * rng.uniform(0.85, 1.0), 0.55 * b, 0.55 * c * rng.uniform(0.85, 1.1))
            lung = rng.uniform(0.18, 0.35)
            parts.append(Ellipsoid(center=centre, semi_axes=axes, value=lung - MUSCLE, angle_rad=-side * 0.12))
            room = Inside(centre, (axes[0] * 0.93, axes[1] * 0.93, axes[2] * 0.97))
            parts += grains(rng, room, int(rng.integers(15, 60)), (0.012, 0.07), (0.3, 0.8))
        heart = (float(rng.uniform(-0.02, 0.03)) * a, 0.28 * b, -0.1 * c)
        parts.append(Ellipsoid(center=heart, semi_axes=(0.15 * a, 0.26 * b, 0.24 * c), value=rng.uniform(-0.02, 0.06)))
        parts += _spine(rng, b, c)
        low = Inside((0, 0.1 * b, -0.58 * c), (0.3 * a, 0.3 * b, 0.12 * c))
        parts += grains(rng, low, int(rng.integers(3, 10)), (0.03, 0.12), (-0.12, 0.12))
        return Body(tuple(parts))


def _spine(rng: np.random.Generator, b: float, c: float) -> list[Solid]:
    """Vertebrae one above the other."""
    parts: list[Solid] = []
    height = float(rng.uniform(0.055, 0.075))
    y, count = -0.62 * b, int(0.31 * c / height)
    for k in range(-count, count + 1):
        z = 2 * height * k
        dense = float(rng.uniform(0.3, 0.5))
        parts.append(Ellipsoid(center=(0, y, z), semi_axes=(0.1, 0.085, 0.9 * height), value=dense))
    return parts


def _ribs(rng: np.random.Generator, a: float, b: float, c: float) -> list[Solid]:
    """Rows of grains of bone along ellipses about the lungs, each lower in front than behind."""
    parts: list[Solid] = []
    size = float(rng.uniform(0.022, 0.034))
    for level in np.linspace(-0.4, 0.4, 5) * c:
        shrink = math.sqrt(max(0.1, 1 - (level / c) ** 2))
        for angle in np.linspace(0, 2 * math.pi, 20, endpoint=False):
            x, y = a * shrink * math.cos(angle), b * shrink * math.sin(angle)
            if abs(x) < 0.15:
                continue  # the breastbone's and the spine's place
            z = float(level) - 0.08 * math.sin(angle)
            parts.append(
                Ellipsoid(
                    center=(x, y, z), semi_axes=(2 * size, 0.8 * size, size), value=BONE - MUSCLE,
                    angle_rad=math.atan2(b * math.cos(angle), -a * math.sin(angle)),
                )
            )  # fmt: skip
    return parts
