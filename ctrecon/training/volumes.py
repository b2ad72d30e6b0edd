"""Volumes to train on: bodies with exact line integrals, and slabs of neighbouring CT slices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ctrecon.measurement.scan import WATER_MU_PER_MM
from ctrecon.simulation.analytic import AnalyticPhantom
from ctrecon.simulation.scanners import Scanner
from ctrecon.simulation.scanners_in_space import SIZE, random_cube, random_slab
from ctrecon.support.arrays import Float32Array
from ctrecon.training.data import central_disc
from ctrecon.training.noise import ScanNoise
from ctrecon.training.objects import HeldObject
from ctrecon.training.starts import Starts, generator, measured

BodySampler = Callable[[np.random.Generator], AnalyticPhantom]
_DENSE = 0.2 * WATER_MU_PER_MM


@dataclass(frozen=True)
class VolumeStarts:
    """A scanner of volumes drawn anew each time, and ``count`` volumes before it.

    Args:
        samplers: Of bodies.
        objects: CT objects; of those with fewer than three slices none is used.
        noise: Added to the scans.
        count: Volumes that share a scanner.
        shares: Of whole bodies, of slabs of bodies, and of slabs of CT objects, where there are some.
        slices: Of a slab.
        size: Pixels across the largest slab.
    """

    samplers: Sequence[BodySampler]
    objects: Sequence[HeldObject] = ()
    noise: ScanNoise = field(default_factory=ScanNoise)
    count: int = 3
    shares: tuple[float, float, float] = (0.25, 0.4, 0.35)
    slices: int = 12
    size: int = SIZE
    ready: bool = True

    def make(self, rng: np.random.Generator) -> Starts:
        """New ones; all that is random comes from ``rng``."""
        objects = [one for one in self.objects if len(one.slices) > 2]
        shares = np.array(self.shares) * (1, 1, bool(objects))
        kind = int(rng.choice(3, p=shares / shares.sum()))
        if kind == 2:
            scanner = random_slab(rng, self.slices, self.size, cones=True)
            truth = torch.cat([_not_empty(objects, scanner, rng) for _ in range(self.count)])
            clean = scanner.operator(truth)
        else:
            scanner = self._scanner(rng, whole=kind == 0)
            drawn = [draw_body(self._sampler(rng), rng, scanner) for _ in range(self.count)]
            truth, clean = (torch.cat(parts) for parts in zip(*drawn, strict=True))
        return measured(scanner, truth, clean, self.noise, generator(rng, "cpu"))

    def _scanner(self, rng: np.random.Generator, *, whole: bool) -> Scanner:
        return random_cube(rng, self.size) if whole else random_slab(rng, self.slices, self.size, cones=False)

    def _sampler(self, rng: np.random.Generator) -> BodySampler:
        return self.samplers[int(rng.integers(len(self.samplers)))]


def _not_empty(objects: Sequence[HeldObject], scanner: Scanner, rng: np.random.Generator) -> Tensor:
    """A slab that shows more than air, which no noise level fits."""
    while True:
        found = slab(objects[int(rng.integers(len(objects)))], scanner, rng)
        if float(found.max()) > _DENSE:
            return found


def draw_body(sampler: BodySampler, rng: np.random.Generator, scanner: Scanner) -> tuple[Tensor, Tensor]:
    """A body in the ball that fits the grid, or before level rays its slices: its volume and its exact data.

    ``[1, 1, slices, rows, columns]`` and ``[1, 1, views, rows, columns]``.
    """
    grid, radius = scanner.grid, scanner.grid.reach_mm()
    if not scanner.geometry.to_vectors().parallel:
        # Rays that climb must not meet what lies above or below the grid.
        radius = min(radius, (grid.slices or 0) * (grid.slice_mm or 0.0) / 2)
    radius *= rng.uniform(0.85, 0.98)
    body = sampler(rng).scaled(radius, WATER_MU_PER_MM)
    volume, data = body.image(grid), body.sinogram(scanner.geometry)
    return torch.from_numpy(volume)[None, None], torch.from_numpy(data)[None, None]


def slab(one: HeldObject, scanner: Scanner, rng: np.random.Generator) -> Tensor:
    """Neighbouring slices of an object, zoomed, turned and cropped alike, ``[1, 1, slices, rows, columns]``.

    Where it has fewer slices than the grid, or in a third of the draws, they are interpolated in between, as the
    finer slices of another scanner.
    """
    grid = scanner.grid
    assert grid.slices is not None
    held = _stack(one.slices)
    wanted = grid.slices if len(one.slices) >= grid.slices and rng.uniform() > 1 / 3 else int(rng.integers(3, 7))
    wanted = min(wanted, len(one.slices))
    first = int(rng.integers(len(one.slices) - wanted + 1))
    stack = held[first : first + wanted]
    if rng.uniform() < 0.5:
        stack = stack.flip(0)
    zoom = math.exp(rng.uniform(math.log(0.4), math.log(1.05)))
    angle, flip = rng.uniform(0, 2 * math.pi), 1.0 if rng.uniform() < 0.5 else -1.0
    play = max(0.0, 1 - zoom)
    x, y = rng.uniform(-play, play), rng.uniform(-play, play)
    cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
    matrix = torch.tensor([[[flip * cos, -sin, x], [flip * sin, cos, y]]], dtype=torch.float32)
    fold = max(1, math.ceil(zoom * stack.shape[-1] / grid.columns))
    shape = [1, 1, grid.rows * fold, grid.columns * fold]
    places = functional.affine_grid(matrix, shape, align_corners=False).expand(wanted, -1, -1, -1)
    warped = functional.avg_pool2d(functional.grid_sample(stack[:, None], places, align_corners=False), fold)
    volume = warped.transpose(0, 1)[None]
    if wanted != grid.slices:
        volume = functional.interpolate(volume, size=grid.shape, mode="trilinear", align_corners=True)
    if one.truncated or rng.uniform() < 0.85:
        volume = volume * central_disc(grid.plane)
    return volume.contiguous()


def _stack(slices: Sequence[Float32Array]) -> Tensor:
    return torch.from_numpy(np.stack(slices))
