"""Which lines a turning scanner measures: whether its views close a turn, and how wide an object they see whole."""

from __future__ import annotations

import math

import numpy as np

from ctrecon.support.arrays import Float64Array

# A gap between views is a missing wedge if it stands out by so much from nine in ten gaps, and
# from the next largest: random views and bursts of views have several gaps of one kind.
_TIMES, _NEXT = 3.0, 2.0

ONE_SIDED = 0.05
"""A detector whose sides differ by more than this share of the larger one is meant to see further on one side."""


def missing_wedge(angles: Float64Array, period: float) -> tuple[float, float] | None:
    """The one wedge in which there are no views.

    Args:
        angles: Of the views, in radians, in any order.
        period: Of the circle that they lie on: pi or 2 pi.

    Returns:
        The angle of the first view behind it, in [0, period), and its width; None where views go round.
    """
    turned = np.sort(folded(angles, period))
    gaps = np.diff(np.append(turned, turned[0] + period))
    real = np.sort(gaps[gaps > 1e-9 * period])
    if real.size < 2:
        return (float(turned[0]), period) if real.size else None
    usual = float(np.quantile(real[:-1], 0.9))
    if real[-1] <= _TIMES * usual or real[-1] <= _NEXT * real[-2]:
        return None
    at = int(np.argmax(gaps))
    return float(turned[(at + 1) % turned.size]), float(gaps[at])


def folded(angles: Float64Array, period: float) -> Float64Array:
    """The angles in [0, period); one a hair below the period, by rounding, is 0."""
    turned = np.mod(np.asarray(angles, dtype=np.float64), period)
    turned[period - turned < 1e-9 * period] = 0
    return turned


def goes_round(angles: Float64Array) -> bool:
    """Whether the views close a whole turn."""
    return len(angles) > 1 and missing_wedge(angles, 2 * math.pi) is None
