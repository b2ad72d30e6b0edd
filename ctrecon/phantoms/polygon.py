"""A filled polygon, convex or not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numba
import numpy as np

from ctrecon.errors import SettingError
from ctrecon.phantoms.base import Lines, Primitive, Raster, turned
from ctrecon.phantoms.kernels import fill_span, first_beyond, rising
from ctrecon.support.arrays import Array, Float64Array


@numba.njit(nogil=True, cache=True)
def _draw(
    vertices: Array, value: float, left: float, top: float, across: float, down: float, oversample: int, out: Array
) -> None:
    count = vertices.shape[0]
    crossings = np.empty(count)
    rows = out.shape[0] * oversample
    begin = int(min(max((top - vertices[:, 1].max()) / down, 0.0), rows))
    end = int(min(max((top - vertices[:, 1].min()) / down + 2, 0.0), rows))
    weight = value / oversample**2
    for k in range(begin, end):
        y = top - k * down
        found = 0
        for i in range(count):
            j = i + 1 if i + 1 < count else 0
            y0, y1 = vertices[i, 1], vertices[j, 1]
            if (y0 > y) != (y1 > y):
                x = vertices[i, 0] + (y - y0) / (y1 - y0) * (vertices[j, 0] - vertices[i, 0])
                at = found
                while at > 0 and crossings[at - 1] > x:
                    crossings[at] = crossings[at - 1]
                    at -= 1
                crossings[at] = x
                found += 1
        for i in range(0, found - 1, 2):
            first, last = (crossings[i] - left) / across, (crossings[i + 1] - left) / across
            fill_span(out[k // oversample], first, last, oversample, weight)


@numba.njit(nogil=True, cache=True)
def _project(vertices: Array, value: float, normal_x: Array, normal_y: Array, distance: Array, out: Array) -> None:
    # Of a simple polygon the line enters where it crosses the boundary one way and leaves where it crosses it the
    # other way: the length inside is the signed sum of the crossings' places along the line, without sorting them.
    # An edge is crossed by the lines between those that pass its two ends, so each line costs its crossings only.
    count = vertices.shape[0]
    area = 0.0
    for j in range(count):
        h = j + 1 if j + 1 < count else 0
        area += vertices[j, 0] * vertices[h, 1] - vertices[j, 1] * vertices[h, 0]
    # Counter-clockwise, an edge that runs along the normal has the inside ahead on the line: there the line enters.
    value = -value if area > 0 else value
    passing = np.empty(count, dtype=np.int64)
    for v in range(out.shape[0]):
        nx, ny, s, line = normal_x[v], normal_y[v], distance[v], out[v]
        sense = rising(nx, ny, s, vertices[0, 0], vertices[0, 1])
        for j in range(count):
            passing[j] = first_beyond(nx, ny, s, vertices[j, 0], vertices[j, 1], sense, 0.0)
        for j in range(count):
            h = j + 1 if j + 1 < count else 0
            begin, end = passing[j], passing[h]
            weight = sense * value
            if begin > end:
                begin, end, weight = end, begin, -weight
            px, py, qx, qy = vertices[j, 0], vertices[j, 1], vertices[h, 0], vertices[h, 1]
            for i in range(begin, end):
                d0 = px * nx[i] + py * ny[i] - s[i]
                d1 = qx * nx[i] + qy * ny[i] - s[i]
                # Through rounding both ends may lie on one side by a hair.
                w = min(max(d0 / (d0 - d1), 0.0), 1.0) if d0 != d1 else 0.5
                line[i] += weight * ((py + w * (qy - py)) * nx[i] - (px + w * (qx - px)) * ny[i])


@dataclass(frozen=True, kw_only=True)
class Polygon(Primitive):
    """``value`` inside the outline through ``vertices``, which must not cross itself; either sense of rotation.

    Raises SettingError for fewer than three vertices.
    """

    vertices: tuple[tuple[float, float], ...]
    value: float

    def __post_init__(self) -> None:
        if len(self.vertices) < 3:
            raise SettingError(f"a polygon needs at least 3 vertices, got {len(self.vertices)}")

    @cached_property
    def _array(self) -> Float64Array:
        return np.asarray(self.vertices, dtype=np.float64)

    def value_at(self, x: Float64Array, y: Float64Array) -> Float64Array:
        inside = np.zeros(np.broadcast(x, y).shape, dtype=np.bool_)
        for (x0, y0), (x1, y1) in zip(self.vertices, (*self.vertices[1:], self.vertices[0]), strict=True):
            if y0 != y1:
                inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
        return np.where(inside, self.value, 0.0)

    def draw(self, raster: Raster, out: Float64Array) -> None:
        _draw(self._array, self.value, *raster.places, out)

    def project(self, lines: Lines, out: Float64Array) -> None:
        _project(self._array, self.value, lines.normal_x, lines.normal_y, lines.distance, out)

    @property
    def reach(self) -> float:
        return float(np.hypot(self._array[:, 0], self._array[:, 1]).max())

    def moved(self, *, scale: float, turn_rad: float, shift: tuple[float, float], gain: float) -> Self:
        places = (turned(vertex, turn_rad) for vertex in self.vertices)
        vertices = tuple((scale * x + shift[0], scale * y + shift[1]) for x, y in places)
        return type(self)(vertices=vertices, value=gain * self.value)

    @property
    def area(self) -> float:
        x, y = self._array[:, 0], self._array[:, 1]
        return float(abs(math.fsum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2
