"""A lower bound on the misfit of all images in a box, from the residual of any one image.

For every ``y``, with ``s = A^T W^(1/2) y``, all images ``low <= u <= high`` have
``||W^(1/2) (A u - f)|| >= (<y, W^(1/2) f> - max_u <s, u>) / ||y||`` (``docs/guarantees.md``). The best ``y`` is the
residual of the image in the box that fits best; the residual and gradient of any image give a good one for free.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ctrecon.energies.base import inner
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import SettingError


class BoxBound:
    """Serves one ``energy`` of a single sample. Costs one back projection to make, then a few sums an image.

    Raises SettingError for an empty or infinite box, or a batch of several samples.
    """

    def __init__(self, energy: LeastSquares, low: float, high: float) -> None:
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise SettingError(f"the box must be finite, low <= high, got {low} and {high}")
        if energy.data.shape[0] != 1:
            raise SettingError(f"the bound is for one sample at a time, got {energy.data.shape[0]}")
        self.low, self.high = low, high
        root = torch.ones_like(energy.data) if energy.weights is None else energy.weights.sqrt()
        # Less of y, by as much for all rays, lowers s everywhere: what an unfinished fit leaves of s above zero then
        # costs its height once, not its sum times the upper end of the box.
        self._even, self._root_f = root.double(), (root * energy.data).double()
        self._even_image = energy.operator.adjoint(root * root).double()
        self._seen = self._even_image > 0

    def __call__(self, residual: Tensor, gradient: Tensor, *, evaluations: int = 12) -> tuple[float, Tensor]:
        """The bound and its ``y``, whitened and in float64, for ``A u - f`` and the gradient ``A^T W (A u - f)``."""
        y, s, even = -self._even * residual.double(), -gradient.double(), self._even
        pairs = ((y, self._root_f), (even, self._root_f), (y, y), (y, even), (even, even))
        yf, ef, yy, ye, ee = (float(inner(a, b)) for a, b in pairs)

        def bound(t: float) -> float:
            moved = s - t * self._even_image
            most = float(torch.maximum(self.low * moved, self.high * moved).sum())
            length = math.sqrt(max(yy - 2 * t * ye + t * t * ee, 0.0))
            return (yf - t * ef - most) / length if length > 0 else 0.0

        end = float((s[self._seen] / self._even_image[self._seen]).max()) if bool(self._seen.any()) else 0.0
        t = _highest(bound, max(end, 0.0), evaluations)
        return bound(t), y - t * even


def _highest(function: Callable[[float], float], end: float, evaluations: int) -> float:
    """Where a function on [0, end] that rises and then falls is highest, by golden sections; about there at least."""
    ratio = (math.sqrt(5) - 1) / 2
    low, high = 0.0, end
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = function(a), function(b)
    for _ in range(evaluations):
        if at_a >= at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = function(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = function(b)
    return max((0.0, a, b, end), key=function)
