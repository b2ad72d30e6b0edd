"""The noise's mean square, from what lies beyond the double wedge and from all that the sinogram holds.

Beyond the wedge there is noise alone, but of few views only at the lowest frequencies along the detector, and a
detector that blurs has less noise at the higher ones. What the sinogram holds at the higher frequencies, object
included, says by how much. So both are explained together: the noise has a level and perhaps a blur, of which a share
``w`` stays white, ``s^2 (w + (1 - w) exp(-b x^2))`` at the share ``x`` of the highest frequency: what counts in the
scintillator is blurred as the object is, what comes after it (the light's own quanta, the electronics) is not. The
object has a level, an exponent, and strays from its power by a little or by much (``object_spectrum.py``). All six
are integrated over by their likelihood: what cannot be told apart makes the answer less certain, and not wrong.

A beam that flickers or drifts moves whole views, which is the lowest frequencies alone. What they have beyond that of
their neighbours is added as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from scipy.special import log_ndtr

from ctrecon.measurement.object_spectrum import LIKELY, LIKELY_WITHIN, RAGGED, VERY_RAGGED, folded
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
# They are at most so many or so large a share, whichever is more, and have so many times what is above.
_LIKELIER, _FLICKER, _FALL = 12.5, (3, 0.04), 1.1
# The blurs b that are tried, none first; those with the white shares w beside them; the exponents; the bands.
_BLURS = (0.0, 0.25, 0.5, 0.8, 1.2, 1.6, 2.0, 2.5, 3.0, 3.5, 4.2, 5.0, 6.0)
_PARTLY, _WHITE = (1.6, 2.5, 3.5, 5.0, 7.0, 10.0), (0.15, 0.3, 0.45, 0.6, 0.75)
_SHAPES = np.array([(b, 0.0) for b in _BLURS] + [(b, w) for w in _WHITE for b in _PARTLY]).T
_EXPONENTS = np.concatenate([np.arange(1.3, 3.55, 0.25), np.arange(1.3, 3.55, 0.5)])
# How ragged the object is beside each exponent: which power a very ragged one has matters less.
_RAGGED = np.repeat([RAGGED, VERY_RAGGED], [9, 5])
_FROM, _BANDS = 0.2, 14
# No blur is so many times as likely as all blurs together: what is too small is worse than what is too large.
_RATHER_WHITE, _LESS = 10.0, 0.8
_ROUNDS = 4
# So many levels of the noise are looked at, between those whose cost is so much above the least; fewer to find these.
_LEVELS, _COARSE, _UNLIKELY = 40, 25, 10.0
# So many numbers are worked on at once.
_AT_ONCE = 1 << 15
# In the place of a power of zero, which only data without noise have; its square can be divided by.
_NOTHING = 1e-140


@dataclass(frozen=True)
class Level:
    """A root mean square: ``likely``, and ``most``, with ``CAUTION``."""

    likely: float
    most: float

    @classmethod
    def together(cls, levels: Sequence[Level]) -> Level:
        """The level of several parts as one.

        Args:
            levels: Of parts with as many values each, at least one.

        Returns:
            Their root mean squares.
        """
        likely, most = (
            math.sqrt(sum(getattr(one, name) ** 2 for one in levels) / len(levels)) for name in ("likely", "most")
        )
        return cls(likely, most)


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

    def level(self) -> tuple[Level, float] | None:
        """The noise over all frequencies without the flicker, and its mean square; None where too little is beyond."""
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
        shapes = 1 if float(self.everything.power.min()) > _LESS * mean else _SHAPES.shape[1]
        found = _explain(_Seen(self.everything, x[known], power, free, shapes), mean)
        more = 0.0
        if flicker:
            own = self.power[:flicker] / np.maximum(self.free[:flicker], 1)
            more = float((self.share[:flicker] * np.maximum(own - found.likely**2, 0)).sum())
        return found, more


def level_of(found: Sequence[Lines]) -> Level | None:
    """The noise by several wedges and over several ranges, all of which err on the large side, or None by none.

    Of those that do not contradict the least beyond doubt, the one that is known best. A beam drifts more than it
    flickers, at the lower angular frequencies that the wider wedges cover: the most that one sees of it is added.
    """
    every = (lines.below(share).level() for lines in found for share in _LOWEST)
    levels = [one for one in every if one is not None]
    if not levels:
        return None
    least = min(one.likely + _DOUBT * (one.most - one.likely) for one, _ in levels)
    best = min((one for one, _ in levels if one.likely <= least), key=lambda one: one.most / one.likely)
    more = max(flicker for _, flicker in levels)
    return Level(math.hypot(best.likely, math.sqrt(more)), math.hypot(best.most, math.sqrt(more)))


def level_of_white(values: Float64Array) -> Level:
    """The noise of ``[views, cells]``, taken for white, where nothing is known of what lies beyond a wedge."""
    everything, none = Everything.of(values), np.zeros(0)
    return _explain(_Seen(everything, none, none, none, shapes=1), max(float(everything.power.min()), _NOTHING))


@dataclass(frozen=True)
class _Seen:
    """What is to be explained: everything, and ``power`` at ``x`` beyond the wedge, by the first ``shapes`` of all."""

    everything: Everything
    x: Float64Array
    power: Float64Array
    free: Float64Array
    shapes: int

    def cost(self, level: Float64Array) -> Float64Array:
        """Minus the logarithm of the likelihood: ``[exponents, levels of the noise, shapes]``."""
        everything, count = self.everything, self.shapes
        held, freedom = np.maximum(everything.power, _NOTHING), everything.views * _bands(everything.cells)[1]
        noise = level[:, None, None] * _in_bands(everything.cells)[:count]  # [levels, shapes, bands]
        blur = _of_object(everything.cells)[:count]
        sampled, crossed = 2 * noise**2 / freedom + 1e-12 * held**2, 4 * noise / freedom
        left = held - noise
        cost = np.empty((len(_EXPONENTS), len(level), count))
        # As many exponents at once as the caches hold; few numbers in many steps otherwise.
        many = max(1, _AT_ONCE // left.size)
        for first in range(0, len(_EXPONENTS), many):
            part = slice(first, first + many)
            law = (_laws(everything.cells)[part, None] * blur)[:, None]  # [exponents, 1, shapes, bands]
            size = _medians(left / law)
            square, times, ragged = law * law, law * left, (_RAGGED[part, None, None, None] * law) ** 2
            for _ in range(_ROUNDS):
                own = np.maximum(size, 0)[..., None]
                spread = sampled + own * (crossed * law + own * ragged)
                known = (square / spread).sum(-1)
                size = (times / spread).sum(-1) / known
            cost[part] = ((left - size[..., None] * law) ** 2 / spread + np.log(spread)).sum(-1) / 2
            # Integrated over all sizes of the object from 0, and not taken at the best, which noise would pay for.
            cost[part] += np.log(known) / 2 - log_ndtr(size * np.sqrt(known))
        cost += (((_EXPONENTS - LIKELY) / LIKELY_WITHIN) ** 2 / 2)[:, None, None]
        # The chi-square laws of what lies beyond.
        shape = _shapes(self.x)[:count]
        cost += float(self.free.sum()) / 2 * np.log(level)[:, None] + np.log(shape) @ self.free / 2
        cost += (1 / shape) @ self.power / (2 * level[:, None])
        return cost + np.where(np.arange(count) == 0, 0.0, math.log(_RATHER_WHITE * _SHAPES.shape[1]))


def _medians(values: Float64Array) -> Float64Array:
    """``np.median`` along the last axis, which is short: whole rows are sorted in a tenth of the time."""
    ordered, count = np.sort(values, axis=-1), values.shape[-1]
    return np.asarray((ordered[..., (count - 1) // 2] + ordered[..., count // 2]) / 2)


def _explain(seen: _Seen, about: float) -> Level:
    """The noise that explains all: the median and a quantile of its law; its level is sought around ``about``."""
    level = about * np.geomspace(1e-4, 30, _COARSE)
    for count in (_COARSE, _LEVELS):  # closer and closer to where it is likely
        cost = seen.cost(level).min(axis=(0, 2))
        near = np.flatnonzero(cost < cost.min() + _UNLIKELY)
        first, last = max(near[0] - 1, 0), min(near[-1] + 1, len(level) - 1)
        level = np.geomspace(level[first], level[last], count)
    cost = seen.cost(level)
    chance = np.exp(cost.min() - cost).sum(axis=0)
    size = np.sqrt(level[:, None] * _mean_of_shapes()[: seen.shapes])
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


def _shapes(x: Float64Array) -> Float64Array:
    """``[shapes, frequencies]``: the noise's power, 1 at the lowest."""
    blur, white = _SHAPES[:, :, None]
    return np.asarray(white + (1 - white) * np.exp(-blur * x**2))


@lru_cache(maxsize=8)
def _in_bands(cells: int) -> Float64Array:
    """``[shapes, bands]``: the same."""
    shapes = _shapes(np.arange(cells) / cells)
    return np.array([shapes[:, band].mean(axis=1) for band in _bands(cells)[0]]).T


@lru_cache(maxsize=8)
def _of_object(cells: int) -> Float64Array:
    """``[shapes, bands]``: what a blur leaves of the object's power, where it came before the white share."""
    blur, white = _SHAPES[:, :, None]
    x = np.arange(cells) / cells
    left = np.where(white > 0, np.exp(-blur * x**2), 1.0)
    return np.array([left[:, band].mean(axis=1) for band in _bands(cells)[0]]).T


@lru_cache(maxsize=1)
def _mean_of_shapes() -> Float64Array:
    return np.asarray(_shapes((np.arange(400) + 0.5) / 400).mean(axis=1))


def _flicker(power: Float64Array, free: Float64Array) -> int:
    """How many of the lowest frequencies have more than those just above, by more than any blur would explain.

    Its tail is of several steps, so the search goes on above each that is found.
    """
    lines = max(_FLICKER[0], round(_FLICKER[1] * len(free)))
    seen = np.flatnonzero(free[: max(2 * _FLICKER[0] + 2, round(2.5 * _FLICKER[1] * len(free)))])
    if not seen.size:
        return 0
    stop = int(seen[-1]) + 1
    fall = max(_FALL, math.exp(_SHAPES[0].max() * (stop / len(free)) ** 2))
    found = 0
    while found < lines:
        more = _step(power[found:stop], free[found:stop], lines - found, fall)
        if not more:
            break
        found += more
    return found


def _step(power: Float64Array, free: Float64Array, most: int, fall: float) -> int:
    """Up to which of the first ``most`` there is ``fall`` times what is above, if two laws are so much likelier."""
    p, d = np.cumsum(power), np.cumsum(free)
    at = np.arange(min(most, len(power) - 1))
    if not at.size:
        return 0
    before, after = d[at], d[-1] - d[at]
    sound = (before > 0) & (after > 0) & (p[at] > 0) & (p[-1] > p[at])
    if not sound.any():
        return 0
    with np.errstate(all="ignore"):
        left, right = p[at] / before, (p[-1] - p[at]) / after
        gain = (d[-1] * np.log(p[-1] / d[-1]) - before * np.log(left) - after * np.log(right)) / 2
    gain = np.where(sound & (left > fall * right), gain, 0.0)
    best = int(np.argmax(gain))
    return best + 1 if gain[best] > _LIKELIER else 0
