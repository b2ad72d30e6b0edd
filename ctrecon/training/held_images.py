"""Images that stay on the training's device, turned, flipped, zoomed and cropped many at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ctrecon.support.arrays import Float32Array
from ctrecon.training.data import central_disc

# Every image is sampled finely before it is averaged: so many at once, or the memory would not do.
_AT_ONCE = 64


@dataclass(frozen=True)
class ImageGroup:
    """Images of one kind, drawn with probability ``share``, object by object: ``objects[i]`` are the images of one.

    ``zoom`` bounds how many pixels of the source make one of the grid, relative to fitting the whole image; ``masked``
    is the share of draws that are cut to the disc that every view sees; images of the objects ``truncated`` always are,
    because they end where their scanner's field did.
    """

    objects: Sequence[Sequence[Float32Array]]
    share: float
    zoom: tuple[float, float] = (0.3, 1.05)
    masked: float = 0.85
    truncated: tuple[int, ...] = ()


class HeldImages:
    """Draws from groups of images, with values in 16 bits on the device, each image in a corner of a square.

    Raises nothing of its own; images may be of any sizes, and cost what the largest one does.
    """

    def __init__(self, groups: Sequence[ImageGroup], device: str | torch.device) -> None:
        self._device = torch.device(device)
        self._groups = [group for group in groups if group.objects]
        images = [image for group in self._groups for images in group.objects for image in images]
        self._sides = np.array([image.shape for image in images])
        side = int(self._sides.max())
        self._held = torch.zeros((len(images), 1, side, side), dtype=torch.float16, device=self._device)
        for held, image in zip(self._held, images, strict=True):
            held[0, : image.shape[0], : image.shape[1]] = torch.from_numpy(image / max(float(image.max()), 1e-12))
        self._peaks = np.array([max(float(image.max()), 1e-12) for image in images])
        counts = [[len(images) for images in group.objects] for group in self._groups]
        self._counts = counts
        starts = np.cumsum([0, *(sum(each) for each in counts)])
        self._first = [starts[i] + np.cumsum([0, *each]) for i, each in enumerate(counts)]

    def draw(self, count: int, shape: tuple[int, int], rng: np.random.Generator) -> Tensor:
        """``[count, 1, rows, columns]``, each with its own attenuation, from a hundredth to the whole of its peak."""
        parts = range(0, count, _AT_ONCE)
        return torch.cat([self._some(min(_AT_ONCE, count - first), shape, rng) for first in parts])

    def _some(self, count: int, shape: tuple[int, int], rng: np.random.Generator) -> Tensor:
        picks = [self._pick(rng) for _ in range(count)]
        chosen = np.array([index for index, _, _ in picks])
        zoom, masked = np.array([zoom for _, zoom, _ in picks]), np.array([mask for _, _, mask in picks])
        rows, columns = self._sides[chosen].T.astype(float)
        side = zoom * np.minimum(rows, columns)
        held = self._held.shape[-1]
        matrix = _placed(rows, columns, side, held, rng)
        fold = max(1, math.ceil(float(side.max()) / max(shape)))
        theta = self._there(matrix)
        fine = (count, 1, shape[0] * fold, shape[1] * fold)
        source = self._held[self._there(chosen)].float()
        warped = functional.grid_sample(
            source, functional.affine_grid(theta, list(fine), align_corners=False), align_corners=False
        )
        images = functional.avg_pool2d(warped, fold)
        disc = central_disc(shape).to(self._device)
        images = torch.where(self._there(masked)[:, None, None, None], images * disc, images)
        images = _without_blanks(images)
        gain = self._peaks[chosen] * 10 ** rng.uniform(-2, 0, count)
        return images * self._there(gain.astype(np.float32))[:, None, None, None]

    def _there(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(self._device)

    def _pick(self, rng: np.random.Generator) -> tuple[int, float, bool]:
        """An image's number, its zoom, and whether it is masked."""
        shares = np.array([group.share for group in self._groups])
        g = int(rng.choice(len(self._groups), p=shares / shares.sum()))
        group = self._groups[g]
        which = int(rng.integers(len(group.objects)))
        image = int(self._first[g][which] + rng.integers(self._counts[g][which]))
        zoom = math.exp(rng.uniform(*np.log(group.zoom)))
        masked = rng.uniform() < group.masked or which in group.truncated
        return image, zoom, bool(masked)


def _without_blanks(images: Tensor) -> Tensor:
    """Crops of nothing but air, which no noise level fits, replaced by the others in turn."""
    full = torch.nonzero(images.flatten(1).amax(1) > 0.02)[:, 0]
    if len(full) in (0, len(images)):
        return images.clamp_min(1e-3) if len(full) == 0 else images
    order = full.repeat(math.ceil(len(images) / len(full)))[: len(images)]
    order[full] = full
    return images[order]


def _placed(
    rows: np.ndarray, columns: np.ndarray, side: np.ndarray, held: int, rng: np.random.Generator
) -> np.ndarray:
    """Affine maps ``[count, 2, 3]`` from output coordinates in [-1, 1] to those of the held square.

    Each shows ``side`` pixels of an image of ``rows`` x ``columns`` in the square's corner, turned by any angle or,
    half of the time, by a multiple of a right one.
    """
    count = len(side)
    quarter = rng.integers(4, size=count) * (math.pi / 2)
    angle = np.where(rng.uniform(size=count) < 0.5, quarter, rng.uniform(0, 2 * math.pi, count))
    flip = np.where(rng.uniform(size=count) < 0.5, 1.0, -1.0)
    x = columns / 2 + rng.uniform(-1, 1, count) * np.maximum(0, (columns - side) / 2)
    y = rows / 2 + rng.uniform(-1, 1, count) * np.maximum(0, (rows - side) / 2)
    cos, sin = np.cos(angle) * side / held, np.sin(angle) * side / held
    first = np.stack([flip * cos, -sin, 2 * x / held - 1], axis=1)
    second = np.stack([flip * sin, cos, 2 * y / held - 1], axis=1)
    return np.stack([first, second], axis=1).astype(np.float32)
