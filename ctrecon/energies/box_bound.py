"""A lower bound on the misfit of all images in a box, from the residuals of any images.

For every ``y``, with ``s = A^T W^(1/2) y``, all images ``low <= u <= high`` have
``||W^(1/2) (A u - f)|| >= (<y, W^(1/2) f> - max_u <s, u>) / ||y||`` (``docs/guarantees.md``). The best ``y`` is the
residual of the image in the box that fits best; the residual and gradient of any image give a good one for free, and
those of several images together a better one.
"""

from __future__ import annotations

import math
from collections import deque
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
        self.even_image = energy.operator.adjoint(root * root).double()
        self._seen = self.even_image > 0

    def __call__(self, residual: Tensor, gradient: Tensor, *, evaluations: int = 12) -> tuple[float, Tensor]:
        """The bound and its ``y``, whitened and in float64, for ``A u - f`` and the gradient ``A^T W (A u - f)``."""
        y, s, even = -self._even * residual.double(), -gradient.double(), self._even
        pairs = ((y, self._root_f), (even, self._root_f), (y, y), (y, even), (even, even))
        yf, ef, yy, ye, ee = (float(inner(a, b)) for a, b in pairs)

        def bound(t: float) -> float:
            moved = s - t * self.even_image
            most = float(torch.maximum(self.low * moved, self.high * moved).sum())
            length = math.sqrt(max(yy - 2 * t * ye + t * t * ee, 0.0))
            return (yf - t * ef - most) / length if length > 0 else 0.0

        end = float((s[self._seen] / self.even_image[self._seen]).max()) if bool(self._seen.any()) else 0.0
        t = _highest(bound, max(end, 0.0), evaluations)
        return bound(t), y - t * even


class Mixture:
    """The bound by the last ``size`` images of a fit at once: what wavers in their gradients cancels.

    Of all mixtures of their residuals, with weights of sum one, it takes about the one whose gradient asks least for
    more of any pixel. Towards the end of a fit (``classical/box.py``) its distance to the optimum is about a third of
    that of the last residual by itself.
    """

    def __init__(self, bound: BoxBound, size: int = 20) -> None:
        self._bound = bound
        self._kept: deque[tuple[Tensor, Tensor]] = deque(maxlen=size)

    def add(self, residual: Tensor, gradient: Tensor) -> None:
        """Add one more image of the fit; the oldest of more than ``size`` is dropped.

        Args:
            residual: ``A u - f``, ``[1, *range_shape]``.
            gradient: ``A^T W (A u - f)``, ``[1, *domain_shape]``.
        """
        self._kept.append((residual, gradient))

    def best(self, *, rounds: int = 3, evaluations: int = 20) -> tuple[float, Tensor]:
        """The highest bound that is known, by the mixture or by the last image alone; one must have been added.

        Args:
            rounds: How often the weights are found anew, each time on the pixels that then ask for more.
            evaluations: Of each bound in the search for the best shift, at most.

        Returns:
            The bound on ``||W^(1/2) (A u - f)||``, and its ``y``, whitened and in float64, of the shape of the data.
        """
        last = self._bound(*self._kept[-1], evaluations=evaluations)
        even = self._bound.even_image.flatten()
        gradients = torch.stack([-gradient.double().flatten() for _, gradient in self._kept])
        # Relative to what the even part can take off at each pixel; where nothing is seen, nothing asks either.
        height = gradients / even.clamp_min(1e-3 * float(even.max()) + 1e-300)
        weights = torch.zeros(len(self._kept), dtype=torch.float64, device=even.device)
        weights[-1] = 1
        for _ in range(rounds):
            # Least squares on the pixels that ask for more, which change with the weights.
            asks = height[:, weights @ height > 0]
            gram = asks @ asks.T
            scale = gram.diagonal().clamp_min(1e-300).rsqrt()
            gram = scale[:, None] * gram * scale
            gram.diagonal().add_(1e-10)
            factor, failed = torch.linalg.cholesky_ex(gram)
            if int(failed):
                return last
            weights = scale * torch.cholesky_solve(scale[:, None], factor)[:, 0]
            weights = weights / weights.sum()
        if not bool(torch.isfinite(weights).all()):
            return last
        share = weights.tolist()
        residual = sum(a * r.double() for a, (r, _) in zip(share, self._kept, strict=True))
        assert isinstance(residual, Tensor)
        mixed = self._bound(residual, -(weights @ gradients).view_as(self._bound.even_image), evaluations=evaluations)
        return max(last, mixed, key=lambda found: found[0])


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
