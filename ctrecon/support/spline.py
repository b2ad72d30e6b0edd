"""The cubic spline through values at whole numbers. (scipy's loads much that a small job would wait for.)"""

from __future__ import annotations

import math

import numpy as np

from ctrecon.support.arrays import Array, Float64Array

# Its second derivatives solve M(i-1) + 4 M(i) + M(i+1) = 6 times the second differences. The inverse of
# that matrix falls by this factor from entry to entry; so many of them leave less than rounding.
_FALLS, _REACH = math.sqrt(3) - 2, 30
_INVERSE = _FALLS ** np.abs(np.arange(-_REACH, _REACH + 1)) / (2 * math.sqrt(3))


class WholeSpline:
    """The spline through ``values`` at 0, 1, 2, ..., which goes on straight ahead of the first and after the last.

    Args:
        values: At least two, finite.
    """

    def __init__(self, values: Float64Array) -> None:
        self._values = np.asarray(values, dtype=np.float64)
        bends = np.zeros(self._values.size + 2 * _REACH)
        bends[_REACH + 1 : -_REACH - 1] = 6 * np.diff(self._values, 2)
        self._second = np.convolve(bends, _INVERSE, mode="valid")

    def at(self, places: Array, derivative: int = 0) -> Float64Array:
        """Values, or first derivatives, at places from 0 to the last; beyond them those of the nearest piece."""
        left = np.clip(np.floor(places).astype(np.intp), 0, self._values.size - 2)
        t, right = places - left, left + 1
        s = 1 - t
        f, m = self._values, self._second
        if derivative:
            return f[right] - f[left] + ((3 * t**2 - 1) * m[right] - (3 * s**2 - 1) * m[left]) / 6
        return s * f[left] + t * f[right] + ((s**3 - s) * m[left] + (t**3 - t) * m[right]) / 6
