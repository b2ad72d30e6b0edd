"""Straighten line integrals of a beam that hardens, by a polynomial.

A beam that hardens measures less than in proportion to the way through the object: a polynomial straightens it.

G. T. Herman, "Correction for beam hardening in computed tomography", Phys. Med. Biol. 24, 81, 1979: with one material
(water) ``p = f - a f^2`` to second order, so ``f = p + a p^2 + 2 a^2 p^3 + ...``, and the measured ``p`` says ``f``
alone. ``a`` is known from a phantom of water; in parallel beams the object says it itself, since the sum of a view's
line integrals is its mass in all.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ctrecon.errors import SettingError
from ctrecon.measurement.by_mass import by_mass
from ctrecon.measurement.scan import Scan

PLACE = 70
"""Where among the corrections it is applied."""


def hardening(scan: Scan, *, quadratic: float | None = None) -> Scan:
    """The scan as of a beam that does not harden; the variance grows with the square of the slope.

    Args:
        scan: Line integrals as a polychromatic beam shows them.
        quadratic: ``a``, from 0 to less than ``1 / (4 max p)``; None to find it where beams are parallel.

    Raises:
        SettingError: For a coefficient out of its range.
        InputError: Where it is not given and the data do not show it.
    """
    p = scan.sinogram.astype(np.float64)
    most = 0.24 / max(float(p.max()), 1e-12)
    a = quadratic
    if a is None:
        a = by_mass(scan, lambda a: p + a * p**2 + 2 * a**2 * p**3, most, otherwise="hardening:quadratic")
    if not 0 <= a <= most:
        raise SettingError(f"hardening:quadratic must lie from 0 to {most:.4g} (1 over 4 times the data), got {a:g}")
    if a == 0:
        return scan
    root = np.sqrt(1 - 4 * a * np.maximum(p, 0))
    f = np.where(p > 0, (1 - root) / (2 * a), p)
    variance = scan.variance
    if variance is not None:
        variance = (variance / root**2).astype(variance.dtype)
    return replace(scan, sinogram=f.astype(scan.sinogram.dtype), variance=variance)
