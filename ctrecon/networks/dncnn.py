"""DnCNN, the architecture of the paper's experiments (17 blocks for CT, 20 for super-resolution).

K. Zhang et al., "Beyond a Gaussian denoiser", IEEE Trans. Image Process. 26, 2017; normalisation folded into the
convolutions, as in its released weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from ctrecon.networks.stored import StoredNetwork, check_counts


@dataclass(frozen=True, kw_only=True)
class DnCNNShape:
    """Convolutions with ReLU between them; with biases as in the paper, without to be homogeneous of degree one."""

    inputs: int = 5
    depth: int = 17
    width: int = 64
    bias: bool = True

    def __post_init__(self) -> None:
        check_counts(self)

    @property
    def least_numbers(self) -> int:
        return 9 * self.width**2 * max(0, self.depth - 2)


class DnCNN(StoredNetwork):
    """``[batch, inputs, H, W] -> [batch, 1, H, W]``. The last input is added to the output; fresh ones return it."""

    kind = "dncnn"
    Shape = DnCNNShape
    shape: DnCNNShape

    def __init__(self, shape: DnCNNShape | None = None) -> None:
        super().__init__()
        self.shape = shape = DnCNNShape() if shape is None else shape
        widths = [shape.inputs, *(shape.width,) * (shape.depth - 1), 1]
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1, bias=shape.bias) for a, b in pairwise(widths)
        )
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # type: ignore[arg-type]
            if shape.bias:
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """The network's answer.

        Args:
            x: ``[batch, inputs, H, W]``, for any H and W.

        Returns:
            ``[batch, 1, H, W]``, the last input added to what the layers give.
        """
        y = x.contiguous(memory_format=torch.channels_last)
        for layer in self.layers[:-1]:
            y = functional.relu(layer(y))
        last: Tensor = self.layers[-1](y)
        return x[:, -1:] + last
