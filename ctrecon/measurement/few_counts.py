"""Rays of few counts: their variances, and the law of the noise down to none.

The variance of ``log(W / N)`` is ``(L + s^2) / L^2`` for ``L`` photons expected and electronic noise ``s``. For many
photons the count itself stands for ``L``. For few it does not: a count that came out low would have a low weight, one
that came out high a high one, and below zero there is none. There the mean over neighbours stands for ``L``, and the
expected square of noise over variance, for which series in ``1 / L`` fail, is found by drawing counts of those means
and treating them in the same way (a parametric bootstrap: B. Efron, R. J. Tibshirani, 1993, chapter 6).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter
from scipy.special import gammaln

from ctrecon.support.arrays import Float64Array

FEWEST_COUNTS = 0.5
"""A ray that counted less is taken to have counted this much: half a photon is what "none" says at most."""

# Rays whose line integral is known to less than this (its variance) have few counts: 100 without electronic noise.
_FEW = 0.01
# Views and cells over which the mean is taken, and by how many sigma a ray may stray from it and still belong there.
_NEIGHBOURS, _STRAY = (3, 5), 5.0
# Views are alike where one strays from the mean of its two neighbours by no more than so many times the noise, squared;
# by so many standard errors detail must exceed noise in a window, and in all.
_ALIKE, _CHANCE, _SURE = 1.05, 1.4, 3.0
# So often are counts drawn, for the mean to be known to a third of the spread that a single scan has.
_DRAWS = 8
_TILE = 16


def expected_photons(
    photons: Float64Array, sigma: float, least: float = FEWEST_COUNTS
) -> tuple[Float64Array, npt.NDArray[np.bool_]]:
    """What each ray should have counted, and which rays have few counts.

    Args:
        photons: Counts over gain, dark field taken off, ``[views, detectors]``; any sign.
        sigma: Electronic noise, in photons.
        least: The fewest photons that any ray is taken to have counted, > 0.

    Returns:
        The count itself, or the mean over its neighbours where there are few counts and the ray is no stranger among
        them; nowhere below ``least``.
    """
    own = np.maximum(photons, least)
    few = own + sigma**2 > _FEW * own**2
    if not few.any():
        return own, few
    mean = np.maximum(uniform_filter(photons, _window(photons, few, sigma), mode="nearest"), least)
    few &= np.abs(photons - mean) <= _STRAY * np.sqrt(mean + sigma**2)
    return np.where(few, mean, own), few


def _window(photons: Float64Array, few: npt.NDArray[np.bool_], sigma: float) -> tuple[int, int]:
    """Over how many views and cells the mean is taken: of one view where the next ones see something else.

    They do where views are few, or do not follow each other by angle.
    """
    if len(photons) < _NEIGHBOURS[0]:
        return 1, _NEIGHBOURS[1]
    away = photons[1:-1] - (photons[:-2] + photons[2:]) / 2
    noise = 1.5 * (np.maximum(photons, 0) + sigma**2)[1:-1]
    chosen = few[1:-1]
    if float(np.square(away[chosen]).sum()) > _ALIKE * float(noise[chosen].sum()):
        return 1, _NEIGHBOURS[1]
    return _NEIGHBOURS


def _with_detail(
    photons: Float64Array, expected: Float64Array, few: npt.NDArray[np.bool_], sigma: float, least: float
) -> Float64Array:
    """``expected`` with as much detail as the mean over neighbours took away, where that is seen.

    What the counts stray by from the mean is noise and detail. Where it is more than noise, beyond chance, as much of
    it as has the detail's mean square stands for the detail.
    """
    views, cells = _window(photons, few, sigma)
    away = np.where(few, photons - expected, 0.0)
    number = np.maximum(uniform_filter(few.astype(np.float64), _NEIGHBOURS, mode="nearest"), 1e-9)
    found = uniform_filter(away**2, _NEIGHBOURS, mode="nearest") / number
    noise = uniform_filter(np.where(few, expected + sigma**2, 0.0), _NEIGHBOURS, mode="nearest") / number
    noise *= 1 - 1 / (views * cells)
    plain = noise[few].sum() * (1 + _SURE * math.sqrt(2 / max(1, int(few.sum()))))
    if np.square(away).sum() <= plain:
        return expected  # nowhere, or too little to tell
    seen = few & (found > (1 + _CHANCE * math.sqrt(2 / math.prod(_NEIGHBOURS))) * noise)
    share = np.sqrt(np.maximum(found - noise, 0) / np.maximum(found, 1e-300))
    return np.where(seen, np.maximum(expected + share * away, least), expected)


def relative_variance(
    expected: Float64Array, few: npt.NDArray[np.bool_], sigma: float, least: float = FEWEST_COUNTS
) -> Float64Array:
    """``(L + s^2) / L^2``; for ``few`` counts the mean square of the noise itself, down to no photon at all."""
    variance = (expected + sigma**2) / expected**2
    if few.any():
        at, table = _mean_squares(float(expected[few].max()), sigma, least)
        variance[few] = np.exp(np.interp(np.log(expected[few]), np.log(at), np.log(table)))
    return variance


def _mean_squares(largest: float, sigma: float, least: float) -> tuple[Float64Array, Float64Array]:
    """``E log^2(max(N, least) / L)`` over ``L``, for ``N`` of Poisson photons and Gaussian noise, by sums over both."""
    at = np.geomspace(least, max(2 * least, largest), 64)
    counts = np.arange(math.ceil(at[-1] + 10 * math.sqrt(at[-1]) + 10))
    z = np.linspace(-6, 6, 241)
    weight = np.exp(-(z**2) / 2)
    weight /= weight.sum()
    logs = np.log(np.maximum(counts[:, None] + sigma * z, least))
    first, second = logs @ weight, logs**2 @ weight
    chance = np.exp(counts * np.log(at[:, None]) - at[:, None] - gammaln(counts + 1))
    chance /= chance.sum(axis=1, keepdims=True)
    log_at = np.log(at)
    return at, np.maximum(chance @ second - 2 * log_at * (chance @ first) + log_at**2, 1e-12)


def whitened_moments(
    photons: Float64Array, expected: Float64Array, few: npt.NDArray[np.bool_], sigma: float,
    least: float = FEWEST_COUNTS,
) -> tuple[float, float]:
    """The law of ``(f - E f)^2 / var(f)``: 1 and 1, were counts Gaussian and variances known.

    Returns:
        Its mean over the rays, and the standard deviation of its sum over that of a chi-square variable of this mean.
        Where no ray has few counts, the first is right to second order in ``1 / L``: with ``v = (L + s^2) / L^2`` and
        ``a = L / (L + s^2)`` it is ``1 + (1 - a) / (L + s^2) - 3 v (1 / 12 + a (1 - a))``. Else both are those of
        counts drawn with the means ``expected`` and the detail of ``photons``, by a generator of a fixed seed.
    """
    if not few.any():
        total = expected + sigma**2
        v, a = total / expected**2, expected / total
        return float(np.mean(1 + (1 - a) / total - 3 * v * (1 / 12 + a * (1 - a)))), 1.0
    true = _with_detail(photons, expected, few, sigma, least)
    rng = np.random.default_rng(0)
    tiles = [np.arange(0, side, _TILE) for side in expected.shape]
    sums = []
    for _ in range(_DRAWS):
        drawn = rng.poisson(true) + sigma * rng.standard_normal(expected.shape)
        variance = relative_variance(*expected_photons(drawn, sigma, least), sigma, least)
        squares = np.log(np.maximum(drawn, least) / true) ** 2 / variance
        # Neighbours share the mean that their variance was taken from, so it is tiles that are independent.
        sums.append(np.add.reduceat(np.add.reduceat(squares, tiles[0], axis=0), tiles[1], axis=1))
    mean = float(np.mean(sums)) * sums[0].size / expected.size
    # What few counts say of their own means is no surer than they are.
    spread = math.sqrt(float(np.var(sums, axis=0, ddof=1).sum()) * (1 + float(few.mean())))
    return mean, max(1.0, spread / (mean * math.sqrt(2 * expected.size)))
