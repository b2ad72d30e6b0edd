"""A network of images at work on volumes: each slice with its neighbours, in the batch axis.

What it is shown of a slice (``direction.py``) comes of the whole volume: gradient, back projection of the residual and
the smooth volume know the slices above and below. A network that was trained on volumes also sees the same of so many
neighbouring slices (2.5-D), which tells it noise from structure: structure goes on. How many, its shape says. Energy,
steps, stop and certificate are the volume's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_TOGETHER = 1 << 18
"""So many pixels go through the network at once: memory does not grow with the slices."""


def slices_seen(network: nn.Module) -> int:
    """How many neighbouring slices a network is shown at once; 1 for a network of single images."""
    seen: int = getattr(getattr(network, "shape", None), "slices", 1)
    return seen


class SliceBySlice(nn.Module):
    """``[batch, inputs, slices, rows, columns] -> [batch, 1, slices, rows, columns]`` by a network of images.

    Args:
        network: From ``[batch, seen * inputs, rows, columns]`` to ``[batch, 1, rows, columns]``: the neighbours below
            and above, alternately, the nearest last, and then the slice itself. Beyond the ends stands the end slice.
        together: About so many pixels at a time.
    """

    def __init__(self, network: nn.Module, *, together: int = _TOGETHER) -> None:
        super().__init__()
        self.network, self._reach, self._together = network, slices_seen(network) // 2, together

    def forward(self, x: Tensor) -> Tensor:
        batch, _, slices, rows, columns = x.shape
        around = torch.arange(slices, device=x.device)[:, None] + self._offsets(x.device)
        each = max(1, self._together // (rows * columns))
        found = [
            self.network(self._images(x, around[first : first + each].clamp(0, slices - 1)))
            for first in range(0, slices, each)
        ]
        parts = [part.reshape(batch, -1, 1, rows, columns).transpose(1, 2) for part in found]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)

    def _offsets(self, device: torch.device) -> Tensor:
        """Which slices are shown of one, the farthest first and itself last."""
        far = [step * sign for step in range(self._reach, 0, -1) for sign in (-1, 1)]
        return torch.tensor([*far, 0], device=device)

    @staticmethod
    def _images(x: Tensor, around: Tensor) -> Tensor:
        """``[batch * slices here, seen * inputs, rows, columns]``."""
        shown = x[:, :, around]  # [batch, inputs, slices here, seen, rows, columns]
        return shown.permute(0, 2, 3, 1, 4, 5).flatten(0, 1).flatten(1, 2)


class OneImage(nn.Module):
    """``[batch, inputs, rows, columns] -> [batch, 1, rows, columns]`` by a network that wants neighbours: its own."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._volumes = SliceBySlice(network)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self._volumes(x[:, :, None])[:, :, 0]
        return found


def fitted(network: nn.Module, axes: int) -> nn.Module:
    """``network`` as it serves images of ``axes`` axes, 2 or 3, whatever number of slices it was trained to see."""
    if axes == 3:
        return SliceBySlice(network)
    return network if slices_seen(network) == 1 else OneImage(network)
