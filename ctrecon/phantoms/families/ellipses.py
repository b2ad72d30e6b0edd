"""Ellipses and shells: in a body or loose, filled, hollow, overlapping."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctrecon.phantoms.base import Phantom, Primitive
from ctrecon.phantoms.ellipse import Ellipse
from ctrecon.phantoms.shapes import AIR, Point, Room, ellipse_outline, log_uniform

PLACE = 10


@dataclass(frozen=True)
class Ellipses:
    """One body with holes, inserts and shells, or a loose set of them."""

    name: str = "ellipses"

    def sample(self, rng: np.random.Generator) -> Phantom:
        angle = rng.uniform(0, math.pi)
        parts: list[Primitive] = []
        if rng.random() < 0.75:
            axes = (rng.uniform(0.75, 0.97), rng.uniform(0.6, 0.97))
            body = rng.uniform(0.6, 1.2)
            parts.append(Ellipse(center=(0.0, 0.0), semi_axes=axes, value=body, angle_rad=angle))
            wall = 1.0
            if rng.random() < 0.5:
                # A wall of another material, as of a bottle or a skull.
                wall = rng.uniform(0.85, 0.97)
                inside = rng.uniform(0.3, 0.9) * body
                inner = (axes[0] * wall, axes[1] * wall)
                parts.append(Ellipse(center=(0.0, 0.0), semi_axes=inner, value=inside - body, angle_rad=angle))
                body = inside
            room = Room(ellipse_outline((0.0, 0.0), (axes[0] * wall, axes[1] * wall), angle))
        else:
            body = 0.0
            room = Room(ellipse_outline((0.0, 0.0), (0.97, 0.97)))
        if body > 0:
            radii = [log_uniform(rng, 0.02, 0.35) for _ in range(rng.integers(4, 22))]
        else:
            # The large ones first, or they find no room and the picture stays empty.
            radii = sorted((log_uniform(rng, 0.05, 0.5) for _ in range(rng.integers(10, 30))), reverse=True)
        for radius in radii:
            center = room.take(rng, radius)
            if center is not None:
                parts += _insert(rng, center, radius, body)
        # Faint things over all borders, as of tissue that was not drawn.
        for _ in range(rng.integers(0, 5) if body > 0 else 0):
            radius = log_uniform(rng, 0.1, 0.5)
            center = room.take(rng, radius, keep=False)
            if center is not None:
                parts.append(_ellipse(rng, center, radius, rng.uniform(0.01, 0.15)))
        return Phantom(tuple(parts))


def _ellipse(rng: np.random.Generator, center: Point, radius: float, value: float) -> Ellipse:
    axes = (radius, radius * rng.uniform(0.35, 1.0))
    return Ellipse(center=center, semi_axes=axes, value=value, angle_rad=rng.uniform(0, math.pi))


def _insert(rng: np.random.Generator, center: Point, radius: float, body: float) -> list[Primitive]:
    """Something in a free disc of a body (of value ``body``, or 0 for none): brighter, darker or hollow."""
    kind = rng.random()
    if body > 0 and kind < 0.2:
        return [_ellipse(rng, center, radius, AIR - body)]
    if body > 0 and kind < 0.55:
        contrast = math.copysign(log_uniform(rng, 0.02, 0.4), rng.uniform(-1, 1)) * body
        return [_ellipse(rng, center, radius, contrast)]
    bright = _ellipse(rng, center, radius, rng.uniform(0.2, 1.2))
    if kind < 0.75:
        return [bright]
    wall = rng.uniform(0.5, 0.9)
    axes = (bright.semi_axes[0] * wall, bright.semi_axes[1] * wall)
    # At most what is there: the shell itself, and where there is a body some of that.
    depth = bright.value - AIR + (rng.uniform(0, 1) * body if rng.random() < 0.5 else 0.0)
    return [bright, Ellipse(center=center, semi_axes=axes, value=-depth, angle_rad=bright.angle_rad)]
