"""A network asked eight times: about the image, turned and mirrored in every way, and the answers averaged.

As ``mirrored.py`` does with four; where rows and columns are alike, for instance pixels of a photograph, the other
four are as good (R. Timofte et al., "Seven ways to improve example-based single image super resolution", CVPR 2016).
"""

from __future__ import annotations

from torch import Tensor, nn

from ctrecon.networks.mirrored import Mirrored


class Symmetric(nn.Module):
    """``[batch, inputs, H, W] -> [batch, 1, H, W]``, eight passes of ``network``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.mirrored = Mirrored(network)

    def forward(self, x: Tensor) -> Tensor:
        upright: Tensor = self.mirrored(x)
        turned: Tensor = self.mirrored(x.transpose(-1, -2)).transpose(-1, -2)
        return (upright + turned) / 2
