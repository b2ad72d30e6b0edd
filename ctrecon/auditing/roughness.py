"""How rough an object is beside the smoothest image that explains its scan: the default of an audit's kappa.

The smoothest image, by Huber-TV at the scan's delta, is smoother than the object: what noise hides it leaves out. So
its TV bounds the object's only times a factor, which was measured (``studies/roughness.py``; docs/trust.md). The
learned image is nearly as rough as the object, and its factor smaller. Of objects of the size of a pixel both leave out
more; the scan shows that there are such by a spectrum that falls slowly (``measurement/object_spectrum.py``).
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from ctrecon.classical.tv import tv_at_discrepancy
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.discretisation import discretisation
from ctrecon.measurement.object_spectrum import LIKELY
from ctrecon.operators.base import LinearOperator
from ctrecon.support.arrays import Array

# Of delta: what is left makes room for an audit's solver to start from this image.
SHARE = 0.985

# Measured by `ctrecon reproduce roughness`, and with the delta of `auto` (docs/trust.md). FINE is added for each unit
# by which the object's spectrum falls slower than is likely.
SMOOTHEST, LEARNED, FINE = 2.8, 1.0, 1.5

# The variance of a ray that is missing: it says nothing.
_MISSING = 1e6


def allowance(share: float, *, views: int, side: int, learned: bool = False, exponent: float = LIKELY) -> float:
    """How many times rougher an object may be than an image of its scan, so that 95% of simulated ones are not.

    The image is the smoothest that explains the scan, or the ``learned`` one, which is closer: 1 + a sqrt(x), with
    ``x = share * side / views``, the noise and the views that are missing. ``share`` is delta over the norm of the
    data; ``views`` of a scan and pixels along the image's longer ``side``; ``exponent`` that of the object's spectrum.
    docs/trust.md has the measurement.
    """
    a = (LEARNED if learned else SMOOTHEST) + FINE * max(0.0, LIKELY - exponent)
    return 1 + a * math.sqrt(share * side / views)


def fall_of_spectrum(data: Array, geometry: Geometry, grid: Grid, delta: float, weights: Array | None = None) -> float:
    """The exponent by which the object's power falls along the detector: near 3 for edges, 1.5 for specks.

    Args:
        data: ``[views, detectors]``.
        geometry: Of the scan.
        grid: Of the image.
        delta: The bound on the misfit, from which the noise is taken where there are no ``weights``.
        weights: ``1 / variance`` of each ray, 0 where it is missing.

    Returns:
        The exponent, what is likely where there are too few cells to tell.
    """
    variance: Array | float = delta**2 / data.size
    if weights is not None:
        variance = np.where(weights > 0, 1 / np.maximum(weights.astype(np.float64), 1 / _MISSING), _MISSING)
    return discretisation(data, geometry, grid, variance, whitened=weights is not None).exponent


def smoothest(
    operator: LinearOperator, data: Tensor, delta: float, *, weights: Tensor | None = None, nonnegative: bool = True,
    share: float = SHARE,
) -> Tensor:
    """The image ``[1, 1, rows, columns]`` of (nearly) least TV with misfit at most ``share * delta``, by Huber-TV.

    Where none has, the one that comes closest. Shapes and norm as for ``ImageSet``. Raises SettingError for delta <= 0.
    """
    return tv_at_discrepancy(
        operator, data, share * delta, weights=weights, nonnegative=nonnegative, tolerance=1e-3,
        closeness=0.5 * (1 - share) + 0.002,
    ).image  # fmt: skip
