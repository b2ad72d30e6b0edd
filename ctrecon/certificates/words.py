"""A valid certificate in words: what a person who reads images takes from it. The statement is the precise sentence."""

from __future__ import annotations

import math

import numpy as np

from ctrecon.certificates.verify import Verdict, one_line
from ctrecon.certificates.worth import Worth
from ctrecon.measurement.mask import Mask
from ctrecon.support.rounded import at_least, at_most, within

DIFFERENT = 0.9
"""Of the values: where fewer rays are different and pass through the image, their number is said."""


def in_words(verdict: Verdict, found: Worth) -> tuple[str, ...]:
    """A few lines: the meaning, what delta is beside the data, and why the statement says nothing or little, if so.

    Args:
        verdict: Of a certificate that holds.
        found: What ``worth`` says of it.
    """
    meaning = {"feasible": _feasible, "infeasible": _infeasible, "interval": _interval}[str(verdict.kind)](verdict)
    meaning = found.said if found.nothing else meaning
    little = [f"it says little: {'; '.join(found.little)}"] if found.little else []
    label = [_label(verdict)] if verdict.kind == "interval" else []
    return (f"in words: {meaning}", *little, _delta(verdict, found), *label)


def _feasible(verdict: Verdict) -> str:
    v = verdict.claims
    if "factor" in v["operator"]:
        k = v["operator"]["factor"]
        within_them = "what differs within them is not said"
        return f"the means over {k} x {k} pixels give back every value to within delta; {within_them}"
    return "the image explains the data to within delta; whether each of its structures is real is not said"


def _infeasible(verdict: Verdict) -> str:
    v = verdict.claims
    lo, hi = within(v["lo"], v["hi"])
    shape = " x ".join(map(str, v["image_shape"]))
    return f"no image of {shape} pixels with values from {lo} to {hi}{_per(verdict)} explains the data to within delta"


def _interval(verdict: Verdict) -> str:
    v = verdict.claims
    lower, upper = at_most(verdict.proved["lower"]), at_least(verdict.proved["upper"])
    rough, (lo, hi) = at_most(v["kappa"]), within(v["lo"], v["hi"])
    limits = f"within delta, with TV <= {rough} and values from {lo} to {hi}"
    if verdict.proved["lower"] <= 0 <= verdict.proved["upper"]:
        return (
            f"not decided: no image {limits} shows less than {lower} or more than {upper}; 0 lies between, "
            "so that no sign is proved"
        )
    most = still_decided(verdict)
    until = f"up to TV = {at_most(most)}" if math.isfinite(most) else "for any TV"
    return (
        f"in the data, if the object is no rougher than TV = {rough}: every image {limits} shows {lower} to {upper}, "
        f"never 0; the sign stays proved {until}"
    )


def _per(verdict: Verdict) -> str:
    """The unit, as far as a certificate without an image knows it: lengths may count mm or cells of the detector."""
    return " per unit of length" if "grid" in verdict.claims["operator"] else ""


def still_decided(verdict: Verdict) -> float:
    """The largest kappa up to which the two dual vectors of a decided range still prove its sign.

    The bound on either end falls by ``max_j |p_j|`` times what kappa grows. Not the largest that any duals would prove.
    """
    end = "lower" if verdict.proved["lower"] > 0 else "upper"
    p, left = verdict.arrays[f"{end}_p"], abs(verdict.proved[end])
    steepest = float(np.sqrt(np.square(p).sum(0).max()))
    kappa = float(verdict.claims["kappa"])
    return kappa + (1 - 1e-6) * left / steepest if steepest > 0 else math.inf


def _delta(verdict: Verdict, found: Worth) -> str:
    v = verdict.claims
    whose = {"max": "the largest value", "whitened": "the weighted norm"}.get(v["norm"], "the norm")
    share = "all" if math.isinf(found.share) else f"{100 * found.share + 0.0:.3g}%"
    said = f"delta is {share} of {whose} of the data: {_values(verdict, found)}"
    if v["weights"] is not None:
        said += f"; the weights make {_many(found.values, 'value')} worth {found.counted:.0f} of equal weight"
    return said


def _values(verdict: Verdict, found: Worth) -> str:
    """How many values there are for how many pixels, and of how many rays, where these are fewer."""
    of = ""
    if found.rays is not None and found.rays < DIFFERENT * found.values:
        through = " through the image" if "grid" in verdict.claims["operator"] else ""
        of = f" of {_many(found.rays, 'different ' + ('ray' if through else 'row'))}{through}"
    return f"{_many(found.values, 'value')}{of} for {_many(found.pixels, 'pixel')}"


def _label(verdict: Verdict) -> str:
    """What the functional measures, from itself; and the label, which anyone may have written."""
    c = verdict.arrays["functional"]
    inside, around = c > 0, c < 0
    means = [
        bool(mask.any()) and float(np.abs(c[mask] * np.count_nonzero(mask) - total).max()) < 1e-9
        for mask, total in ((inside, 1.0), (around, -1.0))
    ]
    what = "a weighted sum of pixels that is no difference of two means"
    if all(means):
        row, column = (float(part.mean()) for part in np.nonzero(inside))
        what = (
            f"the mean over {_pixels(inside)} about column {column:.1f}, row {row:.1f}, less that over "
            f"{_pixels(around)} around"
        )
    label = one_line(verdict.claims["region"])[:200].replace('"', "'")  # what closes its own quotation would be ours
    return f'measured: {what}{_per(verdict)}; the file\'s author calls it "{label}"'


def _pixels(mask: Mask) -> str:
    return _many(int(np.count_nonzero(mask)), "pixel")


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
