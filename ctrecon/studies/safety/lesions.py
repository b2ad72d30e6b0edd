"""Lesions to plant: discs of a contrast and a radius, in soft tissue, far enough from each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ctrecon.measurement.scan import WATER_MU_PER_MM

# What counts as soft tissue, in units of water, and how much of a place must be of it.
SOFT, MOSTLY = (0.85, 1.2), 0.9
# A place nearer to the middle than this share of the image's half width is an inner one.
INNER = 0.45
# The ring that a lesion is compared with: from GAP pixels outside it, as wide as its radius, at least 2 pixels.
GAP = 1.5


@dataclass(frozen=True)
class Place:
    """Row and column of the middle, in pixels."""

    row: int
    column: int

    def inner(self, shape: tuple[int, int]) -> bool:
        """Whether it is near the middle of the image.

        Args:
            shape: Rows and columns of the image.

        Returns:
            True within the share ``INNER`` of half the image's shorter side.
        """
        down, right = self.row - (shape[0] - 1) / 2, self.column - (shape[1] - 1) / 2
        return float(np.hypot(down, right)) < INNER * min(shape) / 2


@dataclass(frozen=True)
class Lesion:
    """``contrast_hu`` above its surroundings (1000 HU: water over air) in a disc of ``radius`` pixels."""

    contrast_hu: float
    radius: float

    @property
    def contrast(self) -> float:
        """In 1/mm."""
        return self.contrast_hu / 1000 * WATER_MU_PER_MM


def distance(place: Place, shape: tuple[int, int]) -> Tensor:
    """Of every pixel to the place, in pixels: ``[rows, columns]``."""
    rows, columns = torch.arange(shape[0])[:, None] - place.row, torch.arange(shape[1])[None, :] - place.column
    return (rows.double() ** 2 + columns.double() ** 2).sqrt()


def disc(place: Place, radius: float, shape: tuple[int, int]) -> Tensor:
    """The pixels of a lesion, bool ``[rows, columns]``."""
    return distance(place, shape) <= radius


def ring(place: Place, radius: float, shape: tuple[int, int]) -> Tensor:
    """The pixels that a reader compares it with, bool ``[rows, columns]``."""
    away = distance(place, shape) - radius
    return (away > GAP) & (away <= GAP + max(radius, 2.0))


def places_in(truth: Tensor, count: int, radius: float, rng: np.random.Generator) -> list[Place]:
    """Up to ``count`` places in the soft tissue of ``truth`` ``[rows, columns]``, the ring around each included.

    Places keep so far apart that no two rings of lesions of ``radius`` meet; inner and outer ones take turns.
    """
    shape = (truth.shape[0], truth.shape[1])
    soft = ((truth > SOFT[0] * WATER_MU_PER_MM) & (truth < SOFT[1] * WATER_MU_PER_MM)).float()
    reach = radius + GAP + max(radius, 2.0)
    width = int(np.ceil(reach))
    around = disc(Place(width, width), reach, (2 * width + 1, 2 * width + 1)).float()
    share = functional.conv2d(soft[None, None], (around / around.sum())[None, None], padding=width)[0, 0]
    rows, columns = np.nonzero((share >= MOSTLY).numpy())
    order = rng.permutation(len(rows))
    candidates = [Place(int(rows[i]), int(columns[i])) for i in order]
    found: list[Place] = []
    while len(found) < count:
        free = [c for c in candidates if all(np.hypot(c.row - p.row, c.column - p.column) > 2 * reach for p in found)]
        if not free:
            break
        wanted = len(found) % 2 == 0
        found.append(next((c for c in free if c.inner(shape) == wanted), free[0]))
    return found
