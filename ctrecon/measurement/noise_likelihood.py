"""How likely a level and a shape of the noise are, with any object, beside what a sinogram holds.

Six things are unknown (``noise_spectrum.py``); of all their combinations hardly one in ten matters. A bound from below,
which takes no look at the object, finds most of the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy.special import log_ndtr

from ctrecon.measurement.object_spectrum import LIKELY, LIKELY_WITHIN, RAGGED, VERY_RAGGED, folded
from ctrecon.support.arrays import BoolArray, Float64Array
from ctrecon.support.cosine import dct

NOTHING = 1e-140
"""In the place of a power of zero, which only data without noise have; its square can be divided by."""

# The blurs b that are tried, none first, with a small white share w or none: noise that neighbours share, of an object
# that is sharper. Then those of the object as well, with the shares w that stay white; the exponents; the bands.
_BLURS = (0.0, 0.25, 0.5, 0.8, 1.2, 1.6, 2.0, 2.5, 3.0, 3.5, 4.2, 5.0, 6.0)
_NEARLY, _LITTLE = (2.5, 3.5, 5.0, 7.0), (0.02, 0.05, 0.1)
_PARTLY, _WHITE = (1.6, 2.5, 3.5, 5.0, 7.0, 10.0), (0.15, 0.3, 0.45, 0.6, 0.75)
SHAPES = np.array(
    [(b, 0.0, 0.0) for b in _BLURS]
    + [(b, w, 0.0) for w in _LITTLE for b in _NEARLY]
    + [(b, w, b) for w in _WHITE for b in _PARTLY]
).T
"""``[3, shapes]``: the blur of each shape of the noise, the share that stays white, and the object's own blur."""
_EXPONENTS = np.concatenate([np.arange(1.3, 3.55, 0.25), np.arange(1.3, 3.55, 0.5)])
# How ragged the object is beside each exponent: which power a very ragged one has matters less.
_RAGGED = np.repeat([RAGGED, VERY_RAGGED], [9, 5])
_FROM, _BANDS = 0.2, 14
# No blur is so many times as likely as all blurs together: what is too small is worse than what is too large.
_RATHER_WHITE = 10.0
_ROUNDS = 4
# So many cases are worked on at once.
_AT_ONCE = 1 << 11


@dataclass(frozen=True)
class Everything:
    """All that a sinogram of ``views`` and ``cells`` holds: the mean ``power`` in bands of frequencies."""

    power: Float64Array
    cells: int
    views: int

    @classmethod
    def of(cls, values: Float64Array) -> Everything:
        """Of ``[views, cells]``, by cosine transforms: they continue it by its mirror image, without a jump."""
        views, cells = values.shape
        power = np.square(dct(values)).mean(axis=0) / (2 * cells)  # white noise: its variance
        return cls(np.array([power[band].mean() for band in _bands(cells)[0]]), cells, views)


@dataclass(frozen=True)
class Seen:
    """What is to be explained: everything, and ``power`` at ``x`` beyond the wedge, by the first ``shapes`` of all."""

    everything: Everything
    x: Float64Array
    power: Float64Array
    free: Float64Array
    shapes: int

    def cost(self, level: Float64Array, above: float, near: BoolArray | None = None) -> Float64Array:
        """Minus the logarithm of the likelihood: ``[exponents, levels of the noise, shapes]``.

        Args:
            level: Mean squares.
            above: It is infinite where it is sure to be more than so much above the least.
            near: ``[exponents, shapes]``, those that are looked at; None for all.

        Returns:
            The cost, but for what is the same for all.
        """
        everything, count = self.everything, self.shapes
        shape = _shapes(self.x)[:count]
        # The chi-square laws of what lies beyond.
        beyond = float(self.free.sum()) / 2 * np.log(level)[:, None] + np.log(shape) @ self.free / 2
        beyond += (1 / shape) @ self.power / (2 * level[:, None])
        beyond += np.where(np.arange(count) == 0, 0.0, math.log(_RATHER_WHITE * SHAPES.shape[1]))
        held = np.maximum(everything.power, NOTHING)[:, None, None]
        freedom = (everything.views * _bands(everything.cells)[1])[:, None, None]
        noise = level[:, None] * _in_bands(everything.cells)[:count, None].T  # [bands, levels, shapes]
        left, sampled, crossed = held - noise, 2 * noise**2 / freedom + 1e-12 * held**2, 4 * noise / freedom
        law = _laws(everything.cells).T[:, :, None] * _of_object(everything.cells)[:count, None].T
        bound = beyond + _least(sampled, np.log(law.min(axis=1)))
        prior = ((_EXPONENTS - LIKELY) / LIKELY_WITHIN) ** 2 / 2
        wanted = np.broadcast_to(True if near is None else near, (len(_EXPONENTS), count))
        cost = np.full((len(_EXPONENTS), len(level), count), np.inf)
        # The likeliest levels first: most others are then known to be too unlikely without a closer look.
        together = max(1, _AT_ONCE // (len(_EXPONENTS) * count))
        order, least = np.argsort(bound.min(axis=1)), np.inf
        for first in range(0, len(level), together):
            some = order[first : first + together]
            k, at, of = np.nonzero(wanted[:, None] & (bound[some] + prior[:, None, None] <= least + above))
            if k.size:
                at = some[at]
                found = _explained(
                    law[:, k, of], left[:, at, of], sampled[:, at, of], crossed[:, at, of], _RAGGED[k] ** 2
                )
                cost[k, at, of] = found + beyond[at, of] + prior[k]
                least = min(least, float(cost[:, some].min()))
        return cost


def _least(sampled: Float64Array, law: Float64Array) -> Float64Array:
    """Below what ``_explained`` finds, whatever the object: ``[levels, shapes]``.

    The spread of a band is at least ``sampled [bands, levels, shapes]``. In ``log(spread)`` of all bands and
    ``log(sum of law^2 / spread)`` that of any one band cancels; the logarithm of its ``law [bands, shapes]`` is left.
    """
    spread = np.log(sampled) / 2
    return np.asarray(spread.sum(axis=0) + (law[:, None] - spread).max(axis=0))


def _explained(
    law: Float64Array, left: Float64Array, sampled: Float64Array, crossed: Float64Array, ragged: Float64Array
) -> Float64Array:
    """Minus the logarithm of the likelihood of what the noise has ``left`` of each band; all are ``[bands, cases]``.

    An object of size ``own`` has a spread of ``sampled + own crossed law + own^2 ragged law^2``, as a square. What is
    given is used up.
    """
    # As shares of the law, whose logarithm is added at the end; in place, since memory is most of the time.
    left /= law
    crossed /= law
    sampled /= law
    sampled /= law
    spread, weight = np.empty_like(law), np.empty_like(law)
    size = _medians(left)
    for _ in range(_ROUNDS):
        own = np.maximum(size, 0)
        np.add(crossed, own * ragged, out=spread)
        spread *= own
        spread += sampled
        np.divide(1.0, spread, out=weight)
        known = weight.sum(axis=0)
        size = np.einsum("bc,bc->c", weight, left) / known
    left -= size
    left *= left
    left *= weight
    left += np.log(spread, out=spread)
    # Integrated over all sizes of the object from 0, and not taken at the best, which noise would pay for.
    cost = left.sum(axis=0) / 2 + np.log(law, out=law).sum(axis=0) + np.log(known) / 2
    return np.asarray(cost - log_ndtr(size * np.sqrt(known)))


def _medians(values: Float64Array) -> Float64Array:
    """``np.median`` along the first axis, which is short: whole rows are sorted in a tenth of the time."""
    ordered, count = np.sort(values, axis=0), len(values)
    return np.asarray((ordered[(count - 1) // 2] + ordered[count // 2]) / 2)


@lru_cache(maxsize=8)
def _bands(cells: int) -> tuple[tuple[slice, ...], Float64Array]:
    edges = np.unique(np.linspace(_FROM * cells, cells, _BANDS + 1).round().astype(int)).tolist()
    bands = tuple(slice(a, b) for a, b in pairwise(edges))
    return bands, np.array([float(band.stop - band.start) for band in bands])


@lru_cache(maxsize=8)
def _laws(cells: int) -> Float64Array:
    """``[exponents, bands]``: the object's power, 1 on average."""
    x = np.arange(cells) / cells
    laws = [folded(x, float(exponent)) for exponent in _EXPONENTS]
    found = np.array([[law[band].mean() for band in _bands(cells)[0]] for law in laws])
    return np.asarray(found / found.mean(axis=1, keepdims=True))


def _shapes(x: Float64Array) -> Float64Array:
    """``[shapes, frequencies]``: the noise's power, 1 at the lowest."""
    blur, white, _ = SHAPES[:, :, None]
    return np.asarray(white + (1 - white) * np.exp(-blur * x**2))


@lru_cache(maxsize=8)
def _in_bands(cells: int) -> Float64Array:
    """``[shapes, bands]``: the same."""
    shapes = _shapes(np.arange(cells) / cells)
    return np.array([shapes[:, band].mean(axis=1) for band in _bands(cells)[0]]).T


@lru_cache(maxsize=8)
def _of_object(cells: int) -> Float64Array:
    """``[shapes, bands]``: what its blur leaves of the object's power."""
    x = np.arange(cells) / cells
    left = np.exp(-SHAPES[2][:, None] * x**2)
    return np.array([left[:, band].mean(axis=1) for band in _bands(cells)[0]]).T


@lru_cache(maxsize=1)
def mean_of_shapes() -> Float64Array:
    return np.asarray(_shapes((np.arange(400) + 0.5) / 400).mean(axis=1))
