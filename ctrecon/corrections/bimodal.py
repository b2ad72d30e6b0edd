"""Straighten line integrals of a beam that hardens, by a soft and a hard energy.

A beam of two energies, a soft and a hard part, which an object of one material lets through unlike.

The bimodal model: E. Van de Casteele, D. Van Dyck, J. Sijbers, E. Raman, "An energy-based beam hardening model in
tomography", Phys. Med. Biol. 47, 4181, 2002: ``exp(-p) = (1 - h) exp(-s f) + h exp(-r s f)``, with ``h`` the share of
the hard part, ``r`` its attenuation over the soft part's, and ``s = 1 / (1 - h + h r)`` so that thin objects are as
they are, ``p = f``. Unlike a polynomial it has the right law for thick ones: a straight line of slope ``r s``. In
parallel beams the object says ``h`` itself, since the sum of a view's line integrals is its mass in all.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ctrecon.errors import SettingError
from ctrecon.measurement.by_mass import by_mass
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Float64Array

PLACE = 80
"""Where among the corrections it is applied."""

_STEPS = 40
_HARDEST = 0.9


def bimodal(scan: Scan, *, hard: float | None = None, ratio: float = 0.4) -> Scan:
    """The scan as of a beam that does not harden; the variance grows with the square of the slope.

    Args:
        scan: Line integrals as a polychromatic beam shows them.
        hard: ``h``, from 0 to less than 1; None to find it where beams are parallel.
        ratio: ``r``, above 0 and at most 1.

    Raises:
        SettingError: For a number out of its range.
        InputError: Where ``h`` is not given and the data do not show it.
    """
    if not 0 < ratio <= 1 or (hard is not None and not 0 <= hard < 1):
        raise SettingError(f"bimodal:ratio must lie in (0, 1] and hard in [0, 1), got {ratio:g} and {hard}")
    p = scan.sinogram.astype(np.float64)
    share = hard
    if share is None:
        share = by_mass(scan, lambda h: straightened(p, h, ratio)[0], _HARDEST, otherwise="bimodal:hard")
    if share == 0 or ratio == 1:
        return scan
    f, slope = straightened(p, share, ratio)
    variance = scan.variance
    if variance is not None:
        variance = (variance * slope**2).astype(variance.dtype)
    return replace(scan, sinogram=f.astype(scan.sinogram.dtype), variance=variance)


def hardened(f: Float64Array, hard: float, ratio: float) -> Float64Array:
    """``p`` of ``f``; what is not above 0 stays."""
    s = 1 / (1 - hard + hard * ratio)
    seen: Float64Array = -np.log((1 - hard) * np.exp(-s * f) + hard * np.exp(-ratio * s * f))
    return np.where(f > 0, seen, f)


def straightened(p: Float64Array, hard: float, ratio: float) -> tuple[Float64Array, Float64Array]:
    """``f`` of ``p``, and how fast it grows. Newton's method from the straight line that thick objects follow.

    ``p`` is concave in ``f``, so that steps from below never pass the solution.
    """
    s = 1 / (1 - hard + hard * ratio)
    f = np.maximum(p, 0.0)
    growth = np.ones_like(f)
    for _ in range(_STEPS):
        soft, stiff = (1 - hard) * np.exp(-s * f), hard * np.exp(-ratio * s * f)
        growth = s * (soft + ratio * stiff) / (soft + stiff)
        step = (p + np.log(soft + stiff)) / growth
        f = np.where(p > 0, f + step, p)
        if float(np.abs(np.where(p > 0, step, 0)).max(initial=0.0)) < 1e-12:
            break
    return f, np.where(p > 0, 1 / growth, 1.0)
