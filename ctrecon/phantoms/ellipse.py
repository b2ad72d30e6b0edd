"""A filled ellipse, turned by any angle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np

from ctrecon.phantoms.elliptic import Elliptic
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
class Ellipse(Elliptic):
    """``value`` inside the ``semi_axes``.

    Line integral: A. C. Kak, M. Slaney, Principles of Computerized Tomographic Imaging (1988), eq. (3.7).
    """

    semi_axes: tuple[float, float]

    lengths_field = "semi_axes"
    reaches = 1.0
    draw_kernel = staticmethod(_draw)
    project_kernel = staticmethod(_project)

    def profile(self, squared: Float64Array) -> Float64Array:
        return np.where(squared < 1, self.value, 0.0)
