"""A Gaussian blob with two widths, turned by any angle: the grain of texture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np

from ctrecon.phantoms.elliptic import Elliptic
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
class Gaussian(Elliptic):
    """``value exp(-(u^2 / a^2 + v^2 / b^2) / 2)``, ``(a, b) = widths``.

    Taken as zero beyond six widths, in the image as in the line integral.
    """

    widths: tuple[float, float]

    lengths_field = "widths"
    reaches = CUT
    draw_kernel = staticmethod(_draw)
    project_kernel = staticmethod(_project)

    def profile(self, squared: Float64Array) -> Float64Array:
        return np.where(squared < CUT**2, self.value * np.exp(-0.5 * squared), 0.0)
