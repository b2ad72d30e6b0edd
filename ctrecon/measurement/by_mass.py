"""How much a beam hardens, said by the object: in parallel beams every view's line integrals sum to the same mass."""

from __future__ import annotations

from collections.abc import Callable

from ctrecon.errors import InputError
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Float64Array

_BETTER = 0.9
# Of the largest coefficient.
_ACCURACY = 1e-3


def by_mass(scan: Scan, straight: Callable[[float], Float64Array], most: float, *, otherwise: str) -> float:
    """The coefficient by which the views' masses agree best.

    Args:
        scan: In parallel beams.
        straight: From a coefficient to line integrals ``[views, detectors]`` as of a beam that does not harden.
        most: The largest coefficient.
        otherwise: What to give where the data do not say it, as on the command line.

    Returns:
        From 0 to ``most``; 0 where no coefficient betters the agreement by a tenth.

    Raises:
        InputError: For other beams, or more than one slice.
    """
    orbit = None if scan.geometry is None else scan.geometry.orbit
    if orbit is None or not orbit.parallel or scan.sinogram.ndim != 2:
        raise InputError(
            f"{scan.source}: how much the beam hardens shows in parallel beams alone; give {otherwise}=NUMBER"
        )

    # Here, because the import is slow and hardly any scan asks for this.
    from scipy.optimize import minimize_scalar

    def spread(coefficient: float) -> float:
        mass = straight(coefficient).sum(axis=1)
        return float(mass.std() / mass.mean())

    options = {"xatol": _ACCURACY * most}
    found = minimize_scalar(spread, bounds=(0, most), method="bounded", options=options)
    return float(found.x) if found.fun < _BETTER * spread(0.0) else 0.0
