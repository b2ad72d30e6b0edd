"""A network as a direction: what it sees of the problem, in the units of the image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ctrecon.energies.base import Energy, Point
from ctrecon.errors import SettingError

Precondition = Callable[[Tensor], Tensor]

# Networks are trained and used with this ``Discrepancy.approach``: their second look at a nearly finished image is the
# better one.
APPROACH = 1.1


class NetworkDirection:
    """``d = network(u, -grad E / L, p, v - u)``: where the image is, where data and smoothness would have it go.

    ``p`` is an approximate inverse of the operator applied to ``f - A u``: ``precondition`` maps a sinogram-shaped
    residual to an image by filtered back projection, or by a few steps of conjugate gradients for an operator without
    geometry. ``v`` is the ``smooth`` image ``[batch, 1, H, W]``, the same in all iterations (``classical/smooth.py``).
    All inputs scale with the data. Raises SettingError for an energy without data.
    """

    def __init__(self, network: nn.Module, energy: Energy, precondition: Precondition, smooth: Tensor) -> None:
        self._network, self._precondition, self._smooth = network, precondition, smooth
        self._scale = 1 / energy.lipschitz

    def inputs(self, point: Point) -> Tensor:
        """What the network sees: ``[batch, 4, H, W]``."""
        if point.residual is None:
            raise SettingError("this network needs an energy that compares with data")
        u, descent = point.u, -self._scale * point.gradient
        return torch.cat([u, descent, self._precondition(-point.residual), self._smooth - u], dim=1)

    def __call__(self, point: Point) -> Tensor:
        direction: Tensor = self._network(self.inputs(point))
        return direction
