"""Walnuts cut through: a shell, a wall between the halves, and kernels full of folds.

Not one of ``FAMILIES``, from which networks are trained: the figures of the paper are drawn on objects that no
shipped network has seen. (The paper's own object is a scanned walnut, its reference [21].)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctrecon.phantoms.base import Phantom, Primitive
from ctrecon.phantoms.ellipse import Ellipse
from ctrecon.phantoms.shapes import AIR, filled, outline, ribbon, shrunk
from ctrecon.support.arrays import Float64Array

SHELL, KERNEL, WALL, SKIN = 1.25, 0.8, 0.6, 0.14


@dataclass(frozen=True)
class Walnut:
    """A bumpy shell with air inside, a wall across, and two folded halves of the kernel, each with small hollows."""

    name: str = "walnut"

    def sample(self, rng: np.random.Generator) -> Phantom:
        """Draw a walnut.

        Args:
            rng: Decides everything: the same state gives the same walnut.

        Returns:
            A phantom in the unit disc; the shell has 1.25, the kernel about 0.8, relative to water.
        """
        axes, tilt = (rng.uniform(0.84, 0.94), rng.uniform(0.74, 0.84)), rng.uniform(0, math.pi)
        walls = outline(rng, (0.0, 0.0), axes, angle_rad=tilt, roughness=0.015, waves=12, count=120)
        inside = shrunk(walls, rng.uniform(0.86, 0.9))
        parts: list[Primitive] = [filled(walls, SHELL), filled(inside, AIR - SHELL)]
        # The wall stands across the longer axis and swings a little.
        s = np.linspace(-0.78, 0.78, 16) * axes[1]
        swing = 0.04 * np.sin(3 * s + rng.uniform(0, 2 * math.pi))
        parts.append(filled(ribbon(_turn(np.stack([swing, s], axis=1), tilt), 0.035), WALL))
        for side in (-1, 1):
            parts += _half(rng, side, axes, tilt)
        return Phantom(tuple(parts))


def _half(rng: np.random.Generator, side: int, axes: tuple[float, float], tilt: float) -> list[Primitive]:
    """One half of the kernel: lobes around a middle, which its folds part, with a denser skin."""
    t = np.linspace(0, 2 * math.pi, 120, endpoint=False)
    lobes = 1 + 0.11 * np.cos(rng.integers(6, 9) * t + rng.uniform(0, 6)) + 0.05 * np.cos(
        rng.integers(10, 14) * t + rng.uniform(0, 6)
    )
    width, height = 0.34 * axes[0], 0.58 * axes[1]
    x, y = width * lobes * np.cos(t), height * lobes * np.sin(t)
    body = _turn(np.stack([x + side * 0.43 * axes[0], y], axis=1), tilt)
    parts: list[Primitive] = [filled(body, KERNEL + SKIN), filled(shrunk(body, 0.91), -SKIN)]
    for _ in range(rng.integers(4, 7)):
        r, phi = 0.55 * math.sqrt(rng.uniform(0.05, 1)), rng.uniform(0, 2 * math.pi)
        place = np.array([[side * 0.43 * axes[0] + r * width * math.cos(phi), r * height * math.sin(phi)]])
        spot = tuple(_turn(place, tilt)[0].tolist())
        size = (rng.uniform(0.02, 0.05), rng.uniform(0.015, 0.03))
        value = -0.3 if rng.random() < 0.7 else 0.25
        parts.append(Ellipse(center=spot, semi_axes=size, value=value, angle_rad=rng.uniform(0, math.pi)))
    return parts


def _turn(points: Float64Array, angle_rad: float) -> Float64Array:
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    turned: Float64Array = points @ np.array([[cos, sin], [-sin, cos]])
    return turned
