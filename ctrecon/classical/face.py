"""An approximate inverse of ``A^T A`` on some of the pixels, while the others are held at the border of a box.

Where noise decides which pixels are held, the circulant model of ``A^T A`` cannot simply be inverted and masked: the
mask scatters high frequencies into low ones, to which ``A^T A`` answers hundreds of times more strongly. So both parts
are treated by themselves: the local mean over the free pixels by the model, with the local share of free pixels taken
into account, and what is left by one number.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ctrecon.classical.quasi_newton import FLOOR, CirculantModel

# Standard deviation of the local mean in pixels. At 64 to 128 pixels 0.8 to 1.2 are as good; wider ones go astray.
WIDTH = 1.0
LEAST_SHARE = 0.05


class FaceModel:
    """Symmetric and positive semidefinite on the free pixels, for images ``[1, 1, rows, columns]``, or volumes.

    ``scale`` is the mean weight of the data, ``largest`` about ``||A||^2``.
    """

    def __init__(self, model: CirculantModel, scale: float, largest: float) -> None:
        self._model = model
        *others, last = model.padded
        waves = [torch.fft.fftfreq(n, dtype=torch.float64) for n in others]
        waves.append(torch.fft.rfftfreq(last, dtype=torch.float64))
        square = waves[0].view(-1, *(1,) * len(others)) ** 2
        for axis, wave in enumerate(waves[1:], 1):
            square = square + wave.view(-1, *(1,) * (len(others) - axis)) ** 2
        mean = torch.exp(-2 * (math.pi * WIDTH) ** 2 * square).to(model.symbol)
        # A middle that no ray meets says nothing of the others.
        least = 1e-3 * largest
        self._mean = mean
        self._low = mean.square() / (scale * model.symbol.clamp_min(least))
        self._high = 1 / (scale * max(FLOOR * model.column**2, least))

    def solve(self, g: Tensor, free: Tensor) -> Tensor:
        """About ``(A^T W A)^(-1) g`` on the pixels where ``free`` is 1; 0 elsewhere."""
        g = g * free
        share = self._filter(free, self._mean).clamp_min(LEAST_SHARE)
        rest = self._high * (g - free * self._filter(g, self._mean) / share)
        # The transpose of what made the rest, so that the whole stays symmetric.
        rest = rest - free * self._filter(rest / share, self._mean)
        return rest + free * self._filter(g / share, self._low) / share

    def _filter(self, image: Tensor, symbol: Tensor) -> Tensor:
        padded, axes = self._model.padded, tuple(range(1, 1 + len(self._model.padded)))
        z: Tensor = torch.fft.irfftn(
            torch.fft.rfftn(image[:, 0], s=padded, dim=axes) * symbol, s=padded, dim=axes
        )
        return z[(slice(None), *self._model.inside)][:, None].contiguous()
