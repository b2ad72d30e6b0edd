"""Lengths of lines in many solids at once, compiled: a body has a hundred of them, and each misses most lines."""

from __future__ import annotations

import math

import numba

from ctrecon.support.arrays import Float64Array

# Below this a direction is taken to run along a cylinder's axis, or level.
_ALONG = 1e-15


@numba.njit(nogil=True, cache=True)
def add_line_integrals(solids: Float64Array, points: Float64Array, directions: Float64Array, out: Float64Array) -> None:
    """Adds to ``out [n]`` what each line meets, in units of its direction.

    ``solids [m, 15]``, one a row: the centre c, the matrix M by rows, bottom, top and attenuation of the solid
    ``|M (p - c)| < 1, bottom < z < top``; ``points`` and ``directions``: ``[n, 3]``.
    """
    for k in range(solids.shape[0]):
        s = solids[k]
        endless = math.isinf(s[12]) and math.isinf(s[13])
        for n in range(out.size):
            px, py, pz = points[n, 0] - s[0], points[n, 1] - s[1], points[n, 2] - s[2]
            dx, dy, dz = directions[n, 0], directions[n, 1], directions[n, 2]
            a = b = 0.0
            c = -1.0
            for row in range(3):
                u = s[3 + 3 * row] * px + s[4 + 3 * row] * py + s[5 + 3 * row] * pz
                d = s[3 + 3 * row] * dx + s[4 + 3 * row] * dy + s[5 + 3 * row] * dz
                a += d * d
                b += u * d
                c += u * u
            if a > _ALONG:
                square = b * b - a * c
                if square <= 0.0:
                    continue
                root = math.sqrt(square)
                enter, leave = (-b - root) / a, (-b + root) / a
            elif c < 0:
                enter, leave = -math.inf, math.inf
            else:
                continue
            if not endless:
                z = points[n, 2]
                if abs(dz) >= _ALONG:
                    one, other = (s[12] - z) / dz, (s[13] - z) / dz
                    enter, leave = max(enter, min(one, other)), min(leave, max(one, other))
                elif not s[12] < z < s[13]:
                    continue
            if leave > enter:
                out[n] += s[14] * (leave - enter)
