"""A network of images at work on volumes: slice by slice, in the batch axis.

What it is shown of a slice (``direction.py``) comes of the whole volume: gradient, back projection of the residual and
the smooth volume know the slices above and below. Energy, steps, stop and certificate are the volume's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_TOGETHER = 1 << 18
"""So many pixels go through the network at once: memory does not grow with the slices."""


class SliceBySlice(nn.Module):
    """``[batch, inputs, slices, rows, columns] -> [batch, 1, slices, rows, columns]`` by a network of images.

    Args:
        network: From ``[batch, inputs, rows, columns]`` to ``[batch, 1, rows, columns]``.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        batch, _, slices, rows, columns = x.shape
        images = x.transpose(1, 2).flatten(0, 1)
        each = max(1, _TOGETHER // (rows * columns))
        found = torch.cat([self.network(images[k : k + each]) for k in range(0, len(images), each)])
        return found.reshape(batch, slices, 1, rows, columns).transpose(1, 2)
