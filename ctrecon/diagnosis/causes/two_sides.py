"""The two sides of the detector, which over a whole turn see the same lines: the means of all views tell them apart.

Each line is measured from its two ends, once on either side of the axis. So the mean of the views is even about the
axis, whatever the object is. What is not comes of the detector: cells or modules that read too much, a beam that is
weaker towards the anode (heel), a white field of another exposure, a part that stands elsewhere, a detector that leans.
Noise is averaged over the views, so that the sign is fine; how large it is follows from the mean of every second view
less that of the others. What both sides share looks like an object that is round about the axis, and is not seen.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Float64Array, IntArray
from ctrecon.support.spline import WholeSpline

PLACE = 240
SPEAKS = True

_FEWEST_VIEWS, _FEWEST_CELLS = 24, 12
# As shares of a step: how evenly the views stand, and how well the ends of the turn meet.
_EVENLY, _MEET = 0.05, 0.25
# How many times the usual power the odd part has (4.0 at most in 36 honest scans), and its largest as a share of the
# largest value: where the fit decides (detectors that are kept well come to 0.003), and beyond that it need not.
_SURE, _LEAST, _LARGE = 12.0, 0.003, 0.01
# Steps of Newton's to where the axis is, which alone makes both sides alike where it stands elsewhere than stated.
_STEPS = 4
# In cells: as a moving mean, for what is the same in neighbouring cells shows less noise.
_NARROW, _SMOOTH = 3, 5


def two_sides(scan: Scan) -> Iterator[Suggestion]:
    """The scan with half of what the sides differ by taken off each, about the axis as stated or as they say it."""
    found = _sides_of(scan)
    if found is None or found.power < _SURE or found.largest < _LEAST:
        return
    suggested = [
        Suggestion(
            cause="detector-sides",
            words="the two sides of the detector do not read alike (cells or modules that read too much or too little, "
            "heel effect, a white field of another exposure, a part that stands elsewhere, a detector that leans); "
            "what both read alike is not seen",
            scan=dataclasses.replace(
                scan, sinogram=(scan.sinogram - odd).astype(scan.sinogram.dtype), counts=None, white=None
            ),
            evidence=f"in the mean of all views they differ by up to {2 * found.largest:.1%} of the largest value, "
            f"{math.sqrt(found.power):.0f} times what noise and the steps of the angles make",
        )
        for odd in (found.as_stated, found.moved)
    ]  # fmt: skip
    yield from suggested
    if found.largest > _LARGE:
        # An image may follow much of it: then it is said after anything else that is found.
        yield dataclasses.replace(suggested[0], certain=True, last=True)


@dataclass(frozen=True, kw_only=True)
class _Sides:
    """Of each cell the odd part about the axis as stated, and about that at which least is odd, in the data's units.

    Of the latter ``power``, over the usual one, and ``largest``, as a share of the largest value.
    """

    as_stated: Float64Array
    moved: Float64Array
    largest: float
    power: float


def _sides_of(scan: Scan) -> _Sides | None:
    """How the sides differ; None where they need not be alike."""
    geometry = scan.geometry
    orbit = None if geometry is None else geometry.orbit
    if geometry is None or orbit is None or not orbit.steady or scan.mask is not None or scan.sinogram.ndim != 2:
        return None
    turn = _whole_turn(np.asarray(orbit.angles_rad))
    cells = np.arange(scan.sinogram.shape[1])
    if turn is None:
        return None
    f = scan.sinogram[:turn].astype(np.float64)
    first, second = f[0::2].mean(axis=0), f[1::2].mean(axis=0)
    mean, noise = WholeSpline((first + second) / 2), WholeSpline((first - second) / 2)
    stated = (cells.size - 1) / 2 - orbit.detector_offset_mm / geometry.detector_spacing_mm
    axis = _least_odd(mean, stated, cells)
    top = float(np.quantile(f, 0.995))
    if axis is None or top <= 0:
        return None
    at = _beside(axis, cells)
    odd, usual = _odd(mean, axis, at), _odd(noise, axis, at)
    return _Sides(
        as_stated=_spread(_odd(mean, stated, _beside(stated, cells)), cells, stated),
        moved=_spread(odd, cells, axis),
        largest=float(np.abs(_smooth(odd, _NARROW)).max()) / top,
        power=max(_power(_smooth(odd, width), _smooth(usual, width)) for width in (1, _SMOOTH)),
    )


def _least_odd(mean: WholeSpline, axis: float, cells: IntArray) -> float | None:
    """Where the axis would have to be for the least to be odd; None without enough cells on both sides of it."""
    for _ in range(_STEPS):
        at = _beside(axis, cells)
        if at.size < _FEWEST_CELLS:
            return None
        slope = (mean.at(axis + at, 1) - mean.at(axis - at, 1)) / 2
        square = float(slope @ slope)
        if square == 0:
            return None
        axis -= float(_odd(mean, axis, at) @ slope) / square
    return axis if _beside(axis, cells).size >= _FEWEST_CELLS else None


def _beside(axis: float, cells: IntArray) -> IntArray:
    """How far from the axis there are cells on both sides, in whole cells from 1."""
    return np.arange(1, math.floor(min(axis, cells[-1] - axis)) + 1)


def _whole_turn(angles: Float64Array) -> int | None:
    """How many of the views are a whole turn in even steps: all, or all but the last, which is the first again."""
    steps = np.diff(angles)
    if angles.size < _FEWEST_VIEWS or steps.mean() == 0:
        return None
    if not np.abs(steps / steps.mean() - 1).max() < _EVENLY:
        return None
    turn = 2 * math.pi / abs(float(steps.mean()))
    return next((count for count in (angles.size, angles.size - 1) if abs(turn - count) < _MEET), None)


def _odd(values: WholeSpline, axis: float, at: IntArray) -> Float64Array:
    return (values.at(axis + at) - values.at(axis - at)) / 2


def _spread(odd: Float64Array, cells: IntArray, axis: float) -> Float64Array:
    """An odd function, given from 1 cell beside the axis on, at all cells; the last value beyond the last."""
    from_axis = cells.astype(np.float64) - axis
    values = np.interp(np.abs(from_axis), np.arange(odd.size + 1), np.r_[0, odd])
    return np.asarray(values * np.sign(from_axis))


def _smooth(values: Float64Array, width: int) -> Float64Array:
    return np.asarray(np.convolve(values, np.full(width, 1 / width), mode="valid"))


def _power(values: Float64Array, usual: Float64Array) -> float:
    whole = float((usual**2).sum())
    return float((values**2).sum()) / whole if whole > 0 else 0.0
