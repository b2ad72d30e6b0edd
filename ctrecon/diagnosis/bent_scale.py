"""Values that are not in proportion to what they measure: dense parts read too little, or too much.

Hardening, scatter and dark current that was kept make a line integral p read ``f = p - c p^2 + ...``. Of a view of a
dense part in line with another more is missing than of one across, so that the views seem to differ in scale, and in
proportion to ``sum f^2 / sum f``: gains of a tube do not know how the object lies.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ctrecon.diagnosis.fit import fit
from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Float64Array

# Of the variance of the views' factors so much must follow their dense parts; gains of tubes leave 0.1, bends 0.55.
_FOLLOWS = 0.5
# A bend that leaves more than this share of the misfit is said after anything else that is found.
_BETTER = 0.88
# One number that leaves no more than so many times what a number for each view does is the better reason.
_NO_MORE = 1.5
# Of the densest parts no more than this share is missing from any scan that scatter or hardening bends; more is another
# fault, or none: of a few coarse cells.
_MOST_MISSING = 0.4
_MOST = _MOST_MISSING / (1 - _MOST_MISSING)


@dataclass(frozen=True, kw_only=True)
class Bend:
    """``p = f + per_value f^2``, and what was seen of it."""

    per_value: float
    evidence: str


def bend_of(factors: Float64Array, density: Float64Array) -> Bend | None:
    """The bend that makes views differ as they do.

    Args:
        factors: By which each view must be multiplied.
        density: Of each view what a bend of 1 would add to it, as a share of its own.

    Returns:
        The bend; None where another reason explains more of the factors.
    """
    x, y = density - density.mean(), factors - factors.mean()
    xx, yy, xy = float(x @ x), float(y @ y), float(x @ y)
    if xx <= 0 or yy <= 0 or xy * xy < _FOLLOWS * xx * yy:
        return None
    follows = xy * xy / (xx * yy)
    evidence = f"{follows:.0%} of what views differ by in scale follows how dense they are"
    return Bend(per_value=xy / xx, evidence=evidence)


def straightened(scan: Scan, bend: Bend, *, instead_of: Suggestion | None = None) -> Suggestion | None:
    """The scan with its scale straightened by a square, by ``bend`` or as far as fits best.

    Args:
        scan: In the plane.
        bend: As the data say it.
        instead_of: What explains the views by a factor each, if anything does.

    Returns:
        The suggestion; ``instead_of`` where that explains much more, or the bend is no small one.
    """
    top = float(np.quantile(scan.sinogram, 0.99))
    at = bend.per_value * top
    if not 0 < abs(at) < _MOST:
        return instead_of
    shares = [_share(scan, times * bend.per_value) for times in (0.0, 1.0, 2.0)]
    before, once, twice = (share**2 for share in shares)
    rising = before + twice - 2 * once
    best = min(max((before - twice) / (2 * rising) + 1, 0.5), 2.0) if rising > 0 else 1.0
    best = min(best, _MOST / abs(at))
    least = _share(scan, best * bend.per_value)
    if least > shares[1]:
        best, least = 1.0, shares[1]
    if instead_of is not None and instead_of.scan is not None and least > _NO_MORE * fit(instead_of.scan).share:
        return instead_of
    missing = best * at / (1 + best * at) if at > 0 else -best * at
    words = (
        f"dense parts read about {missing:.0%} too little (scatter, hardening, or dark current that was kept)"
        if at > 0
        else f"dense parts read about {missing:.0%} too much (dark current taken off twice, or too much scatter)"
    )
    # Nothing but a bend looks like that, however little of the misfit it is.
    little = least > _BETTER * shares[0]
    return Suggestion(
        cause="bent-scale", words=f"{words}; which of these, the data do not tell",
        scan=_bent(scan, best * bend.per_value), certain=little, last=little,
        evidence=bend.evidence,
    )  # fmt: skip


def _share(scan: Scan, per_value: float) -> float:
    return fit(_bent(scan, per_value)).share


def _bent(scan: Scan, per_value: float) -> Scan:
    f = scan.sinogram.astype(np.float64)
    factor = 1 + per_value * np.maximum(f, 0)
    variance = scan.variance
    if variance is not None:
        variance = (variance * (2 * factor - 1) ** 2).astype(variance.dtype)
    values = (f * factor).astype(scan.sinogram.dtype)
    return dataclasses.replace(scan, sinogram=values, counts=None, white=None, variance=variance)
