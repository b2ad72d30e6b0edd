"""A network asked about all eight mirror images at once, and the answers averaged (see ``looks.py`` for why)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ctrecon.networks.symmetries import SYMMETRIES, turned, turned_back


class Mirrored(nn.Module):
    """``[batch, inputs, H, W] -> [batch, 1, H, W]``: eight passes of ``network``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """The mean of the network's answers over the eight mirror images.

        Args:
            x: ``[batch, inputs, H, W]``.

        Returns:
            ``[batch, 1, H, W]``.
        """
        return torch.stack([turned_back(self.network(turned(x, k)), k) for k in range(SYMMETRIES)]).mean(0)
