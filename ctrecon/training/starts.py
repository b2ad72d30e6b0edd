"""Problems to start from: true images, noisy scans, smooth images, for one scanner, stacked on its device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from ctrecon.classical.smooth import smooth_image
from ctrecon.energies.base import inner
from ctrecon.simulation.scanners import Scanner
from ctrecon.training.data import Source
from ctrecon.training.noise import ScanNoise


@dataclass(frozen=True)
class Scans:
    """Problems: images ``[count, 1, rows, columns]``, scans ``[count, 1, views, cells]``, and ``delta [count]``."""

    scanner: Scanner
    truth: Tensor
    data: Tensor
    weights: Tensor
    delta: Tensor

    @property
    def count(self) -> int:
        return self.truth.shape[0]


@dataclass(frozen=True)
class Starts(Scans):
    """Problems with what a network on the descent path is shown of them.

    ``unexplained`` is the filtered back projection of what the ``smooth`` image leaves of the data.
    """

    smooth: Tensor
    unexplained: Tensor


S_co = TypeVar("S_co", bound=Scans, covariant=True)


class StartMaker(Protocol[S_co]):
    """Where a pool gets its problems from."""

    @property
    def ready(self) -> bool:
        """Whether a pool that could go on with old starts should ask for new ones now."""
        ...

    def make(self, rng: np.random.Generator) -> S_co:
        """New problems.

        Args:
            rng: All that is random comes from it, or from a seed of the maker's own.

        Returns:
            Problems of one scanner, on its device.
        """
        ...


def scanned(scanner: Scanner, truth: Tensor, clean: Tensor, noise: ScanNoise, generator: torch.Generator) -> Scans:
    """Noise added to noise-free scans, and delta the true residual, all at once."""
    data, weights = noise.draw(clean, generator)
    residual = scanner.operator(truth) - data
    return Scans(scanner, truth, data, weights, inner(residual, weights * residual).sqrt())


def measured(scanner: Scanner, truth: Tensor, clean: Tensor, noise: ScanNoise, generator: torch.Generator) -> Starts:
    """The same scans as ``scanned`` makes of it, and the smooth images, all at once."""
    scans = scanned(scanner, truth, clean, noise, generator)
    data, weights, delta = scans.data, scans.weights, scans.delta
    # Around the strength that is used later, so that the network does not rely on it.
    play = torch.rand(truth.shape[0], generator=generator, device=truth.device, dtype=torch.float64) - 0.5
    smooth = smooth_image(scanner.tv_solver, data, delta, weights, times=play.exp())
    unexplained = scanner.precondition(data - scanner.operator(smooth))
    return Starts(scanner, truth, data, weights, delta, smooth, unexplained)


@dataclass(frozen=True)
class SourceStarts:
    """``count`` problems of one scanner at a time, drawn one by one from a source."""

    scanner: Scanner
    source: Source
    noise: ScanNoise
    count: int = 6
    ready: bool = True

    def make(self, rng: np.random.Generator) -> Starts:
        """New problems, drawn from the source.

        Args:
            rng: All that is random comes from it.

        Returns:
            ``count`` problems with their smooth images, on the scanner's device.
        """
        device = self.scanner.device
        drawn = [self.source.draw(rng, self.scanner) for _ in range(self.count)]
        truth, clean = (torch.cat(parts).to(device) for parts in zip(*drawn, strict=True))
        return measured(self.scanner, truth, clean, self.noise, generator(rng, device))


def generator(rng: np.random.Generator, device: str | torch.device) -> torch.Generator:
    """A torch generator on ``device``, seeded by ``rng``."""
    return torch.Generator(device).manual_seed(int(rng.integers(2**62)))
