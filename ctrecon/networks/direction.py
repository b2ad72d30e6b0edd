"""A network as a direction: what it sees of the problem, in the units of the image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ctrecon.energies.base import Energy, Point
from ctrecon.errors import SettingError
from ctrecon.networks.symmetries import turned, turned_back

Precondition = Callable[[Tensor], Tensor]


class NetworkDirection:
    """``d = network(u, -grad E / L, p(u), p(v), v - u)``: where the image is, where data and smoothness pull it.

    ``p`` is an approximate inverse of the operator applied to ``f - A u``: ``precondition`` maps a sinogram-shaped
    residual to an image by filtered back projection, or by a few steps of conjugate gradients for an operator without
    geometry. ``v`` is the ``smooth`` image ``[batch, 1, H, W]``, the same in all iterations (``classical/smooth.py``);
    ``p(v)`` shows what it leaves unexplained, free of the streaks that few views draw across ``p(0)``.
    All inputs scale with the data. Raises SettingError for an energy without data.
    """

    def __init__(self, network: nn.Module, energy: Energy, precondition: Precondition, smooth: Tensor) -> None:
        self._network, self._precondition, self._smooth = network, precondition, smooth
        self._scale = 1 / energy.lipschitz_at(smooth)
        self._unexplained = self._preconditioned(energy.at(smooth))

    def _preconditioned(self, point: Point) -> Tensor:
        if point.residual is None:
            raise SettingError("this network needs an energy that compares with data")
        return self._precondition(-point.residual)

    def inputs(self, point: Point) -> Tensor:
        """What the network sees.

        Args:
            point: The energy at images ``[batch, 1, H, W]``.

        Returns:
            ``[batch, 5, H, W]``: ``u``, ``-grad E / L``, ``p(u)``, ``p(v)`` and ``v - u``.

        Raises:
            SettingError: For an energy without data.
        """
        p, descent = self._preconditioned(point), -self._scale * point.gradient
        return torch.cat([point.u, descent, p, self._unexplained, self._smooth - point.u], dim=1)

    def __call__(self, point: Point) -> Tensor:
        direction: Tensor = self._network(self.inputs(point))
        return direction

    def seen(self, point: Point, which: int) -> Tensor:
        """The direction as the network sees it in one of the eight mirror images (``symmetries.turned``).

        Args:
            point: The energy at images ``[batch, 1, H, W]``.
            which: The mirror image, from 0 (as it is) to 7.

        Returns:
            The direction turned back, ``[batch, 1, H, W]``.

        Raises:
            SettingError: For an energy without data.
        """
        return turned_back(self._network(turned(self.inputs(point), which)), which)
