"""How rough an object is beside the smoothest image that explains its scan: the default of an audit's kappa.

The smoothest image, by Huber-TV at the scan's delta, is smoother than the object: what noise hides it leaves out. So
its TV bounds the object's only times a factor, which was measured (``studies/roughness.py``; docs/trust.md). The
learned image is nearly as rough as the object, and its factor smaller.
"""

from __future__ import annotations

import math

from torch import Tensor

from ctrecon.classical.tv import tv_at_discrepancy
from ctrecon.operators.base import LinearOperator

# Of delta: what is left makes room for an audit's solver to start from this image.
SHARE = 0.985

# Measured by `ctrecon reproduce roughness`, and with the delta of `auto`; objects of one pixel, of which images show
# least, decide (docs/trust.md).
SMOOTHEST, LEARNED = 2.8, 1.0


def allowance(share: float, *, views: int, side: int, learned: bool = False) -> float:
    """How many times rougher an object may be than an image of its scan, so that 95% of simulated ones are not.

    The image is the smoothest that explains the scan, or the ``learned`` one, which is closer: 1 + a sqrt(x), with
    ``x = share * side / views``, the noise and the views that are missing. ``share`` is delta over the norm of the
    data; ``views`` of a scan and pixels along the image's longer ``side``. docs/trust.md has the measurement.
    """
    return 1 + (LEARNED if learned else SMOOTHEST) * math.sqrt(share * side / views)


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
