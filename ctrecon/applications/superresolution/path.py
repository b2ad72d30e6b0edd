"""States on the descent path of super-resolution: patches of natural images, average-pooled, and started at zero.

As in ``training/path.py`` the training moves its own states along (paper, section 4.2): the direction of the step's
forward pass, bent into the cone, is followed by one step of Algorithm 1; a state that is old, or out of luck, is
replaced by a new patch. So the network sees its own answers, and learns what still is wrong with them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor, nn

from ctrecon.applications.superresolution.network import EstimateDirection, cone
from ctrecon.descent.dissipation import dissipate
from ctrecon.descent.step import Armijo
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import InputError
from ctrecon.operators.pooling import AveragePooling
from ctrecon.support.arrays import Float32Array

# Reduced copies show more and finer structure than the photographs themselves, with less grain.
REDUCED = ((1.0, 0.6), (0.75, 0.25), (0.55, 0.15))


class Patches:
    """Random squares of grey images (0 to 1, ``[rows, columns]``): reduced, mirrored, turned, contrast and brightness.

    Raises InputError where no image is as large as a patch of ``size`` pixels.
    """

    def __init__(self, images: Sequence[Float32Array], size: int) -> None:
        self._levels: list[list[Float32Array]] = []
        self._shares = np.array([share for _, share in REDUCED])
        for factor, _ in REDUCED:
            reduced = [_reduced(image, factor) for image in images]
            self._levels.append([image for image in reduced if min(image.shape) >= size])
        if not self._levels[0]:
            raise InputError(f"none of the {len(images)} images has {size} x {size} pixels to train on")
        self._shares = self._shares * [bool(level) for level in self._levels]
        self._size = size

    def draw(self, rng: np.random.Generator) -> Tensor:
        """``[1, size, size]``, float32."""
        level = self._levels[int(rng.choice(len(self._levels), p=self._shares / self._shares.sum()))]
        image = level[int(rng.integers(len(level)))]
        row, column = (int(rng.integers(side - self._size + 1)) for side in image.shape)
        patch = np.rot90(image[row : row + self._size, column : column + self._size], int(rng.integers(4)))
        patch = patch.T if rng.integers(2) else patch
        # Luminance comes in two ranges, 0..255 and 16..235; neither should be foreign.
        contrast = rng.uniform(0.75, 1.0)
        offset = rng.uniform(0, 1 - contrast)
        return torch.from_numpy(np.ascontiguousarray(patch * np.float32(contrast) + np.float32(offset)))[None]


def _reduced(image: Float32Array, factor: float) -> Float32Array:
    if factor == 1:
        return image
    rows, columns = image.shape
    size = (max(1, round(columns * factor)), max(1, round(rows * factor)))
    reduced = PillowImage.fromarray(image).resize(size, PillowImage.Resampling.LANCZOS)
    return np.clip(np.asarray(reduced, dtype=np.float32), 0, 1)


class SuperResolutionPool:
    """States of one factor; ``size`` is the side of the *low* resolution patches."""

    share = 1.0

    def __init__(
        self, images: Sequence[Float32Array], scale: int, *, size: int = 32, states: int = 32, most_steps: int = 8,
        renew: float = 0.25, decibels: bool = False, device: str | torch.device = "cpu",
    ) -> None:
        side = size * scale
        self._patches, self._operator = Patches(images, side), AveragePooling(side, side, scale)
        self._most_steps, self._renew, self._decibels = most_steps, renew, decibels
        self._u, self._truth = (torch.zeros(states, 1, side, side, device=device) for _ in range(2))
        self._age = np.full(states, -1)

    def loss(self, network: nn.Module, batch: int, rng: np.random.Generator) -> Tensor:
        """The error of the images one network step ahead, by default mean absolute in grey levels of 255.

        With ``decibels`` the mean of 10 log10 of each patch's mean square, as in PSNR: for the end of a training.
        The states move on.
        """
        if batch > len(self._age):
            # More states than asked for at a time, or all in a batch would have the same age.
            self._grow(4 * batch)
        chosen = rng.choice(len(self._age), size=batch, replace=False)
        for i in chosen[self._age[chosen] < 0]:
            self._truth[i], self._u[i], self._age[i] = self._patches.draw(rng), 0, 0
        u, truth = self._u[chosen], self._truth[chosen]
        energy = LeastSquares(self._operator, self._operator(truth))
        point = energy.at(u)
        d = dissipate(cone(energy), EstimateDirection(network, energy)(point), -point.gradient)
        error = u + d - truth
        loss = 255 * error.abs().mean()
        if self._decibels:
            # Below 50 dB of PSNR; what is nearly flat has no more to teach.
            loss = 10 * torch.log10(error.square().flatten(1).mean(1) + 1e-5).mean()
        with torch.no_grad():
            ray = point.along(d.detach())
            moved = ray.move(Armijo()(ray, torch.ones(batch, 1, device=u.device)))
            self._u[chosen] = moved.u
        self._age[chosen] += 1
        ended = (self._age[chosen] >= self._most_steps) | (rng.uniform(size=batch) < self._renew)
        ended |= ~torch.isfinite(moved.value).cpu().numpy()
        self._age[chosen[ended]] = -1
        return loss

    def _grow(self, states: int) -> None:
        more = states - len(self._age)
        self._u = torch.cat([self._u, self._u.new_zeros(more, *self._u.shape[1:])])
        self._truth = torch.cat([self._truth, self._truth.new_zeros(more, *self._truth.shape[1:])])
        self._age = np.concatenate([self._age, np.full(more, -1)])
