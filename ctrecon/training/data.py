"""Where training images come from: phantoms, CT slices, natural images. Every draw is decided by the generator given.

A source returns the true image and its noise-free sinogram; where the phantom's sinogram is known exactly, that one is
used, so that the network also learns what discretisation does (and the simulation is not the inverse crime).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ctrecon.simulation.analytic import AnalyticPhantom
from ctrecon.simulation.scanners import Scanner
from ctrecon.support.arrays import Float32Array
from ctrecon.training.phantom_supply import draw_phantom


class Source(Protocol):
    """``draw`` gives an image ``[1, 1, rows, columns]`` and its noise-free sinogram ``[1, 1, views, detectors]``."""

    def draw(self, rng: np.random.Generator, problem: Scanner) -> tuple[Tensor, Tensor]:
        """Draw an image and simulate its scan.

        Args:
            rng: Decides everything that is random.
            problem: Scanner, grid and device.

        Returns:
            The image ``[1, 1, rows, columns]`` in 1/mm and its noise-free sinogram ``[1, 1, views, detectors]``, on the
            CPU.
        """
        ...


@dataclass(frozen=True)
class PhantomSource:
    """Phantoms in a disc of the grid's size, with exact sinograms."""

    samplers: Sequence[Callable[[np.random.Generator], AnalyticPhantom]]

    def draw(self, rng: np.random.Generator, problem: Scanner) -> tuple[Tensor, Tensor]:
        """Draw a phantom by one of the samplers; its sinogram is exact.

        Args:
            rng: Decides everything that is random.
            problem: Scanner and grid.

        Returns:
            The image ``[1, 1, rows, columns]`` in 1/mm and its noise-free sinogram ``[1, 1, views, detectors]``, on the
            CPU.
        """
        sampler = self.samplers[int(rng.integers(len(self.samplers)))]
        image, sinogram = (torch.from_numpy(part)[None, None] for part in draw_phantom(sampler, rng, problem))
        return image, sinogram


@dataclass(frozen=True)
class ImageSource:
    """Images turned, flipped, zoomed and cropped; their sinogram is the operator's.

    ``zoom`` bounds how many pixels of the source make one of the grid, relative to fitting the whole image;
    ``masked`` is the share of draws that are cut to the disc that every view sees; the rest reaches beyond it, so that
    the network also meets truncated data.
    """

    images: Sequence[Float32Array]
    zoom: tuple[float, float] = (0.4, 1.05)
    masked: float = 0.0

    def draw(self, rng: np.random.Generator, problem: Scanner) -> tuple[Tensor, Tensor]:
        """Draw one of the images, warped and times 0.01 to 1; its sinogram is the operator's.

        Args:
            rng: Decides everything that is random.
            problem: Scanner, grid and device.

        Returns:
            The image ``[1, 1, rows, columns]`` and its noise-free sinogram ``[1, 1, views, detectors]``, on the CPU.
        """
        image = self._warped(rng, problem.grid.plane)
        if rng.uniform() < self.masked:
            image = image * central_disc(problem.grid.plane)
        image = image * float(np.float32(10 ** rng.uniform(-2, 0)))
        return image, problem.operator(image.to(problem.device)).cpu()

    def _warped(self, rng: np.random.Generator, shape: tuple[int, int]) -> Tensor:
        source = torch.from_numpy(self.images[int(rng.integers(len(self.images)))])[None, None]
        height, width = source.shape[-2:]
        zoom = math.exp(rng.uniform(math.log(self.zoom[0]), math.log(self.zoom[1])))
        side = zoom * min(height, width)
        quarter = rng.uniform() < 0.5
        angle = rng.integers(4) * math.pi / 2 if quarter else rng.uniform(0, 2 * math.pi)
        flip = 1.0 if rng.uniform() < 0.5 else -1.0
        play_x, play_y = max(0.0, (width - side) / 2), max(0.0, (height - side) / 2)
        cx, cy = rng.uniform(-play_x, play_x), rng.uniform(-play_y, play_y)
        cos, sin = math.cos(angle), math.sin(angle)
        # Output coordinates in [-1, 1] to input pixels, then to input coordinates in [-1, 1].
        matrix = torch.tensor(
            [
                [flip * cos * side / width, -sin * side / width, 2 * cx / width],
                [flip * sin * side / height, cos * side / height, 2 * cy / height],
            ],
            dtype=torch.float32,
        )
        fold = max(1, math.ceil(side / max(shape)))
        grid = functional.affine_grid(matrix[None], [1, 1, shape[0] * fold, shape[1] * fold], align_corners=False)
        return functional.avg_pool2d(functional.grid_sample(source, grid, align_corners=False), fold)


def central_disc(shape: tuple[int, int]) -> Tensor:
    """1 inside a disc a little smaller than the image, which a detector as wide as the image sees in every view."""
    y = torch.linspace(-1, 1, shape[0])[:, None]
    x = torch.linspace(-1, 1, shape[1])[None, :]
    return (x * x + y * y < 0.93).float()


@dataclass(frozen=True)
class Mixture:
    """Draws from one of several sources, by their shares."""

    parts: tuple[tuple[float, Source], ...]

    def draw(self, rng: np.random.Generator, problem: Scanner) -> tuple[Tensor, Tensor]:
        """Draw from one of the sources.

        Args:
            rng: Decides of the source, and of all that it draws.
            problem: Scanner, grid and device.

        Returns:
            What the source gives: image ``[1, 1, rows, columns]`` and noise-free sinogram ``[1, 1, views, detectors]``.
        """
        shares = np.array([share for share, _ in self.parts])
        chosen = int(rng.choice(len(self.parts), p=shares / shares.sum()))
        return self.parts[chosen][1].draw(rng, problem)
