"""A beam that hardens measures less than in proportion to the way through the object: a polynomial straightens it.

G. T. Herman, "Correction for beam hardening in computed tomography", Phys. Med. Biol. 24, 81, 1979: with one material
(water) ``p = f - a f^2`` to second order, so ``f = p + a p^2 + 2 a^2 p^3 + ...``, and the measured ``p`` says ``f``
alone. ``a`` is known from a phantom of water; in parallel beams the object says it itself, since the sum of a view's
line integrals is its mass in all.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.optimize import minimize_scalar

from ctrecon.errors import InputError, SettingError
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Float64Array


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
    a = _by_mass(scan, p, most) if quadratic is None else quadratic
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


def _by_mass(scan: Scan, p: Float64Array, most: float) -> float:
    """The coefficient by which the views' masses agree best; 0 where none betters them by a tenth."""
    orbit = None if scan.geometry is None else scan.geometry.orbit
    if orbit is None or not orbit.parallel or p.ndim != 2:
        raise InputError(
            f"{scan.source}: how much the beam hardens shows in parallel beams alone; give hardening:quadratic=NUMBER"
        )

    def spread(a: float) -> float:
        mass = (p + a * p**2 + 2 * a**2 * p**3).sum(axis=1)
        return float(mass.std() / mass.mean())

    found = minimize_scalar(spread, bounds=(0, most), method="bounded")
    return float(found.x) if found.fun < 0.9 * spread(0.0) else 0.0
