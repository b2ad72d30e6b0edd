"""How rough an object is beside the smoothest image that explains its scan: the default of an audit's kappa.

The smoothest image, by Huber-TV at the scan's delta, is smoother than the object: what noise hides it leaves out. So
its TV bounds the object's only times a factor, which was measured (``studies/roughness.py``; docs/trust.md).
"""

from __future__ import annotations

from torch import Tensor

from ctrecon.classical.tv import tv_at_discrepancy
from ctrecon.operators.base import LinearOperator

# Of delta: what is left makes room for an audit's solver to start from this image.
SHARE = 0.985


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
