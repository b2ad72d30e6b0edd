"""Polygons: triangles, boxes, stars and shards, as of machined parts and crystals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctrecon.phantoms.base import Phantom, Primitive
from ctrecon.phantoms.shapes import AIR, Point, Room, filled, log_uniform, shrunk
from ctrecon.support.arrays import Float64Array

PLACE = 20


@dataclass(frozen=True)
class Polygons:
    """A many-cornered body with inserts, holes and slots, or loose pieces of several materials."""

    name: str = "polygons"

    def sample(self, rng: np.random.Generator) -> Phantom:
        parts: list[Primitive] = []
        body = 0.0
        if rng.random() < 0.7:
            body = rng.uniform(0.5, 1.3)
            walls = _convex(rng, (0.0, 0.0), rng.uniform(0.85, 0.97), int(rng.integers(4, 11)), spread=0.25)
            parts.append(filled(walls, body))
            if rng.random() < 0.3:
                walls = shrunk(walls, rng.uniform(0.8, 0.93))
                inside = rng.uniform(0.3, 0.9) * body
                parts.append(filled(walls, inside - body))
                body = inside
        else:
            walls = _convex(rng, (0.0, 0.0), 0.98, 24, spread=0.0)
        room = Room(walls)
        if body > 0:
            radii = [log_uniform(rng, 0.04, 0.35) for _ in range(rng.integers(5, 24))]
        else:
            # The large ones first, or they find no room and the picture stays empty.
            radii = sorted((log_uniform(rng, 0.06, 0.5) for _ in range(rng.integers(10, 30))), reverse=True)
        for radius in radii:
            center = room.take(rng, radius)
            if center is None:
                continue
            shape = _piece(rng, center, radius)
            kind = rng.random()
            if body > 0 and kind < 0.25:
                parts.append(filled(shape, AIR - body))
            elif body > 0 and kind < 0.6:
                parts.append(filled(shape, math.copysign(log_uniform(rng, 0.02, 0.4), rng.uniform(-1, 1)) * body))
            else:
                value = rng.uniform(0.2, 1.2)
                parts.append(filled(shape, value))
                if rng.random() < 0.35:
                    # All pieces are star-shaped about their centre, so a smaller copy lies inside.
                    smaller = np.asarray(center) + rng.uniform(0.4, 0.85) * (shape - np.asarray(center))
                    change = AIR - value if rng.random() < 0.5 else rng.uniform(-0.5, 0.5) * value
                    parts.append(filled(smaller, change))
        return Phantom(tuple(parts))


def _around(center: Point, angles: Float64Array, radii: Float64Array) -> Float64Array:
    return np.stack([center[0] + radii * np.cos(angles), center[1] + radii * np.sin(angles)], axis=1)


def _convex(rng: np.random.Generator, center: Point, radius: float, corners: int, *, spread: float) -> Float64Array:
    """Corners on a circle, at angles that differ by ``spread`` from even ones: convex."""
    steps = 1 + spread * rng.uniform(-1, 1, corners)
    angles = rng.uniform(0, 2 * math.pi) + 2 * math.pi * np.cumsum(steps) / steps.sum()
    return _around(center, angles, np.full(corners, radius))


def _piece(rng: np.random.Generator, center: Point, radius: float) -> Float64Array:
    """Some polygon that is star-shaped about ``center`` and fits into the circle."""
    kind = rng.random()
    turn = rng.uniform(0, 2 * math.pi)
    if kind < 0.3:
        # A box, often a slot.
        half = rng.uniform(0.1, math.pi / 4)
        return _around(center, turn + np.array([half, math.pi - half, math.pi + half, -half]), np.full(4, radius))
    if kind < 0.7:
        return _convex(rng, center, radius, int(rng.integers(3, 9)), spread=0.4)
    if kind < 0.85:
        tips = int(rng.integers(3, 8))
        angles = turn + np.arange(2 * tips) * math.pi / tips
        radii = np.where(np.arange(2 * tips) % 2 == 0, radius, radius * rng.uniform(0.35, 0.7))
        return _around(center, angles, radii)
    corners = int(rng.integers(6, 14))
    angles = turn + 2 * math.pi * (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) / corners
    return _around(center, angles, radius * rng.uniform(0.45, 1.0, corners))
