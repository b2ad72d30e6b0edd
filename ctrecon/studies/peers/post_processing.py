"""A U-Net that takes the artefacts off a filtered back projection.

K. H. Jin, M. T. McCann, E. Froustey, M. Unser, "Deep convolutional neural network for inverse problems in imaging",
IEEE Trans. Image Process. 26, 2017: the network learns what to add to the filtered back projection. The network is the
U-Net of our directions, shown one image.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ctrecon.errors import SettingError
from ctrecon.networks.stored import StoredNetwork
from ctrecon.networks.unet import UNet, UNetShape
from ctrecon.operators.base import LinearOperator


@dataclass(frozen=True, kw_only=True)
class PostProcessingShape(UNetShape):
    """A ``UNetShape`` that is shown a single image."""

    inputs: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.inputs, self.slices) != (1, 1):
            raise SettingError(f"a filtered back projection is one image, not {self.inputs} of {self.slices} slices")


class PostProcessing(StoredNetwork):
    """``(data, A, start [batch, 1, H, W]) -> [batch, 1, H, W]``: ``start`` is all it looks at.

    A fresh network gives the filtered back projection as it is.
    """

    kind = "fbp-unet"
    Shape = PostProcessingShape
    shape: PostProcessingShape

    def __init__(self, shape: PostProcessingShape | None = None) -> None:
        super().__init__()
        self.shape = PostProcessingShape() if shape is None else shape
        self.unet = UNet(self.shape)

    def forward(self, data: Tensor, operator: LinearOperator, start: Tensor) -> Tensor:
        """Improve a filtered back projection.

        Args:
            data: Not used.
            operator: Not used.
            start: The filtered back projection, ``[batch, 1, H, W]``, 1/mm.

        Returns:
            ``[batch, 1, H, W]``, 1/mm.
        """
        image: Tensor = self.unet(start)
        return image
