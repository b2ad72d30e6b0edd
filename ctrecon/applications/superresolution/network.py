"""Super-resolution at the low resolution: an image is looked at as ``scale x scale`` channels of small images.

With ``scale = 4`` every convolution touches sixteen times fewer pixels and sees four times as far; what leaves is
shuffled back to full size (W. Shi et al., "Real-time single image and video super-resolution using an efficient
sub-pixel convolutional neural network", CVPR 2016). The residual blocks are those of B. Lim et al., "Enhanced deep
residual networks for single image super-resolution", CVPRW 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ctrecon.descent.dissipation import Cone
from ctrecon.energies.base import Point
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.networks.stored import StoredNetwork, check_counts

# The cone (15) of training and use, relative to 1 / L: the printed constants cannot work with average pooling. The
# ideal direction u* - u has <d, g> close to |g|^2 / L, so 0.5 forbids none that is any good; and it may be much
# longer than the gradient, for the fine structure that the operator does not see costs no energy.
CONE_DESCENT, CONE_LENGTH = 0.5, 100.0


def cone(energy: LeastSquares) -> Cone:
    """``<d, g> >= 0.5 |g|^2 / L`` and ``|d| <= 100 |g| / L``, with ``L = 1 / scale^2`` for average pooling."""
    return Cone(CONE_DESCENT / energy.lipschitz, CONE_LENGTH / energy.lipschitz)


class EstimateDirection:
    """``d = network(u, -grad E / L, A^T f / L) - u``: from where the image is to where the network would have it.

    For average pooling ``A^T / L`` repeats every value over its square, so the last two inputs are the residual and
    the data at full size.
    """

    def __init__(self, network: nn.Module, energy: LeastSquares) -> None:
        self._network, self._scale = network, 1 / energy.lipschitz
        self._data = self._scale * energy.operator.adjoint(energy.data)

    def __call__(self, point: Point) -> Tensor:
        estimate: Tensor = self._network(torch.cat([point.u, -self._scale * point.gradient, self._data], dim=1))
        return estimate - point.u


@dataclass(frozen=True, kw_only=True)
class LowResNetShape:
    """The factor, the channels, and the number of residual blocks."""

    scale: int = 4
    width: int = 64
    blocks: int = 10

    def __post_init__(self) -> None:
        check_counts(self)

    @property
    def least_numbers(self) -> int:
        return 18 * self.width**2 * self.blocks


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        # Branches that start small keep the variance of a deep network at that of its input.
        nn.init.kaiming_normal_(self.first.weight, nonlinearity="relu")
        with torch.no_grad():
            nn.init.kaiming_normal_(self.second.weight).mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(functional.relu(self.first(x), inplace=True))
        return x + y


class LowResNet(StoredNetwork):
    """``[batch, 3, H, W] -> [batch, 1, H, W]``: an estimate of the image; ``scale`` divides H and W.

    The inputs are those of ``EstimateDirection``, for intensities from 0 to 1. What the network sees of ``u`` is its
    fine structure only, ``u - A^T A u / L``; it answers with what is to be added to the repeated data, at first zero.
    """

    kind = "lowres"
    Shape = LowResNetShape
    shape: LowResNetShape

    def __init__(self, shape: LowResNetShape | None = None) -> None:
        super().__init__()
        self.shape = shape = LowResNetShape() if shape is None else shape
        inputs = shape.scale**2 + 2
        self.enter = nn.Conv2d(inputs, shape.width, 3, padding=1)
        self.body = nn.Sequential(*(_Residual(shape.width) for _ in range(shape.blocks)))
        self.gather = nn.Conv2d(shape.width, shape.width, 3, padding=1)
        self.leave = nn.Conv2d(shape.width, shape.scale**2, 3, padding=1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """An estimate of the image.

        Args:
            x: ``u``, ``-grad E / L`` and the repeated data, ``[batch, 3, H, W]``; ``scale`` divides H and W.

        Returns:
            ``[batch, 1, H, W]``.
        """
        scale = self.shape.scale
        u, descent, data = x[:, 0:1], x[:, 1:2], x[:, 2:3]
        fine = functional.pixel_unshuffle(u + descent - data, scale)
        # Both are constant over squares: one of their values says it all.
        small = torch.cat([4 * fine, data[..., ::scale, ::scale] - 0.5, descent[..., ::scale, ::scale]], dim=1)
        features = self.enter(small.contiguous(memory_format=torch.channels_last))
        deep = functional.relu(features + self.gather(self.body(features)))
        return data + functional.pixel_shuffle(self.leave(deep), scale)
