"""A bias-free U-Net that works at half the resolution.

Without biases and with ReLU the network is homogeneous of degree one: scaling the data scales the image, so units do
not matter (S. Mohan et al., "Robust and interpretable blind image denoising via bias-free CNNs", ICLR 2020). The
image is unshuffled two by two into channels first, which makes every convolution four times cheaper and twice as wide
in view (K. Zhang et al., FFDNet, IEEE Trans. Image Process. 27, 2018).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from ctrecon.errors import SettingError
from ctrecon.networks.stored import StoredNetwork, check_counts


@dataclass(frozen=True, kw_only=True)
class UNetShape:
    """Channels at the three resolutions (1/2, 1/4, 1/8) and residual blocks on the way down, at the bottom, and up.

    Of each of ``slices`` neighbouring slices it is shown ``inputs`` images, the middle slice's last
    (``networks/slices.py``); an odd number, 1 for a network of single images.
    """

    inputs: int = 5
    slices: int = 1
    widths: tuple[int, int, int] = (48, 96, 160)
    blocks: tuple[int, int, int] = (1, 1, 2)

    def __post_init__(self) -> None:
        check_counts(self)
        if self.slices % 2 == 0:
            raise SettingError(f"slices is {self.slices}; a slice and its neighbours on both sides are an odd number")

    @property
    def least_numbers(self) -> int:
        (w0, w1, w2), (n0, n1, n2) = self.widths, self.blocks
        return 18 * (2 * n0 * w0**2 + 2 * n1 * w1**2 + n2 * w2**2)


LARGE = UNetShape(widths=(96, 160, 256), blocks=(4, 3, 2))
"""Ten times the arithmetic of the default, most of it at the finest resolution; for training on a GPU."""


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(functional.relu(self.first(x)))
        return x + y


def _blocks(channels: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(_Residual(channels) for _ in range(count)))


class UNet(StoredNetwork):
    """``[batch, slices * inputs, H, W] -> [batch, 1, H, W]`` for any H and W. The last input is added to the output.

    A fresh network returns its last input: training starts from the classical direction and improves on it.
    """

    kind = "unet"
    Shape = UNetShape
    shape: UNetShape

    def __init__(self, shape: UNetShape | None = None) -> None:
        super().__init__()
        self.shape = shape = UNetShape() if shape is None else shape
        (w0, w1, w2), (n0, n1, n2) = shape.widths, shape.blocks
        self.enter = nn.Conv2d(4 * shape.slices * shape.inputs, w0, 3, padding=1, bias=False)
        self.down0, self.shrink0 = _blocks(w0, n0), nn.Conv2d(w0, w1, 2, stride=2, bias=False)
        self.down1, self.shrink1 = _blocks(w1, n1), nn.Conv2d(w1, w2, 2, stride=2, bias=False)
        self.bottom = _blocks(w2, n2)
        self.grow1, self.up1 = nn.ConvTranspose2d(w2, w1, 2, stride=2, bias=False), _blocks(w1, n1)
        self.grow0, self.up0 = nn.ConvTranspose2d(w1, w0, 2, stride=2, bias=False), _blocks(w0, n0)
        self.leave = nn.Conv2d(w0, 4, 3, padding=1, bias=False)
        for module in self.modules():
            if isinstance(module, _Residual):
                # Residual branches that start small keep the variance of a deep network at that of its input.
                nn.init.kaiming_normal_(module.first.weight, nonlinearity="relu")
                with torch.no_grad():
                    nn.init.kaiming_normal_(module.second.weight).mul_(0.1)
        nn.init.zeros_(self.leave.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The network's answer.

        Args:
            x: ``[batch, slices * inputs, H, W]``, for any H and W.

        Returns:
            ``[batch, 1, H, W]``, the last input added to what the layers give.
        """
        rows, columns = x.shape[-2:]
        padded = functional.pad(x, (0, -columns % 8, 0, -rows % 8), mode="replicate")
        y = self.enter(functional.pixel_unshuffle(padded, 2).contiguous(memory_format=torch.channels_last))
        fine = self.down0(y)
        middle = self.down1(self.shrink0(fine))
        coarse = self.bottom(self.shrink1(middle))
        middle = self.up1(middle + self.grow1(coarse))
        fine = self.up0(fine + self.grow0(middle))
        return x[:, -1:] + functional.pixel_shuffle(self.leave(fine), 2)[..., :rows, :columns]

    def seeing(self, slices: int) -> UNet:
        """The same network shown neighbouring slices, of which it ignores all but those it looked at.

        Args:
            slices: How many it is shown; an odd number.

        Returns:
            A network of the same weights, and zeros for the further inputs.

        Raises:
            SettingError: For an even number, or for fewer slices than it sees now.
        """
        if slices < self.shape.slices:
            raise SettingError(f"the network sees {self.shape.slices} slices, it cannot see {slices}")
        wider = UNet(replace(self.shape, slices=slices))
        weights = {name: value.clone() for name, value in self.state_dict().items()}
        new = torch.zeros_like(wider.enter.weight)
        # The nearest neighbours and the slice itself come last, and stay so.
        new[:, -weights["enter.weight"].shape[1] :] = weights["enter.weight"]
        wider.load_state_dict({**weights, "enter.weight": new})
        return wider
