"""Projectors agree with each other, whatever the batch, the type and the number of threads."""

from __future__ import annotations

import pytest
import torch
from beams import BEAMS, GRID, both_beams, parallel, relative
from laws import random_like

from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.lanes import batches
from ctrecon.operators.sparse import sparse_operator


@pytest.mark.sampled(4)
@both_beams
@pytest.mark.parametrize("batch", [1, 2, 7, 16, 17])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-9)])
def test_joseph_agrees_with_the_matrix(beam: str, batch: int, dtype: torch.dtype, tolerance: float) -> None:
    for grid in (GRID, Grid(rows=40, columns=33, pixel_mm=0.25), Grid(rows=1, columns=3, pixel_mm=4.0)):
        geometry = BEAMS[beam](17, 50)
        joseph, matrix = JosephOperator(geometry, grid), sparse_operator(geometry, grid, dtype=torch.float64)
        x = random_like((batch, *joseph.domain_shape), 0)
        y = random_like((batch, *joseph.range_shape), 1)
        assert relative(joseph(x.to(dtype)), matrix(x)) < tolerance
        assert relative(joseph.adjoint(y.to(dtype)), matrix.adjoint(y)) < tolerance
    shifted = BEAMS[beam](17, 50, offset=0.301)
    assert relative(JosephOperator(shifted, grid)(x.to(dtype)), matrix(x)) > 1e-5


def test_rays_that_miss_the_image_see_nothing() -> None:
    geometry = parallel(8, 9, offset=1e6)
    for operator in (JosephOperator(geometry, GRID), sparse_operator(geometry, GRID)):
        assert bool((operator(torch.ones(2, *operator.domain_shape)) == 0).all())
        assert bool((operator.adjoint(torch.ones(2, *operator.range_shape)) == 0).all())
    far = FanBeam(angles_rad=(0.1,), detector_count=3, source_to_axis_mm=5e8, source_to_detector_mm=1e9)
    image = torch.ones(1, 1, *GRID.shape)
    assert relative(JosephOperator(far, GRID)(image), sparse_operator(far, GRID)(image)) < 1e-6


@both_beams
def test_the_transposed_matrix_is_the_transpose(beam: str) -> None:
    for grid in (GRID, Grid(rows=40, columns=9, pixel_mm=0.3), Grid(rows=1, columns=1, pixel_mm=9.0)):
        operator = sparse_operator(BEAMS[beam](), grid, dtype=torch.float64)
        matrix, transpose = operator._matrix.to_dense(), operator._transpose.to_dense()
        assert torch.equal(matrix.T, transpose)
        assert bool(matrix.any())


@both_beams
def test_results_do_not_depend_on_threads(beam: str) -> None:
    joseph = JosephOperator(BEAMS[beam](30, 40), Grid(rows=40, columns=50, pixel_mm=0.3))
    for batch in (1, 3):
        x, y = random_like((batch, *joseph.domain_shape), 0), random_like((batch, *joseph.range_shape), 1)
        results = []
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append((joseph(x), joseph.adjoint(y)))
        assert torch.equal(results[0][0], results[1][0])
        assert torch.equal(results[0][1], results[1][1])


def test_batches_are_cut_without_loss() -> None:
    for count in range(1, 60):
        pieces = list(batches(count))
        assert [i for piece, _ in pieces for i in range(count)[piece]] == list(range(count))
        assert all(0 < len(range(count)[piece]) <= lanes for piece, lanes in pieces)


@both_beams
@pytest.mark.parametrize("batch", [1, 3, 16])
def test_fbp_kernels_agree_with_torch(beam: str, batch: int) -> None:
    fbp = FilteredBackProjection(BEAMS[beam](30, 40), Grid(rows=20, columns=27, pixel_mm=0.5))
    sinogram = torch.rand(batch, 1, 30, 40)
    expected = fbp.on_device(fbp._filter(sinogram))
    assert relative(fbp(sinogram), expected) < 1e-5
    assert relative(fbp(sinogram.roll(1, 3)), expected) > 1e-2
