"""The noise's mean square from what lies beyond the double wedge, frequency by frequency along the detector.

Beyond the wedge there is noise alone, but of few views only at the lowest frequencies, and a detector that blurs or a
beam that flickers has less noise, or more, elsewhere. So the noise is taken for white until it is seen to fall from one
frequency to the next; and nowhere is it more than all that the sinogram holds at a frequency, object included, which
is little more than noise at the highest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ctrecon.support.arrays import Float64Array

CAUTION = 2.0
"""So many standard errors are added where an estimate must not be too small, as a bound on the noise must not be."""

# What is finer than the cells comes back at the higher frequencies, and beyond the wedge too, so that the lowest alone
# may be purer.
_LOWEST = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15)
# By so many times its caution the least of them may be exceeded: of many it is too small by more than its caution.
_DOUBT = 1.75
# Fewer degrees of freedom say nothing.
_FEWEST = 32
# The noise falls where that is so many times likelier (in logarithms) than that it does not: 5 standard errors.
_LIKELIER = 12.5
# Frequencies are joined until their whole power is known to a tenth.
_JOINED = 200
# By so many standard errors the whole power must lie below the noise before it counts against it, and a blur is not
# told from less than so much of the square of the highest frequency.
_SURE, _FURTHER = 4.0, 0.1
# In the place of a power of zero, which only data without noise have.
_NOTHING = 1e-250


@dataclass(frozen=True)
class Level:
    """A root mean square: ``likely``, and ``most``, with ``CAUTION``."""

    likely: float
    most: float


@dataclass(frozen=True)
class Lines:
    """A sinogram's power at each frequency along the detector, from the lowest, with its degrees of freedom.

    White noise of variance 1 has a power as large as the degrees of freedom. ``power`` and ``free`` are of what no
    object reaches, ``whole_power`` and ``whole_free`` of everything. ``share`` of the noise's rays, sums to 1.
    """

    power: Float64Array
    free: Float64Array
    whole_power: Float64Array
    whole_free: Float64Array
    share: Float64Array

    def below(self, share: float) -> Lines:
        """With nothing known beyond the wedge but at so large a share of the frequencies, the lowest."""
        low = np.arange(len(self.free)) < share * len(self.free)
        return replace(self, power=self.power * low, free=self.free * low)

    def level(self) -> Level | None:
        """The noise over all frequencies; None where too little lies beyond the wedge."""
        if self.free.sum() < _FEWEST:
            return None
        mean, freedom, at = self._falling()
        x = np.arange(len(self.free)) / max(1, len(self.free) - 1)
        joined = np.floor(np.concatenate([[0.0], np.cumsum(self.whole_free)[:-1]]) / _JOINED).astype(int)
        used = np.bincount(joined, weights=self.whole_free) > 0

        def together(values: Float64Array, weights: Float64Array) -> Float64Array:
            one = np.bincount(joined, weights=weights)[used]
            return np.bincount(joined, weights=values * weights)[used] / one

        share = np.bincount(joined, weights=self.share)[used]
        all_free = np.bincount(joined, weights=self.whole_free)[used]
        everything = np.maximum(np.bincount(joined, weights=self.whole_power)[used] / all_free, _NOTHING)
        beyond, known = np.maximum(together(mean, self.share), _NOTHING), together(freedom, self.share)
        further = np.maximum(together(x**2 - at, self.share), 0)
        error = np.sqrt(2 / known + 2 / all_free)
        if len(np.unique(mean)) == 1:
            # White as far as it goes: what agrees with it elsewhere makes it surer.
            agree = np.abs(everything - beyond) <= CAUTION * error * beyond
            total = known[0] + all_free[agree].sum()
            beyond[:] = (known[0] * beyond[0] + (all_free * everything)[agree].sum()) / total
            known[:] = total
        # A blur like a Gaussian's, as strong as it takes for the noise to be nowhere more than everything.
        largest = everything * (1 + _SURE * error)
        fallen = np.log(beyond / largest) / np.maximum(further, _FURTHER)
        blur = float(np.where(further > 0, fallen, 0.0).max(initial=0.0))
        noise = share * np.minimum(beyond * np.exp(-blur * further), largest)
        total, caution = float(noise.sum()), CAUTION * float((noise * np.sqrt(2 / known)).sum())
        return Level(math.sqrt(total), math.sqrt(total + caution))

    def _falling(self) -> tuple[Float64Array, Float64Array, Float64Array]:
        """The noise's mean power at each frequency, in steps, with the freedom and mean square frequency of each."""
        mean, freedom, at = np.zeros_like(self.free), np.zeros_like(self.free), np.zeros_like(self.free)
        x = np.arange(len(self.free)) / max(1, len(self.free) - 1)
        ends = [0, len(self.free)]
        while len(ends) > 1:
            first, last = ends[-2], ends[-1]
            cut = _step(self.power[first:last], self.free[first:last])
            if cut:
                ends.insert(-1, first + cut)
                continue
            freedom[first:last] = self.free[first:last].sum()
            mean[first:last] = self.power[first:last].sum() / freedom[first]
            at[first:last] = (self.free * x**2)[first:last].sum() / freedom[first]
            ends.pop()
        return mean, freedom, at


def level_of(found: Sequence[Lines]) -> Level | None:
    """The noise by several wedges and over several ranges, all of which err on the large side, or None by none.

    Of those that do not contradict the least beyond doubt, the one that is known best.
    """
    every = (lines.below(share).level() for lines in found for share in _LOWEST)
    levels = [one for one in every if one is not None]
    least = min((one.likely + _DOUBT * (one.most - one.likely) for one in levels), default=0.0)
    return min((one for one in levels if one.likely <= least), key=lambda one: one.most / one.likely, default=None)


def _step(power: Float64Array, free: Float64Array) -> int:
    """Where the mean falls, as the likelihood of two chi-square laws against one has it; 0 for nowhere."""
    p, d = np.cumsum(power), np.cumsum(free)
    before, after = d[:-1], d[-1] - d[:-1]
    sound = (before > 0) & (after > 0) & (p[:-1] > 0) & (p[-1] > p[:-1])
    if not sound.any():
        return 0
    with np.errstate(all="ignore"):
        left, right = p[:-1] / before, (p[-1] - p[:-1]) / after
        gain = (d[-1] * np.log(p[-1] / d[-1]) - before * np.log(left) - after * np.log(right)) / 2
    gain = np.where(sound & (left > right), gain, 0.0)
    best = int(np.argmax(gain))
    return best + 1 if gain[best] > _LIKELIER else 0
