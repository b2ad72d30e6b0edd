"""The noise's mean square, from what lies beyond the double wedge and from all that the sinogram holds.

Beyond the wedge there is noise alone, but of few views only at the lowest frequencies along the detector, and a
detector that blurs has less noise at the higher ones. What the sinogram holds at the higher frequencies, object
included, says by how much. So both are explained together: the noise has a level and perhaps a blur, ``s^2 exp(-b
x^2)`` at the share ``x`` of the highest frequency, the object a level and an exponent (``object_spectrum.py``). All
four are integrated over by their likelihood: what cannot be told apart makes the answer less certain, and not wrong.

A beam that flickers moves whole views, which is the lowest frequencies alone. What they have beyond that of their
neighbours is added as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy.special import log_ndtr

from ctrecon.measurement.object_spectrum import LIKELY, LIKELY_WITHIN, RAGGED, folded
from ctrecon.support.arrays import Float64Array
from ctrecon.support.cosine import dct

CAUTION = 2.0
"""So many standard errors are added where an estimate must not be too small, as a bound on the noise must not be."""

# As many standard errors of a normal law on one side.
_CAUTIOUS = 0.5 * (1 + math.erf(CAUTION / math.sqrt(2)))
# What is finer than the cells comes back at the higher frequencies, and beyond the wedge too, so that the lower ones
# alone may be purer. By so many times its caution the least of them may be exceeded: of many it is too small.
_LOWEST, _DOUBT = (1.0, 0.5), 1.75
# Fewer degrees of freedom say nothing.
_FEWEST = 8
# The lowest frequencies are those of a flicker where that is so many times likelier (in logarithms): 5 standard errors.
_LIKELIER, _FLICKER = 12.5, 3
# The blurs b that are tried, the exponents, and in what bands of frequencies.
_BLURS = np.array([0, 0.25, 0.5, 0.8, 1.2, 1.6, 2.0, 2.5, 3.0, 3.5, 4.2, 5.0, 6.0])
_EXPONENTS = np.arange(1.3, 3.55, 0.25)
_FROM, _BANDS = 0.2, 14
# No blur is so many times as likely as all blurs together: what is too small is worse than what is too large.
_RATHER_WHITE, _LESS = 10.0, 0.8
_ROUNDS = 4
# So many levels of the noise are looked at, between those whose cost is so much above the least.
_LEVELS, _UNLIKELY = 40, 10.0
# In the place of a power of zero, which only data without noise have.
_NOTHING = 1e-250


@dataclass(frozen=True)
class Level:
    """A root mean square: ``likely``, and ``most``, with ``CAUTION``."""

    likely: float
    most: float


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
class Lines:
    """A sinogram's power at each frequency along the detector, from the lowest, with its degrees of freedom.

    White noise of variance 1 has a power as large as the degrees of freedom. ``power`` and ``free`` are of what no
    object reaches. ``share`` of the noise's rays, sums to 1.
    """

    power: Float64Array
    free: Float64Array
    share: Float64Array
    everything: Everything

    def below(self, share: float) -> Lines:
        """With nothing known beyond the wedge but at so large a share of the frequencies, the lowest."""
        low = np.arange(len(self.free)) < share * len(self.free)
        return replace(self, power=self.power * low, free=self.free * low)

    def level(self) -> Level | None:
        """The noise over all frequencies; None where too little lies beyond the wedge."""
        if self.free.sum() < _FEWEST:
            return None
        x = np.arange(len(self.free)) / max(1, len(self.free) - 1)
        known = self.free > 0
        flicker = _flicker(self.power, self.free)
        known[:flicker] = False
        if self.free[known].sum() < _FEWEST:
            known, flicker = self.free > 0, 0
        power, free = self.power[known], self.free[known]
        mean = max(float(power.sum() / free.sum()), _NOTHING)
        # A blur is believed where there is less at some frequency, object included, than white noise would leave.
        blurs = 1 if float(self.everything.power.min()) > _LESS * mean else len(_BLURS)
        found = _explain(_Seen(self.everything, x[known], power, free, blurs), mean)
        more = 0.0
        if flicker:
            own = self.power[:flicker] / np.maximum(self.free[:flicker], 1)
            more = float((self.share[:flicker] * np.maximum(own - found.likely**2, 0)).sum())
        return Level(math.sqrt(found.likely**2 + more), math.sqrt(found.most**2 + more))


def level_of(found: Sequence[Lines]) -> Level | None:
    """The noise by several wedges and over several ranges, all of which err on the large side, or None by none.

    Of those that do not contradict the least beyond doubt, the one that is known best.
    """
    every = (lines.below(share).level() for lines in found for share in _LOWEST)
    levels = [one for one in every if one is not None]
    least = min((one.likely + _DOUBT * (one.most - one.likely) for one in levels), default=0.0)
    return min((one for one in levels if one.likely <= least), key=lambda one: one.most / one.likely, default=None)


def level_of_white(values: Float64Array) -> Level:
    """The noise of ``[views, cells]``, taken for white, where nothing is known of what lies beyond a wedge."""
    everything, none = Everything.of(values), np.zeros(0)
    return _explain(_Seen(everything, none, none, none, blurs=1), max(float(everything.power.min()), _NOTHING))


@dataclass(frozen=True)
class _Seen:
    """What is to be explained: everything, and ``power`` at ``x`` beyond the wedge, by the first ``blurs`` of all."""

    everything: Everything
    x: Float64Array
    power: Float64Array
    free: Float64Array
    blurs: int = len(_BLURS)

    def cost(self, level: Float64Array) -> Float64Array:
        """Minus the logarithm of the likelihood: ``[exponents, levels of the noise, blurs]``."""
        everything, blur = self.everything, _BLURS[: self.blurs]
        held, freedom = np.maximum(everything.power, _NOTHING), everything.views * _bands(everything.cells)[1]
        noise = level[:, None, None] * _blurred(everything.cells)[: self.blurs]  # [levels, blurs, bands]
        cost = np.empty((len(_EXPONENTS), len(level), len(blur)))
        sampled = 2 * noise**2 / freedom + 1e-12 * held**2
        left = held - noise
        for k, law in enumerate(_laws(everything.cells)):
            size = np.median(left / law, axis=-1)
            for _ in range(_ROUNDS):
                own = np.maximum(size, 0)[..., None] * law
                spread = sampled + 4 * own * noise / freedom + (RAGGED * own) ** 2
                known = (law * law / spread).sum(-1)
                size = (law * left / spread).sum(-1) / known
            cost[k] = ((left - size[..., None] * law) ** 2 / spread + np.log(spread)).sum(-1) / 2
            # Integrated over all sizes of the object from 0, and not taken at the best, which noise would pay for.
            cost[k] += np.log(known) / 2 - log_ndtr(size * np.sqrt(known))
            cost[k] += ((_EXPONENTS[k] - LIKELY) / LIKELY_WITHIN) ** 2 / 2
        # The chi-square laws of what lies beyond, with sum(free log exp(-b x^2)) in closed form.
        cost += float(self.free.sum()) / 2 * np.log(level)[:, None] - blur * float((self.free * self.x**2).sum()) / 2
        cost += (self.power @ np.exp(blur * self.x[:, None] ** 2)) / (2 * level[:, None])
        return cost + np.where(blur == 0, 0.0, math.log(_RATHER_WHITE * len(_BLURS)))


def _explain(seen: _Seen, about: float) -> Level:
    """The noise that explains all: the median and a quantile of its law; its level is sought around ``about``."""
    level = about * np.geomspace(1e-4, 30, 80)
    for _ in range(2):  # closer and closer to where it is likely
        cost = seen.cost(level).min(axis=(0, 2))
        near = np.flatnonzero(cost < cost.min() + _UNLIKELY)
        first, last = max(near[0] - 1, 0), min(near[-1] + 1, len(level) - 1)
        level = np.geomspace(level[first], level[last], _LEVELS)
    cost = seen.cost(level)
    chance = np.exp(cost.min() - cost).sum(axis=0)
    size = np.sqrt(level[:, None] * _mean_of_blurs()[: seen.blurs])
    order = np.argsort(size, axis=None)
    upto = np.cumsum(chance.ravel()[order])
    likely, most = np.interp([0.5 * upto[-1], _CAUTIOUS * upto[-1]], upto, size.ravel()[order])
    return Level(float(likely), max(float(most), float(likely)))


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


@lru_cache(maxsize=8)
def _blurred(cells: int) -> Float64Array:
    """``[blurs, bands]``: the noise's power."""
    shape = np.exp(-_BLURS[:, None] * (np.arange(cells) / cells) ** 2)
    return np.array([shape[:, band].mean(axis=1) for band in _bands(cells)[0]]).T


@lru_cache(maxsize=1)
def _mean_of_blurs() -> Float64Array:
    x = (np.arange(400) + 0.5) / 400
    return np.asarray(np.exp(-_BLURS * x[:, None] ** 2).mean(axis=0))


def _flicker(power: Float64Array, free: Float64Array) -> int:
    """How many of the lowest frequencies have more than those above, if two laws are so much likelier than one."""
    p, d = np.cumsum(power), np.cumsum(free)
    at = np.arange(min(_FLICKER, len(power) - 1))
    before, after = d[at], d[-1] - d[at]
    sound = (before > 0) & (after > 0) & (p[at] > 0) & (p[-1] > p[at])
    if not sound.any():
        return 0
    with np.errstate(all="ignore"):
        left, right = p[at] / before, (p[-1] - p[at]) / after
        gain = (d[-1] * np.log(p[-1] / d[-1]) - before * np.log(left) - after * np.log(right)) / 2
    # A blur falls slowly: what falls by less than this is one.
    gain = np.where(sound & (left > 2 * right), gain, 0.0)
    best = int(np.argmax(gain))
    return best + 1 if gain[best] > _LIKELIER else 0
