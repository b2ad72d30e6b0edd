"""A filled ellipse, turned by any angle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numba
import numpy as np

from ctrecon.phantoms.base import Lines, Primitive, Raster, turned
from ctrecon.phantoms.kernels import fill_span, first_beyond, rising
from ctrecon.support.arrays import Array, Float64Array


@numba.njit(nogil=True, cache=True)
def _draw(
    x: float, y: float, a: float, b: float, cos: float, sin: float, value: float,
    left: float, top: float, across: float, down: float, oversample: int, out: Array,
) -> None:  # fmt: skip
    # The points of one row solve qxx u^2 + 2 qxy u v + qyy v^2 <= 1 with v fixed: an interval in u.
    qxx = (cos / a) ** 2 + (sin / b) ** 2
    qxy = cos * sin * (1 / a**2 - 1 / b**2)
    reach = math.sqrt((a * sin) ** 2 + (b * cos) ** 2)
    rows = out.shape[0] * oversample
    begin = int(min(max((top - y - reach) / down, 0.0), rows))
    end = int(min(max((top - y + reach) / down + 2, 0.0), rows))
    weight = value / oversample**2
    for k in range(begin, end):
        v = top - k * down - y
        # qxx qyy - qxy^2 = 1 / (a b)^2
        root = qxx - (v / (a * b)) ** 2
        if root > 0:
            middle, half = x - qxy * v / qxx, math.sqrt(root) / qxx
            first, last = (middle - half - left) / across, (middle + half - left) / across
            fill_span(out[k // oversample], first, last, oversample, weight)


@numba.njit(nogil=True, cache=True)
def _project(
    x: float, y: float, a: float, b: float, cos: float, sin: float, value: float,
    normal_x: Array, normal_y: Array, distance: Array, out: Array,
) -> None:  # fmt: skip
    reach = max(a, b)
    for v in range(out.shape[0]):
        nx, ny, s, line = normal_x[v], normal_y[v], distance[v], out[v]
        sense = rising(nx, ny, s, x, y)
        begin = first_beyond(nx, ny, s, x, y, sense, -reach)
        end = first_beyond(nx, ny, s, x, y, sense, reach)
        for i in range(begin, end):
            t = s[i] - x * nx[i] - y * ny[i]
            p, q = a * (cos * nx[i] + sin * ny[i]), b * (cos * ny[i] - sin * nx[i])
            h2 = p * p + q * q
            line[i] += 2 * a * b * value * math.sqrt(max(h2 - t * t, 0.0)) / h2


@dataclass(frozen=True, kw_only=True)
class Ellipse(Primitive):
    """``value`` inside; ``angle_rad`` is the counter-clockwise turn of the ``semi_axes`` from the x and y axes.

    Line integral: A. C. Kak, M. Slaney, Principles of Computerized Tomographic Imaging (1988), eq. (3.7).
    """

    center: tuple[float, float]
    semi_axes: tuple[float, float]
    value: float
    angle_rad: float = 0.0

    def value_at(self, x: Float64Array, y: Float64Array) -> Float64Array:
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        u, v = x - self.center[0], y - self.center[1]
        a, b = self.semi_axes
        return np.where(((cos * u + sin * v) / a) ** 2 + ((cos * v - sin * u) / b) ** 2 < 1, self.value, 0.0)

    def _numbers(self) -> tuple[float, ...]:
        return (*self.center, *self.semi_axes, math.cos(self.angle_rad), math.sin(self.angle_rad), self.value)

    def draw(self, raster: Raster, out: Float64Array) -> None:
        _draw(*self._numbers(), *raster.places, out)

    def project(self, lines: Lines, out: Float64Array) -> None:
        _project(*self._numbers(), lines.normal_x, lines.normal_y, lines.distance, out)

    @property
    def reach(self) -> float:
        return math.hypot(*self.center) + max(self.semi_axes)

    def moved(self, *, scale: float, turn_rad: float, shift: tuple[float, float], gain: float) -> Self:
        x, y = turned(self.center, turn_rad)
        return type(self)(
            center=(scale * x + shift[0], scale * y + shift[1]),
            semi_axes=(scale * self.semi_axes[0], scale * self.semi_axes[1]),
            value=gain * self.value,
            angle_rad=self.angle_rad + turn_rad,
        )
