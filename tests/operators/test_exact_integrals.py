"""Projections of discs and ellipses approach their exact line integrals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from beams import BEAMS, GRID, both_beams, relative, scaled
from torch import Tensor

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.sparse import sparse_operator
from ctrecon.support.arrays import Float64Array

Ellipse = tuple[float, float, float, float, float, float]  # value, centre x and y, half axes, angle; mm, radians
DISC: list[Ellipse] = [(1.0, 0.8, -0.4, 2.2, 2.2, 0.0)]
ELLIPSES: list[Ellipse] = [
    (1.0, 0.3, 0.2, 3.6, 2.4, 0.4), (-0.5, -0.9, 0.8, 0.9, 0.6, 1.1), (0.7, 1.2, -0.9, 1.1, 0.7, -0.3)
]


def chords(geometry: Geometry, ellipses: list[Ellipse]) -> Tensor:
    """Exact line integrals: turn and stretch an ellipse into the unit circle, where chords are ``2 sqrt(1 - d^2)``."""
    points, directions = geometry.rays()
    directions = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    total = np.zeros(geometry.shape)
    for value, x, y, a, b, angle in ellipses:
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) / [[a], [b]]
        p, d = (points - [x, y]) @ turn.T, directions @ turn.T
        length = np.linalg.norm(d, axis=-1)
        distance = (p[..., 0] * d[..., 1] - p[..., 1] * d[..., 0]) / length
        total += value * 2 * np.sqrt(np.clip(1 - distance**2, 0, None)) / length
    return torch.from_numpy(total)[None, None]


def raster(grid: Grid, ellipses: list[Ellipse], fine: int = 8) -> Tensor:
    """Mean over ``fine x fine`` points in each pixel."""
    small = Grid(rows=grid.rows * fine, columns=grid.columns * fine, pixel_mm=grid.pixel_mm / fine)
    image: Float64Array = np.zeros(small.shape)
    for value, x, y, a, b, angle in ellipses:
        dx, dy = small.x_mm[None, :] - x, small.y_mm[:, None] - y
        along, across = dx * math.cos(angle) + dy * math.sin(angle), dy * math.cos(angle) - dx * math.sin(angle)
        image += value * ((along / a) ** 2 + (across / b) ** 2 <= 1)
    return torch.from_numpy(image.reshape(grid.rows, fine, grid.columns, fine).mean(axis=(1, 3)))[None, None]


@both_beams
@pytest.mark.parametrize("ellipses", [DISC, ELLIPSES], ids=["disc", "ellipses"])
def test_projections_approach_the_exact_integrals(beam: str, ellipses: list[Ellipse]) -> None:
    geometry = BEAMS[beam](36, 60, spacing=0.32 if beam == "fan" else 0.16, offset=0.05)
    exact = chords(geometry, ellipses)
    errors = {}
    for n in (16, 32, 64, 128):
        grid = scaled(GRID, n)
        image = raster(grid, ellipses)
        joseph = JosephOperator(geometry, grid)(image)
        assert relative(sparse_operator(geometry, grid, dtype=torch.float64)(image), joseph) < 1e-9
        errors[n] = relative(joseph, exact)
    assert all(errors[2 * n] < 0.7 * errors[n] for n in (16, 32, 64)), errors
    assert errors[128] < 1e-2
    wrong = [(value, -x, y, a, b, angle) for value, x, y, a, b, angle in ellipses]
    assert relative(JosephOperator(geometry, grid)(raster(grid, wrong)), exact) > 0.05
