"""A small scan of rectangles and discs, for the tests of classical methods."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.operators.sparse import SparseOperator, sparse_operator

GRID = Grid(rows=16, columns=15, pixel_mm=1.0)


def beam(views: int, cells: int, pixel_mm: float = 1.0) -> FanBeam:
    return FanBeam(
        angles_rad=tuple(np.arange(views) * 2 * math.pi / views),
        detector_count=cells,
        detector_spacing_mm=2 * pixel_mm,
        source_to_axis_mm=4.0 * cells * pixel_mm,
        source_to_detector_mm=8.0 * cells * pixel_mm,
    )


BEAM = beam(12, 18)


def image(grid: Grid = GRID, batch: int = 3) -> Tensor:
    """Two rectangles and a disc on nothing, about 0.03 per mm, different in each sample."""
    y, x = np.meshgrid(np.linspace(-1, 1, grid.rows), np.linspace(-1, 1, grid.columns), indexing="ij")
    out = np.zeros((batch, 1, *grid.shape))
    for b in range(batch):
        out[b, 0] += 0.02 * ((np.abs(x) < 0.6) & (np.abs(y + 0.1 * b) < 0.5))
        out[b, 0] += 0.015 * ((np.abs(x - 0.2) < 0.2) & (np.abs(y) < 0.3))
        out[b, 0] += 0.01 * ((x + 0.3) ** 2 + (y - 0.2) ** 2 < 0.04 * (b + 1))
    return torch.from_numpy(out)


def measured(operator: SparseOperator, truth: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Data with Gaussian noise of ``level`` of their norm, and its standard deviation per sample."""
    clean = operator(truth)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(clean)
    sigma = level * torch.linalg.vector_norm(clean.flatten(1), dim=1) / math.sqrt(clean[0].numel())
    return clean + sigma.view(-1, 1, 1, 1) * noise, sigma


def operator64() -> SparseOperator:
    return sparse_operator(BEAM, GRID, dtype=torch.float64)


def distance(a: Tensor, b: Tensor) -> Tensor:
    """``||a - b|| / ||b||`` per sample."""
    return torch.linalg.vector_norm((a - b).flatten(1), dim=1) / torch.linalg.vector_norm(b.flatten(1), dim=1)
