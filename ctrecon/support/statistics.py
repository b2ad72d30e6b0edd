"""How certain a mean or a share is: intervals that every table of quality states.

Images of one patient, or scans of one object, are alike; what is drawn anew is the patient or object. So a bootstrap
draws these, with all images of each (A. C. Davison, D. V. Hinkley, Bootstrap Methods and their Application, 1997,
section 3.8).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from ctrecon.errors import SettingError

DRAWS, SEED, LEVEL = 4000, 20261127, 0.95


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean with its interval: of ``images`` images of ``groups`` patients or objects.

    Of a single group nothing is known about others: ``low`` and ``high`` are then NaN.
    """

    mean: float
    low: float
    high: float
    images: int
    groups: int

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low)

    @property
    def significant(self) -> bool:
        """Of a difference: whether the interval excludes 0."""
        return self.known and (self.low > 0 or self.high < 0)

    def __str__(self) -> str:
        return self.said(".4g")

    def said(self, form: str, *, difference: bool = False) -> str:
        """The mean and its interval in words.

        Args:
            form: How a number is written, such as ``.2f``.
            difference: Whether it is one, of which it is said where it is not significant.

        Returns:
            Such as ``1.20 (1.05 to 1.35)``.
        """
        if not self.known:
            return f"{self.mean:{form}} (no interval: {self.groups} of a kind)"
        doubt = ", n.s." if difference and not self.significant else ""
        return f"{self.mean:{form}} ({self.low:{form}} to {self.high:{form}}{doubt})"

    def to_dict(self) -> dict[str, float | int | bool | None]:
        """For JSON.

        Returns:
            Plain values; the ends are None where nothing is known.
        """
        low, high = (self.low, self.high) if self.known else (None, None)
        return {"mean": self.mean, "low": low, "high": high, "images": self.images, "patients": self.groups}


@dataclass(frozen=True, kw_only=True)
class Share:
    """``hits`` of ``count`` and the interval of the share, by Wilson's score."""

    hits: int
    count: int
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.hits} of {self.count} ({100 * self.low:.0f} to {100 * self.high:.0f}%)"


def estimate(values: Sequence[float], groups: Sequence[Hashable], *, draws: int = DRAWS, seed: int = SEED) -> Estimate:
    """The mean of ``values`` and its 95% interval, by a bootstrap over ``groups``; the same numbers each time.

    Of few groups the percentiles of a bootstrap are too narrow: the spread is taken ``sqrt(n / (n - 1))`` wider, and
    multiplied by how much Student's quantile exceeds the normal one.

    Args:
        values: One per image.
        groups: Of each image the patient or object that it is of.
        draws: Of the bootstrap.
        seed: Of the bootstrap.

    Returns:
        The mean, its interval, and of how many images and groups.

    Raises:
        SettingError: Without values, or with another number of groups.
    """
    from scipy.stats import norm, t

    if not len(values) or len(values) != len(groups):
        raise SettingError(f"an estimate needs values and the group of each, got {len(values)} and {len(groups)}")
    names = list(dict.fromkeys(groups))
    x = np.asarray(values, dtype=np.float64)
    sums, counts = np.zeros(len(names)), np.zeros(len(names))
    at = {name: k for k, name in enumerate(names)}
    where = np.array([at[group] for group in groups])
    np.add.at(sums, where, x)
    np.add.at(counts, where, 1)
    mean, n = float(x.mean()), len(names)
    if n < 2:
        return Estimate(mean=mean, low=math.nan, high=math.nan, images=len(x), groups=n)
    drawn = np.random.default_rng(seed).integers(0, n, size=(draws, n))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    tail = (1 - LEVEL) / 2
    wider = math.sqrt(n / (n - 1)) * float(t.ppf(1 - tail, n - 1) / norm.ppf(1 - tail))
    low, high = (mean + wider * (float(q) - mean) for q in np.quantile(means, [tail, 1 - tail]))
    return Estimate(mean=mean, low=low, high=high, images=len(x), groups=n)


def shares(hits: Sequence[bool]) -> Share:
    """``share_of`` those of independent cases that are true.

    Args:
        hits: Of each case whether it is.

    Returns:
        The share with its 95% interval.

    Raises:
        SettingError: Without cases.
    """
    return share_of(sum(map(bool, hits)), len(hits))


def share_of(hits: int, count: int) -> Share:
    """The share of independent cases with its 95% interval (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927).

    Args:
        hits: How many.
        count: Of how many.

    Returns:
        The counts and the interval's ends, which are within 0 and 1.

    Raises:
        SettingError: Without cases.
    """
    if count < 1:
        raise SettingError(f"a share needs cases, got {count or 'none'}")
    low, high = _wilson(hits / count, count)
    return Share(hits=hits, count=count, low=low, high=high)


def share_of_groups(hits: Sequence[bool], groups: Sequence[Hashable]) -> Share:
    """The share of cases that come in ``groups``, such as several noises of one object: they count for fewer.

    Wilson's interval of as many independent cases as have the variance that the groups' own shares show (J. N. K. Rao,
    A. J. Scott, Biometrics 48, 1992): never more than there are cases, nor fewer than groups. Where all cases agree
    nothing shows how alike they are, and each group counts as one.

    Args:
        hits: Of each case whether it is.
        groups: Of each case the group that it is of.

    Returns:
        The counts of cases, with the wider interval.

    Raises:
        SettingError: Without cases, or with another number of groups.
    """
    if len(hits) != len(groups):
        raise SettingError(f"a share needs the group of each case, got {len(hits)} and {len(groups)}")
    if not len(hits):
        raise SettingError("a share needs cases, got none")
    names = list(dict.fromkeys(groups))
    found, count, n = sum(map(bool, hits)), len(hits), len(names)
    p, fewest = found / count, n / count
    times = fewest
    if 0 < p < 1 and n > 1:
        left = dict.fromkeys(names, 0.0)
        for hit, group in zip(hits, groups, strict=True):
            left[group] += bool(hit) - p
        variance = n / (n - 1) * sum(x * x for x in left.values()) / count**2
        times = min(1.0, max(fewest, p * (1 - p) / count / variance))
    low, high = _wilson(p, count * times)
    return Share(hits=found, count=count, low=low, high=high)


def _wilson(p: float, count: float) -> tuple[float, float]:
    """The interval of the share ``p`` of ``count`` independent cases, which may be no whole number."""
    from scipy.stats import norm

    z = float(norm.ppf((1 + LEVEL) / 2))
    middle, half = (p + z * z / (2 * count)), z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    low, high = ((middle + sign * half) / (1 + z * z / count) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)
