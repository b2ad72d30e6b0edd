"""Weights and conventions are those of ASTRA on the CPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import scipy.sparse
import torch
from beams import BEAMS, GRID, both_beams, fan, parallel, relative, scaled
from laws import adjoint_defect
from torch import Tensor

from ctrecon.errors import OperatorError
from ctrecon.geometry.grid import Grid
from ctrecon.operators.astra import AstraCpuOperator, AstraOperator, cuda_is_usable
from ctrecon.operators.choose import choose_operator
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.sparse import sparse_operator


def asymmetric(n: int) -> Tensor:
    """Smooth blobs that no turn and no mirror takes into themselves, ``[1, 1, n, n]``."""
    image = np.zeros((n, n))
    for row, column, value in ((0.3, 0.35, 1.0), (0.55, 0.7, 0.5), (0.75, 0.4, 0.25), (0.25, 0.6, 0.7)):
        image[int(row * n), int(column * n)] = value
    image = scipy.ndimage.gaussian_filter(image, n / 16)
    return torch.from_numpy(image / image.max()).float()[None, None]


# ASTRA walks along a ray in float32, so its own error grows with the image: measured for noise, 3e-6 at 64 pixels,
# 9e-6 at 128, 2e-5 at 256 and 7e-5 at 512; for a disc a third of that.
@pytest.mark.parametrize("offset", [0.0, 3.3])
def test_joseph_agrees_with_astra_linear(offset: float) -> None:
    grid = Grid(rows=60, columns=66, pixel_mm=0.8)
    geometry = replace(parallel(64, 80), detector_offset_mm=offset)
    joseph, astra = JosephOperator(geometry, grid), AstraCpuOperator(geometry, grid)
    x, y = torch.rand(1, 1, *grid.shape), torch.rand(1, 1, *geometry.shape)
    assert relative(astra(x), joseph(x)) < 1e-5
    assert relative(astra.adjoint(y), joseph.adjoint(y)) < 1e-5
    moved = JosephOperator(replace(geometry, detector_offset_mm=offset + 0.01), grid)
    assert relative(astra(x), moved(x)) > 1e-4


@both_beams
@pytest.mark.parametrize("offset", [0.0, 2.5])
def test_conventions_are_those_of_astra(beam: str, offset: float) -> None:
    """An asymmetric image: a turned, mirrored or shifted one must not pass, nor the opposite sense of rotation."""
    grid = scaled(GRID, 64)
    geometry = replace(BEAMS[beam](40, 96, spacing=0.3 if beam == "fan" else 0.15), detector_offset_mm=offset / 10)
    image = asymmetric(64)
    measured = AstraCpuOperator(geometry, grid)(image)
    joseph, matrix = JosephOperator(geometry, grid), sparse_operator(geometry, grid)
    # The fan's reference weighs by lengths in pixels (Siddon), not by interpolation: it agrees on smooth images only.
    tolerance = 1e-5 if beam == "parallel" else 8e-3
    for operator in (joseph, matrix):
        assert relative(operator(image), measured) < tolerance
        for wrong in (image.flip(2), image.flip(3), image.flip(2, 3), image.transpose(2, 3), image.roll(1, 2)):
            assert relative(operator(wrong), measured) > 10 * tolerance
    backwards = replace(geometry, angles_rad=tuple(-angle for angle in geometry.angles_rad))
    assert relative(JosephOperator(backwards, grid)(image), measured) > 0.1
    if offset:
        mirrored = replace(geometry, detector_offset_mm=-offset / 10)
        assert relative(JosephOperator(mirrored, grid)(image), measured) > 0.01


def test_fan_agrees_with_astra_strips() -> None:
    geometry = fan(40, 96, offset=0.0, spacing=0.3)
    grid = scaled(GRID, 64)
    astra = AstraCpuOperator(geometry, grid, projector="strip_fanflat")
    assert relative(astra(asymmetric(64)), JosephOperator(geometry, grid)(asymmetric(64))) < 8e-3
    assert adjoint_defect(astra, dtype=torch.float32) < 1e-6


@pytest.mark.skipif(cuda_is_usable(), reason="this machine has a GPU")
def test_without_a_gpu_astra_says_so() -> None:
    for make in (lambda: AstraOperator(parallel(), GRID), lambda: choose_operator(parallel(), GRID, name="astra")):
        with pytest.raises(OperatorError, match=r"needs a CUDA GPU.*use joseph or sparse"):
            make()
