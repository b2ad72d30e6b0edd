"""What the families share: smooth outlines, and room to place things in without overlap."""

from __future__ import annotations

import math

import numba
import numpy as np

from ctrecon.phantoms.polygon import Polygon
from ctrecon.support.arrays import Float64Array

# Not quite nothing: what is cut out of a body is filled with air, which also keeps sums above zero through rounding.
AIR = 0.001

Point = tuple[float, float]


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(math.exp(rng.uniform(math.log(low), math.log(high))))


def outline(
    rng: np.random.Generator,
    center: Point,
    semi_axes: tuple[float, float],
    *,
    angle_rad: float = 0.0,
    roughness: float = 0.05,
    waves: int = 5,
    count: int = 48,
) -> Float64Array:
    """A smooth closed curve ``[count, 2]`` inside an ellipse: its radius falls below it by ``roughness`` or so."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    wave = np.zeros(count)
    for order in range(2, waves + 1):
        wave += rng.normal() / order * np.cos(order * t + rng.uniform(0, 2 * np.pi))
    radius = 1 + roughness * (wave - wave.max())
    x, y = semi_axes[0] * radius * np.cos(t), semi_axes[1] * radius * np.sin(t)
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return np.stack([center[0] + cos * x - sin * y, center[1] + sin * x + cos * y], axis=1)


def ellipse_outline(
    center: Point, semi_axes: tuple[float, float], angle_rad: float = 0.0, count: int = 48
) -> Float64Array:
    """Points ``[count, 2]`` on an ellipse, counter-clockwise."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    x, y = semi_axes[0] * np.cos(t), semi_axes[1] * np.sin(t)
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    return np.stack([center[0] + cos * x - sin * y, center[1] + sin * x + cos * y], axis=1)


def filled(vertices: Float64Array, value: float) -> Polygon:
    """The polygon through ``vertices``, ``[count, 2]``."""
    return Polygon(vertices=tuple((float(x), float(y)) for x, y in vertices), value=float(value))


def shrunk(vertices: Float64Array, factor: float) -> Float64Array:
    """The outline drawn ``factor`` times smaller about its mean; inside the old one if that is star-shaped."""
    middle = vertices.mean(axis=0)
    smaller: Float64Array = middle + factor * (vertices - middle)
    return smaller


@numba.njit(nogil=True, cache=True)
def clearance(vertices: Float64Array, points: Float64Array) -> Float64Array:
    """Distance of ``points`` ``[n, 2]`` to the outline, negative outside: ``[n]``."""
    count = vertices.shape[0]
    out = np.empty(points.shape[0])
    for k in range(points.shape[0]):
        x, y = points[k, 0], points[k, 1]
        nearest, inside = np.inf, False
        for i in range(count):
            j = i + 1 if i + 1 < count else 0
            ex, ey = vertices[j, 0] - vertices[i, 0], vertices[j, 1] - vertices[i, 1]
            ox, oy = x - vertices[i, 0], y - vertices[i, 1]
            w = min(max((ox * ex + oy * ey) / max(ex * ex + ey * ey, 1e-30), 0.0), 1.0)
            nearest = min(nearest, (ox - w * ex) ** 2 + (oy - w * ey) ** 2)
            if (vertices[i, 1] > y) != (vertices[j, 1] > y) and ox < oy / ey * ex:
                inside = not inside
        out[k] = math.sqrt(nearest) if inside else -math.sqrt(nearest)
    return out


class Room:
    """An outline to put discs in. ``take`` finds a place for one that touches neither the walls nor its neighbours."""

    def __init__(self, vertices: Float64Array) -> None:
        self._vertices = vertices
        self._low, self._high = vertices.min(axis=0), vertices.max(axis=0)
        self._taken: list[tuple[float, float, float]] = []

    def block(self, center: Point, radius: float) -> None:
        """Keep a disc free."""
        self._taken.append((center[0], center[1], radius))

    def take(
        self, rng: np.random.Generator, radius: float, *, gap: float = 0.01, tries: int = 32, keep: bool = True
    ) -> Point | None:
        """The centre of a free disc, or None; the place counts as taken if ``keep``."""
        places = rng.uniform(self._low, self._high, size=(tries, 2))
        free = clearance(self._vertices, places) > radius + gap
        for x, y, r in self._taken:
            free &= np.hypot(places[:, 0] - x, places[:, 1] - y) > radius + r + gap
        if not free.any():
            return None
        x, y = places[np.argmax(free)].tolist()
        if keep:
            self.block((x, y), radius)
        return x, y


def ribbon(path: Float64Array, widths: Float64Array | float) -> Float64Array:
    """The outline of a band of ``widths`` around a smooth ``path`` ``[n, 2]``: wires, ribs, vessels."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-12)[:, None]
    side = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) * np.broadcast_to(widths, path.shape[:1])[:, None] / 2
    return np.concatenate([path + side, (path - side)[::-1]])


def bent_path(
    rng: np.random.Generator, start: Point, heading_rad: float, length: float, *, bend: float = 1.0, count: int = 10
) -> Float64Array:
    """A path ``[count, 2]`` whose heading changes smoothly, by ``bend`` radians or so in all."""
    s = np.linspace(0, 1, count)
    heading = heading_rad + bend * (rng.normal() * s + 0.5 * rng.normal() * np.sin(2 * np.pi * s))
    steps = length / (count - 1) * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    path: Float64Array = np.concatenate([[start], np.asarray(start) + np.cumsum(steps[:-1], axis=0)])
    return path
