"""Learned primal-dual: an unrolled primal-dual method whose steps are small networks.

J. Adler, O. Oektem, "Learned primal-dual reconstruction", IEEE Trans. Med. Imaging 37, 2018:

    h <- h + G_k(h, A u_2, f),    u <- u + L_k(u, A^T h_1),    k = 1 ... iterations,

with ``dual`` sinograms h and ``primal`` images u in memory, each G_k and L_k three convolutions with PReLU between
them, and u_1 after the last iteration as the image. As in DIVal, the library beside LoDoPaB-CT, u starts at the
filtered back projection and not at zero. The operator is divided by its norm, as in the authors' code, and the data by
their size per pixel, so that units do not matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctrecon.networks.stored import StoredNetwork, check_counts
from ctrecon.operators.base import LinearOperator


@dataclass(frozen=True, kw_only=True)
class LearnedPrimalDualShape:
    """The authors' numbers: iterations, images and sinograms in memory, and channels between the convolutions."""

    iterations: int = 10
    primal: int = 5
    dual: int = 5
    width: int = 32

    def __post_init__(self) -> None:
        check_counts(self)

    @property
    def least_numbers(self) -> int:
        return 18 * self.iterations * self.width**2


class _Step(nn.Module):
    """What one iteration adds, from the ``inputs`` it is shown."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        first, second, last = (
            nn.Conv2d(a, b, 3, padding=1) for a, b in ((inputs, width), (width, width), (width, outputs))
        )
        for layer in (first, second, last):
            nn.init.xavier_uniform_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            # A fresh network stays near the filtered back projection, or its first steps would lead far away.
            last.weight.mul_(0.1)
        self.layers = nn.Sequential(first, nn.PReLU(), second, nn.PReLU(), last)

    def forward(self, *parts: Tensor) -> Tensor:
        added: Tensor = self.layers(torch.cat(parts, dim=1))
        return added


class LearnedPrimalDual(StoredNetwork):
    """``(data [batch, 1, views, cells], A, start [batch, 1, H, W]) -> [batch, 1, H, W]``, for any operator A."""

    kind = "learned-primal-dual"
    Shape = LearnedPrimalDualShape
    shape: LearnedPrimalDualShape

    def __init__(self, shape: LearnedPrimalDualShape | None = None) -> None:
        super().__init__()
        self.shape = shape = LearnedPrimalDualShape() if shape is None else shape
        self.dual = nn.ModuleList(_Step(shape.dual + 2, shape.dual, shape.width) for _ in range(shape.iterations))
        self.primal = nn.ModuleList(
            _Step(shape.primal + 1, shape.primal, shape.width) for _ in range(shape.iterations)
        )

    def forward(self, data: Tensor, operator: LinearOperator, start: Tensor) -> Tensor:
        """Reconstruct by unrolled steps in data and image.

        Args:
            data: ``[batch, 1, views, cells]``.
            operator: A.
            start: The image to begin with, ``[batch, 1, H, W]``, 1/mm.

        Returns:
            ``[batch, 1, H, W]``, 1/mm, float32.
        """
        norm = operator.norm()
        # About the root mean square of the image; of data that are all zero it does not matter.
        size = data.square().sum((1, 2, 3), keepdim=True).sqrt() / (norm * math.sqrt(start[0].numel()))
        size = torch.where(size > 0, size, 1.0)
        f = data / (norm * size)
        u = (start / size).repeat(1, self.shape.primal, 1, 1)
        h = f.new_zeros((len(f), self.shape.dual, *f.shape[2:]))
        second = min(1, self.shape.primal - 1)
        for dual, primal in zip(self.dual, self.primal, strict=True):
            h = h + dual(h, _exactly(operator, u[:, second : second + 1]) / norm, f)
            u = u + primal(u, _exactly(operator.adjoint, h[:, :1]) / norm)
        return u[:, :1].float() * size


def _exactly(apply: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The operator in float32, whatever the convolutions are in."""
    with torch.autocast(x.device.type, enabled=False):
        return apply(x.float())
