"""Seeds and wires: small dense things in a soft body, as in brachytherapy, or markers and electrodes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctrecon.phantoms.base import Phantom, Primitive
from ctrecon.phantoms.ellipse import Ellipse
from ctrecon.phantoms.shapes import Room, bent_path, clearance, filled, log_uniform, outline, ribbon, shrunk
from ctrecon.support.arrays import Float64Array

PLACE = 60


@dataclass(frozen=True)
class Seeds:
    """Soft body, faint organs, then rows of seeds, rods, bent wires and marker rings; dense things only add."""

    name: str = "seeds"

    def sample(self, rng: np.random.Generator) -> Phantom:
        axes = (rng.uniform(0.75, 0.96), rng.uniform(0.6, 0.96))
        walls = outline(rng, (0.0, 0.0), axes, angle_rad=rng.uniform(0, math.pi), roughness=0.02, count=64)
        fat = rng.uniform(0.85, 0.95)
        parts: list[Primitive] = [filled(walls, fat), filled(shrunk(walls, rng.uniform(0.82, 0.95)), 1.03 - fat)]
        inner = Room(shrunk(walls, 0.8))
        for _ in range(rng.integers(1, 6)):
            radius = log_uniform(rng, 0.08, 0.35)
            place = inner.take(rng, radius)
            if place is not None:
                axes = (radius, radius * rng.uniform(0.6, 1))
                shape = outline(rng, place, axes, angle_rad=rng.uniform(0, math.pi), count=40)
                parts.append(filled(shape, rng.uniform(-0.12, 0.15)))
        kinds = rng.permutation(4)[: rng.integers(1, 5)]
        for kind in kinds:
            parts += (_rows, _rods, _wires, _rings)[kind](rng, walls)
        return Phantom(tuple(parts))


def _rows(rng: np.random.Generator, walls: Float64Array) -> list[Primitive]:
    """A tilted lattice of seeds, some missing, all a little out of place."""
    radius, value = log_uniform(rng, 0.008, 0.02), rng.uniform(1.0, 6.0)
    pitch = rng.uniform(0.07, 0.15)
    columns, rows = rng.integers(3, 8), rng.integers(3, 8)
    u, v = np.meshgrid(np.arange(columns) - (columns - 1) / 2, np.arange(rows) - (rows - 1) / 2)
    lattice = np.stack([u.ravel(), v.ravel()], axis=1) * pitch + rng.normal(0, 0.12 * pitch, size=(u.size, 2))
    tilt = rng.uniform(0, math.pi)
    turn = np.array([[math.cos(tilt), math.sin(tilt)], [-math.sin(tilt), math.cos(tilt)]])
    places = lattice @ turn + rng.uniform(-0.25, 0.25, 2)
    places = places[(clearance(walls, places) > 0.03) & (rng.random(u.size) < rng.uniform(0.5, 0.95))]
    return [Ellipse(center=(x, y), semi_axes=(radius, radius), value=value) for x, y in places.tolist()]


def _rods(rng: np.random.Generator, walls: Float64Array) -> list[Primitive]:
    """Short straight rods, as seeds look from the side, all of one make."""
    long, thick, value = rng.uniform(0.05, 0.12), rng.uniform(0.012, 0.025), rng.uniform(1.0, 6.0)
    room = Room(shrunk(walls, 0.9))
    parts: list[Primitive] = []
    heading, mess = rng.uniform(0, math.pi), rng.uniform(0.1, 1.0)
    for _ in range(rng.integers(4, 25)):
        place = room.take(rng, long / 2, gap=0.005)
        if place is not None:
            angle = heading + mess * rng.normal()
            half = long / 2 * np.array([math.cos(angle), math.sin(angle)])
            path = np.stack([np.asarray(place) - half, np.asarray(place) + half])
            parts.append(filled(ribbon(path, thick), value))
    return parts


def _wires(rng: np.random.Generator, walls: Float64Array) -> list[Primitive]:
    """Bent wires and needles, often ending in a dense contact."""
    parts: list[Primitive] = []
    room = Room(shrunk(walls, 0.9))
    for _ in range(rng.integers(1, 6)):
        start = room.take(rng, 0.01)
        if start is None:
            continue
        straight = rng.random() < 0.4
        heading = math.atan2(-start[1], -start[0]) + rng.normal(0, 0.6)
        path = bent_path(rng, start, heading, rng.uniform(0.3, 1.2), bend=0.0 if straight else 1.2, count=16)
        path = path[np.cumprod(clearance(walls, path) > 0.03).astype(bool)]
        if path.shape[0] < 3:
            continue
        value = rng.uniform(0.8, 5.0)
        parts.append(filled(ribbon(path, rng.uniform(0.008, 0.022)), value))
        if rng.random() < 0.5:
            parts.append(Ellipse(center=start, semi_axes=(0.018, 0.018), value=value))
    return parts


def _rings(rng: np.random.Generator, walls: Float64Array) -> list[Primitive]:
    """Marker rings and tubes: what the ring adds is taken away inside it."""
    parts: list[Primitive] = []
    room = Room(shrunk(walls, 0.95))
    for _ in range(rng.integers(2, 9)):
        radius = log_uniform(rng, 0.025, 0.1)
        center = room.take(rng, radius)
        if center is None:
            continue
        value, squash, angle = rng.uniform(0.5, 3.0), rng.uniform(0.6, 1.0), rng.uniform(0, math.pi)
        hole = max(0.5, 1 - rng.uniform(0.012, 0.03) / radius)
        for size, sign in ((radius, 1.0), (radius * hole, -1.0)):
            axes = (size, size * squash)
            parts.append(Ellipse(center=center, semi_axes=axes, value=sign * value, angle_rad=angle))
    return parts
