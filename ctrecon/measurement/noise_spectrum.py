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

import numpy as np

from ctrecon.measurement.noise_likelihood import NOTHING, SHAPES, Everything, Seen, mean_of_shapes
from ctrecon.support.arrays import Float64Array

CAUTION = 2.0
"""So many standard errors are added where an estimate must not be too small, as a bound on the noise must not be."""

# As many standard errors of a normal law on one side.
_CAUTIOUS = 0.5 * (1 + math.erf(CAUTION / math.sqrt(2)))
# What is finer than the cells comes back at the higher frequencies, and beyond the wedge too, so that the lower ones
# alone may be purer. By so many times its caution the least of them may be exceeded: of many it is too small.
_LOWEST, _DOUBT = (1.0, 0.5), 1.75
# A blur is believed where less than this share of what white noise would leave is there.
_LESS = 0.8
# Fewer degrees of freedom say nothing.
_FEWEST = 8
# The lowest frequencies are those of a flicker where that is so many times likelier (in logarithms): 5 standard errors.
# They are at most so many or so large a share, whichever is more, and have so many times what is above.
_LIKELIER, _FLICKER, _FALL = 12.5, (3, 0.04), 1.1
# What is e to so much less likely than the likeliest cannot be told from nothing.
_SURE = 30.0
# So many levels of the noise are looked at, between those whose cost is so much above the least; fewer to find these.
_LEVELS, _COARSE, _UNLIKELY = 40, 25, 10.0


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
        mean = max(float(power.sum() / free.sum()), NOTHING)
        # A blur is believed where there is less at some frequency, object included, than white noise would leave.
        shapes = 1 if float(self.everything.power.min()) > _LESS * mean else SHAPES.shape[1]
        found = _explain(Seen(self.everything, x[known], power, free, shapes), mean)
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
    return _explain(Seen(everything, none, none, none, shapes=1), max(float(everything.power.min()), NOTHING))


def _explain(seen: Seen, about: float) -> Level:
    """The noise that explains all: the median and a quantile of its law; its level is sought around ``about``."""
    level = about * np.geomspace(1e-4, 30, _COARSE)
    for count, above in ((_COARSE, _UNLIKELY), (_LEVELS, _SURE)):  # closer and closer to where it is likely
        cost = seen.cost(level, above)
        least = cost.min(axis=(0, 2))
        near = np.flatnonzero(least < least.min() + _UNLIKELY)
        first, last = max(near[0] - 1, 0), min(near[-1] + 1, len(level) - 1)
        level = np.geomspace(level[first], level[last], count)
    # What was nowhere likely among levels this close is not so between them.
    cost = seen.cost(level, _SURE, cost.min(axis=1) < cost.min() + _SURE)
    chance = np.exp(cost.min() - cost).sum(axis=0)
    size = np.sqrt(level[:, None] * mean_of_shapes()[: seen.shapes])
    order = np.argsort(size, axis=None)
    upto = np.cumsum(chance.ravel()[order])
    likely, most = np.interp([0.5 * upto[-1], _CAUTIOUS * upto[-1]], upto, size.ravel()[order])
    return Level(float(likely), max(float(most), float(likely)))


def _flicker(power: Float64Array, free: Float64Array) -> int:
    """How many of the lowest frequencies have more than those just above, by more than any blur would explain.

    Its tail is of several steps, so the search goes on above each that is found.
    """
    lines = max(_FLICKER[0], round(_FLICKER[1] * len(free)))
    seen = np.flatnonzero(free[: max(2 * _FLICKER[0] + 2, round(2.5 * _FLICKER[1] * len(free)))])
    if not seen.size:
        return 0
    stop = int(seen[-1]) + 1
    fall = max(_FALL, math.exp(SHAPES[0].max() * (stop / len(free)) ** 2))
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
