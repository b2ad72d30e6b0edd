"""Rays of few counts: their variances, and the law of the noise down to none.

The variance of ``log(W / N)`` is ``(L + s^2) / L^2`` for ``L`` photons expected and electronic noise ``s``. For many
photons the count itself stands for ``L``. For few it does not: a count that came out low would have a low weight, one
that came out high a high one, and below zero there is none. There the mean over the neighbours, *without the ray
itself*, stands for ``L``. So a ray's weight does not depend on its own noise, and the expected square of noise over
variance can be estimated from its count without bias (``count_law.py``), however badly the neighbours fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import convolve1d, uniform_filter

from ctrecon.measurement.count_law import NEAR, CountLaw, count_law
from ctrecon.support.arrays import BoolArray, Float64Array

FEWEST_COUNTS = 0.5
"""A ray that counted less is taken to have counted this much: half a photon is what "none" says at most."""

# Rays whose line integral is known to less than this (its variance) have few counts: 100 without electronic noise.
_FEW = 0.01
# From here on the series in 1 / L is as good as the law itself.
_MANY = 0.0025
# Views and cells over which the mean is taken, and by how many sigma a ray may stray from it and still belong there.
_NEIGHBOURS, _STRAY = (3, 5), 5.0
# Views are alike where one strays from the mean of its two neighbours by no more than so many times the noise, squared.
_ALIKE = 1.05
# Noise below the mean counts by so many standard deviations at most (P. J. Huber, 1964): the log of hardly any photon
# says nothing of how much less than a few they were, and a handful of such rays would outweigh all others.
_HARD = 3.0
# Between the photons of neighbours for which functions of the count are tabulated, in standard deviations.
_STEP = 0.3


@dataclass(frozen=True, kw_only=True, eq=False)
class NoiseLaw:
    """``variance [views, detectors]`` of the line integrals, and the law of ``n = (f - E f)^2 / variance``.

    ``mean``: that of ``n`` over the rays; ``spread``: the standard deviation of their sum, less what is known of it
    from the counts, over that of a chi-square variable of this mean, at least 1.
    """

    variance: Float64Array
    mean: float
    spread: float


def noise_law(photons: Float64Array, sigma: float, alive: BoolArray, least: float = FEWEST_COUNTS) -> NoiseLaw:
    """The variances of ``log`` of counts, and how their noise over these is distributed.

    Where all rays have many counts the mean is right to second order in ``1 / L``: with ``v = (L + s^2) / L^2`` and
    ``a = L / (L + s^2)`` it is ``1 + (1 - a) / (L + s^2) - 3 v (1 / 12 + a (1 - a))``.

    Args:
        photons: Counts over gain, dark field taken off, ``[views, detectors]``; any sign.
        sigma: Electronic noise, in photons.
        alive: Which rays count, ``[views, detectors]``; the variances of others mean nothing.
        least: The fewest photons that any ray is taken to have counted, > 0.

    Returns:
        Variances, mean and spread.
    """
    own = np.maximum(photons, least)
    plain = (own + sigma**2) / own**2
    most = _photons_of(_MANY, sigma, least)
    if not alive.any() or float(own[alive].min()) > most:
        return NoiseLaw(variance=plain, mean=float(_series(own, sigma)[alive].mean()) if alive.any() else 1.0, spread=1)
    tables = _tables(sigma, least)
    around = _around(photons, sigma, alive, least)
    few = alive & (around < _photons_of(_FEW, sigma, least))
    variance = np.where(few, _variance(tables.law, photons, around), plain)
    mean, square = _series(own, sigma), 2.0 * float((alive & ~few & (own >= most)).sum())
    if few.any():
        found = tables.of_few(photons[few], around[few])
        mean[few], square = found[0], square + found[1]
    rest = alive & ~few & (own < most)
    if rest.any():
        found = tables.of_own(photons[rest], around[rest])
        mean[rest], square = found[0], square + found[1]
    # An estimate from so few rays that it may be anything is held where it means something.
    m = int(alive.sum())
    total = max(float(mean[alive].sum()), 0.1 * m)
    return NoiseLaw(variance=variance, mean=total / m, spread=max(1.0, math.sqrt(m * square / 2) / total))


def _photons_of(variance: float, sigma: float, least: float) -> float:
    """How many photons give a line integral this variance: the root of ``v L^2 = L + s^2``."""
    return max((1 + math.sqrt(1 + 4 * variance * sigma**2)) / (2 * variance), 2 * least)


def _series(own: Float64Array, sigma: float) -> Float64Array:
    total = own + sigma**2
    v, a = total / own**2, own / total
    return np.asarray(np.where(v < 0.1, 1 + (1 - a) / total - 3 * v * (1 / 12 + a * (1 - a)), 1.0))


def _around(photons: Float64Array, sigma: float, alive: BoolArray, least: float) -> Float64Array:
    """The mean over a ray's neighbours, without itself; its own count where it has none."""
    window = _window(photons, alive, sigma, least)
    size = math.prod(window)
    seen = np.where(alive, photons, 0.0)
    total = uniform_filter(seen, window, mode="constant") * size - seen
    number = np.rint(uniform_filter(alive.astype(np.float64), window, mode="constant") * size) - alive
    mean = np.where(number > 0, total / np.maximum(number, 1), photons)
    return np.maximum(mean, least)


def _window(photons: Float64Array, alive: BoolArray, sigma: float, least: float) -> tuple[int, int]:
    """Over how many views and cells the mean is taken: of one view where the next ones see something else.

    They do where views are few, or do not follow each other by angle.
    """
    if len(photons) < _NEIGHBOURS[0]:
        return 1, _NEIGHBOURS[1]
    away = photons[1:-1] - (photons[:-2] + photons[2:]) / 2
    noise = 1.5 * (np.maximum(photons, 0) + sigma**2)[1:-1]
    chosen = (alive & (np.maximum(photons, least) < _photons_of(_FEW, sigma, least)))[1:-1]
    if float(np.square(away[chosen]).sum()) > _ALIKE * float(noise[chosen].sum()):
        return 1, _NEIGHBOURS[1]
    return _NEIGHBOURS


def _variance(law: CountLaw, photons: Float64Array, around: Float64Array) -> Float64Array:
    """Of a ray among neighbours of ``around`` photons: the mean square of their noise, if it is no stranger to them.

    More where the ray counted so little that its noise would count for more than ``_HARD``, squared; and that of its
    own count where it strays.
    """
    own = np.maximum(photons, law.least)
    below = np.minimum(np.log(own / around), 0) / _HARD
    stray = np.abs(photons - around) > _STRAY * np.sqrt(around + law.sigma**2)
    return np.asarray(
        np.where(stray, (own + law.sigma**2) / own**2, np.maximum(law.mean_square(around), below**2))
    )


@dataclass(frozen=True, eq=False)
class _Tables:
    """Weights as functions of the count, ``[values, photons of the neighbours]``, and their moments over its law.

    ``weights`` are in units of those of their column, ``own`` that of a ray that stands for itself. ``second`` and
    ``fourth``: ``E_L w n^2`` and ``E_L (w n^2)^2``, ``n = log(x / L)``.
    """

    law: CountLaw
    around: Float64Array
    weights: Float64Array
    own: Float64Array
    second: tuple[Float64Array, Float64Array]
    fourth: tuple[Float64Array, Float64Array]

    def of_few(self, photons: Float64Array, around: Float64Array) -> tuple[Float64Array, float]:
        """Of rays and their neighbours: what ``w n^2`` is on average, and what that misses, squared, in all."""
        law = self.law
        table, fitted = law.unbiased(around, self.second[0], law.mean_squares)
        missed = self._missed(table, self.weights, self.fourth[0])
        columns = (law.steps(around) - law.steps(self.around[:1])) / _STEP
        scale = law.mean_square(around)
        mean = law.read(table, photons, columns) / scale
        # An estimate without bias is at the mercy of single counts; one from the neighbours is not, but has a bias.
        unbiased = float((law.read(fitted(missed), photons, columns) / scale**2).sum())
        rows = np.minimum(np.searchsorted(law.expected, self.around), law.expected.size - 1)
        alike = convolve1d(missed, NEAR, axis=0, mode="nearest")[rows, np.arange(rows.size)]
        return mean, max(unbiased, float((np.interp(around, self.around, alike) / scale**2).sum()))

    def of_own(self, photons: Float64Array, around: Float64Array) -> tuple[Float64Array, float]:
        """The same of rays that stand for themselves."""
        law = self.law
        at, steps = law.steps(photons), law.steps(law.counts)
        series = _series(np.maximum(law.counts, law.least), law.sigma)[:, None]
        rest, fitted = law.unbiased(around, self.second[1] - law.chance @ series, np.ones(law.expected.size))
        mean = series + rest
        square = fitted(self._missed(mean, self.own, self.fourth[1]))
        return np.interp(at, steps, mean[:, 0]), max(0.0, float(np.interp(at, steps, square[:, 0]).sum()))

    def _missed(self, mean: Float64Array, weights: Float64Array, fourth: Float64Array) -> Float64Array:
        return np.asarray(fourth - 2 * self.law.moment(weights * mean, 2) + self.law.chance @ mean**2)


@lru_cache(maxsize=8)
def _tables(sigma: float, least: float) -> _Tables:
    law = count_law(sigma, least, _photons_of(_MANY, sigma, least))
    limits = law.steps(np.array([least, _photons_of(_FEW, sigma, least)]))
    around = law.back(np.arange(limits[0], limits[1] + _STEP, _STEP))
    counts = law.counts[:, None]
    weights = law.mean_square(around) / _variance(law, counts, around[None])
    own_counts = np.maximum(counts, least)
    own = own_counts**2 / (own_counts + sigma**2)
    return _Tables(
        law, around, weights, own, (law.moment(weights, 2), law.moment(own, 2)),
        (law.moment(weights**2, 4), law.moment(own**2, 4)),
    )  # fmt: skip
