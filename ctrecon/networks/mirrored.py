"""A network asked several times: about the image and its mirror images, and the answers averaged.

Nature does not prefer left to right, but a trained network does a little; what it says of one mirror image and not of
the others is its own invention. The average is the part that is not (R. Timofte et al., "Seven ways to improve
example-based single image super resolution", CVPR 2016).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_MIRRORS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))


class Mirrored(nn.Module):
    """``[batch, inputs, H, W] -> [batch, 1, H, W]``: four passes of ``network``, or with ``turned`` eight.

    The other four are the same with rows and columns exchanged.
    """

    def __init__(self, network: nn.Module, *, turned: bool = False) -> None:
        super().__init__()
        self.network, self.turned = network, turned

    def forward(self, x: Tensor) -> Tensor:
        answer = self._averaged(x)
        return (answer + self._averaged(x.mT).mT) / 2 if self.turned else answer

    def _averaged(self, x: Tensor) -> Tensor:
        answers = [torch.flip(self.network(torch.flip(x, axes)), axes) for axes in _MIRRORS]
        return torch.stack(answers).mean(0)
