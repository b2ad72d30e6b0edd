"""A Gaussian blob with two widths, turned by any angle: the grain of texture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numba
import numpy as np

from ctrecon.phantoms.base import Lines, Primitive, Raster, turned
from ctrecon.phantoms.kernels import first_beyond, rising, sample_index
from ctrecon.support.arrays import Array, Float64Array

# Beyond six widths a blob counts as nothing: 2e-8 of its height, below float32.
CUT = 6.0


@numba.njit(nogil=True, cache=True)
def _draw(
    x: float, y: float, a: float, b: float, cos: float, sin: float, value: float,
    left: float, top: float, across: float, down: float, oversample: int, out: Array,
) -> None:  # fmt: skip
    qxx = (cos / a) ** 2 + (sin / b) ** 2
    qxy = cos * sin * (1 / a**2 - 1 / b**2)
    qyy = (sin / a) ** 2 + (cos / b) ** 2
    reach = CUT * math.sqrt((a * sin) ** 2 + (b * cos) ** 2)
    rows, columns = out.shape[0] * oversample, out.shape[1] * oversample
    begin = int(min(max((top - y - reach) / down, 0.0), rows))
    end = int(min(max((top - y + reach) / down + 2, 0.0), rows))
    weight = value / oversample**2
    growth = math.exp(-qxx * across * across)
    for k in range(begin, end):
        v = top - k * down - y
        root = CUT**2 * qxx - (v / (a * b)) ** 2
        if root <= 0:
            continue
        middle, half = x - qxy * v / qxx, math.sqrt(root) / qxx
        first = sample_index((middle - half - left) / across, columns)
        last = sample_index((middle + half - left) / across, columns)
        if first >= last:
            continue
        # Along a row the exponent is quadratic, so its steps are linear: two products replace each exp.
        u = left + first * across - x
        now = weight * math.exp(-0.5 * (qxx * u * u + 2 * qxy * u * v + qyy * v * v))
        ratio = math.exp(-across * (qxx * (u + 0.5 * across) + qxy * v))
        row = out[k // oversample]
        c, left_in_pixel, total = first // oversample, oversample - first % oversample, 0.0
        for _ in range(first, last):
            total += now
            now *= ratio
            ratio *= growth
            left_in_pixel -= 1
            if left_in_pixel == 0:
                row[c] += total
                c, left_in_pixel, total = c + 1, oversample, 0.0
        if total != 0.0:
            row[c] += total


@numba.njit(nogil=True, cache=True)
def _project(
    x: float, y: float, a: float, b: float, cos: float, sin: float, value: float,
    normal_x: Array, normal_y: Array, distance: Array, out: Array,
) -> None:  # fmt: skip
    reach = CUT * max(a, b)
    mass = math.sqrt(2 * math.pi) * a * b * value
    for v in range(out.shape[0]):
        nx, ny, s, line = normal_x[v], normal_y[v], distance[v], out[v]
        sense = rising(nx, ny, s, x, y)
        begin = first_beyond(nx, ny, s, x, y, sense, -reach)
        end = first_beyond(nx, ny, s, x, y, sense, reach)
        for i in range(begin, end):
            t = s[i] - x * nx[i] - y * ny[i]
            p, q = a * (cos * nx[i] + sin * ny[i]), b * (cos * ny[i] - sin * nx[i])
            h2 = p * p + q * q
            if t * t < CUT**2 * h2:
                line[i] += mass / math.sqrt(h2) * math.exp(-0.5 * t * t / h2)


@dataclass(frozen=True, kw_only=True)
class Gaussian(Primitive):
    """``value exp(-(u^2 / a^2 + v^2 / b^2) / 2)``, ``(a, b) = widths``, axes turned by ``angle_rad`` as in Ellipse.

    Taken as zero beyond six widths, in the image as in the line integral.
    """

    center: tuple[float, float]
    widths: tuple[float, float]
    value: float
    angle_rad: float = 0.0

    def value_at(self, x: Float64Array, y: Float64Array) -> Float64Array:
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        u, v = x - self.center[0], y - self.center[1]
        a, b = self.widths
        q = ((cos * u + sin * v) / a) ** 2 + ((cos * v - sin * u) / b) ** 2
        return np.where(q < CUT**2, self.value * np.exp(-0.5 * q), 0.0)

    def _numbers(self) -> tuple[float, ...]:
        return (*self.center, *self.widths, math.cos(self.angle_rad), math.sin(self.angle_rad), self.value)

    def draw(self, raster: Raster, out: Float64Array) -> None:
        _draw(*self._numbers(), *raster.places, out)

    def project(self, lines: Lines, out: Float64Array) -> None:
        _project(*self._numbers(), lines.normal_x, lines.normal_y, lines.distance, out)

    @property
    def reach(self) -> float:
        return math.hypot(*self.center) + CUT * max(self.widths)

    def moved(self, *, scale: float, turn_rad: float, shift: tuple[float, float], gain: float) -> Self:
        x, y = turned(self.center, turn_rad)
        return type(self)(
            center=(scale * x + shift[0], scale * y + shift[1]),
            widths=(scale * self.widths[0], scale * self.widths[1]),
            value=gain * self.value,
            angle_rad=self.angle_rad + turn_rad,
        )
