"""Noise for many scans at once, on their own device, all of it decided by a torch generator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ctrecon.measurement.few_counts import FEWEST_COUNTS


@dataclass(frozen=True, kw_only=True)
class ScanNoise:
    """Relative Gaussian noise, log-uniform between ``low`` and ``high`` of ``||f||``; or, in a share, Poisson counts.

    Counts: ``photons`` per ray without an object, log-uniform; the object is brought to a ``depth`` (largest line
    integral, uniform) that real ones have. ``electronic`` is the share of these scans with electronic noise, with a
    standard deviation up to ``electronic_sigma`` counts; ``uneven`` that of scans whose cells' gains are known up to an
    error of ``gain_error`` (standard deviation, up to), the same in all views: what draws rings. The weights are
    ``1 / variance``, scaled to at most 1, which scales the energy and nothing else; gain errors are not in them.
    """

    low: float = 0.002
    high: float = 0.05
    poisson_share: float = 0.35
    photons: tuple[float, float] = (2e3, 1e6)
    depth: tuple[float, float] = (1.0, 5.0)
    electronic: float = 0.5
    electronic_sigma: float = 10.0
    uneven: float = 0.2
    gain_error: float = 0.004

    def draw(self, clean: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Noise for a batch of scans.

        Args:
            clean: Noise-free sinograms, ``[batch, 1, views, cells]``, or with rows ``[batch, 1, views, rows, cells]``.
            generator: Decides everything, on the device of ``clean``.

        Returns:
            Noisy sinograms and their weights, each shaped like ``clean``.
        """
        axes = tuple(range(1, clean.ndim))
        shape = (clean.shape[0], *(1,) * len(axes))

        def uniform(a: float, b: float) -> Tensor:
            return a + (b - a) * torch.rand(shape, generator=generator, device=clean.device)

        def spread(a: float, b: float) -> Tensor:
            return uniform(math.log(a), math.log(b)).exp()

        def normal(like: Tensor) -> Tensor:
            return torch.randn(like.shape, generator=generator, device=like.device)

        size = clean.square().mean(axes, keepdim=True).sqrt()
        gaussian = clean + spread(self.low, self.high) * size * normal(clean)
        depth = uniform(*self.depth) / clean.amax(axes, keepdim=True).clamp_min(1e-12)
        blank = spread(*self.photons)
        sigma = uniform(0, self.electronic_sigma) * (uniform(0, 1) < self.electronic)
        counts = torch.poisson(blank * torch.exp(-depth * clean.clamp_min(0)), generator=generator)
        counts = (counts + sigma * normal(clean)).clamp_min(FEWEST_COUNTS)
        gain = uniform(0, self.gain_error) * (uniform(0, 1) < self.uneven) * normal(clean[:, :, :1])
        measured = (torch.log(blank / counts) + gain) / depth
        inverse = counts.square() / (counts + sigma.square())
        inverse = inverse / inverse.amax(axes, keepdim=True)
        counted = uniform(0, 1) < self.poisson_share
        return torch.where(counted, measured, gaussian), torch.where(counted, inverse, 1.0)
