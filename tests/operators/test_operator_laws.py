"""Every operator obeys the laws of tests/laws.py; sums, products, stacks and moves are those of matrices."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from backwards import Backwards
from beams import BEAMS, GRID, both_beams, parallel
from laws import adjoint_defect, check_layer, check_operator, classes_in, random_like
from torch import Tensor

import ctrecon.operators
from ctrecon.errors import OperatorError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.geometry.vectors_in_space import VectorsInSpace
from ctrecon.operators.astra import AstraCpuOperator, AstraOperator
from ctrecon.operators.base import Adjoint, LinearOperator, Multiple, Product, Sum
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.pooling import AveragePooling
from ctrecon.operators.sparse import SparseOperator, joseph_matrix, sparse_operator
from ctrecon.operators.stack import Stack
from ctrecon.operators.volume.joseph import VolumeJosephOperator
from ctrecon.operators.volume.spread import SpreadVolumeOperator


def halved(grid: Grid) -> Grid:
    """Pixels twice as wide and high, over about the same rectangle."""
    return Grid(rows=grid.rows // 2, columns=grid.columns // 2, pixel_mm=2 * grid.pixel_mm)


def pooling(grid: Grid) -> AveragePooling:
    return AveragePooling(grid.rows // 2 * 2, grid.columns // 2 * 2, 2)


def moved(geometry: Geometry) -> Geometry:
    assert isinstance(geometry, ParallelBeam | FanBeam)
    return replace(geometry, detector_offset_mm=geometry.detector_offset_mm + 0.2)


def raised(geometry: Geometry) -> Geometry:
    """With four rows of cells in the place of one."""
    return VectorsInSpace.from_vectors(replace(geometry.to_vectors(), rows=4, row_mm=1.1))


EXAMPLES: dict[type[LinearOperator], Callable[[Geometry, Grid], tuple[LinearOperator, torch.dtype]]] = {
    JosephOperator: lambda geometry, grid: (JosephOperator(geometry, grid), torch.float64),
    SparseOperator: lambda geometry, grid: (sparse_operator(geometry, grid, dtype=torch.float64), torch.float64),
    Adjoint: lambda geometry, grid: (JosephOperator(geometry, grid).T, torch.float64),
    AstraCpuOperator: lambda geometry, grid: (AstraCpuOperator(geometry, grid), torch.float32),
    AveragePooling: lambda geometry, grid: (AveragePooling(6, 9, 3, channels=2), torch.float64),
    Product: lambda geometry, grid: (JosephOperator(geometry, halved(grid)) @ pooling(grid), torch.float64),
    Sum: lambda geometry, grid: (
        JosephOperator(geometry, grid) - sparse_operator(moved(geometry), grid, dtype=torch.float64), torch.float64
    ),
    Multiple: lambda geometry, grid: (-2.5 * JosephOperator(geometry, grid), torch.float64),
    VolumeJosephOperator: lambda geometry, grid: (
        VolumeJosephOperator(raised(geometry), replace(grid, slices=3, slice_mm=0.9)), torch.float64
    ),
    SpreadVolumeOperator: lambda geometry, grid: (
        SpreadVolumeOperator(
            VolumeJosephOperator(raised(geometry), replace(grid, slices=3, slice_mm=0.9)), Backwards()
        ), torch.float64
    ),
    Stack: lambda geometry, grid: (
        Stack(JosephOperator(geometry, grid), JosephOperator(moved(geometry), grid), axis=2), torch.float64
    ),
}


@both_beams
@pytest.mark.parametrize("kind", classes_in(ctrecon.operators, LinearOperator), ids=lambda kind: kind.__name__)
def test_laws(kind: type[LinearOperator], beam: str) -> None:
    if kind is AstraOperator:
        pytest.skip("needs a GPU: tests/gpu/test_astra.py")
    if kind not in EXAMPLES:
        pytest.fail(f"{kind.__name__} is new: give it a line in EXAMPLES")
    operator, dtype = EXAMPLES[kind](BEAMS[beam](), GRID)
    check_operator(operator, dtype=dtype)
    check_layer(operator, dtype=dtype)


@pytest.mark.parametrize("kind", [kind for kind in EXAMPLES if kind not in (AstraCpuOperator, AveragePooling)])
def test_numbers_below_the_normal_ones_are_0_to_a_projector(kind: type[LinearOperator]) -> None:
    """Processors take many times as long over them; what is normal by a little is no 0."""
    operator, dtype = EXAMPLES[kind](BEAMS["fan"](), GRID)
    least = torch.finfo(dtype).tiny
    for apply, shape in ((operator, operator.domain_shape), (operator.adjoint, operator.range_shape)):
        for batch in (1, 3):
            values = torch.ones((batch, *shape), dtype=dtype)
            assert not apply(least / 4 * values).any()
            assert apply(1e9 * least * values).any()


@both_beams
def test_laws_in_float32(beam: str) -> None:
    geometry = BEAMS[beam]()
    for operator in (JosephOperator(geometry, GRID), sparse_operator(geometry, GRID)):
        check_operator(operator, dtype=torch.float32)


@both_beams
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_matrix_without_its_transpose_is_the_same(beam: str, dtype: torch.dtype) -> None:
    geometry = BEAMS[beam]()
    few, many = (sparse_operator(geometry, GRID, dtype=dtype, few=few) for few in (True, False))
    check_operator(few, dtype=dtype)
    check_layer(few, dtype=dtype)
    y = random_like((3, *many.range_shape), 5).to(dtype)
    torch.testing.assert_close(few.adjoint(y), many.adjoint(y), rtol=1e-5, atol=1e-5)
    with pytest.raises(OperatorError, match=r"move one of them by \.to"):
        few._adjoint(y.to(torch.float16))


def test_moves_and_conversions() -> None:
    geometry = parallel()
    matrix, joseph = sparse_operator(geometry, GRID), JosephOperator(geometry, GRID)
    x = random_like((1, *matrix.domain_shape), 0)
    within = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 3, padding=1), matrix, torch.nn.ReLU()).double()
    assert within(x).dtype == torch.float64
    assert matrix(x).dtype == torch.float64
    assert within.state_dict().keys() == {"0.weight", "0.bias"}
    # Half of a network does not halve the digits of its operator.
    assert within.half()[1](x.half()).dtype == torch.float16
    assert joseph.double()(x).dtype == torch.float64
    for operator in (joseph, joseph.T, 2.0 * joseph, Stack(joseph, joseph), torch.nn.Sequential(joseph)):
        with pytest.raises(OperatorError, match="JosephOperator works on the CPU only, not on meta; use astra or spar"):
            operator.to("meta")
    for astra in (AstraCpuOperator(geometry, GRID), AstraCpuOperator(geometry, GRID).T):
        with pytest.raises(OperatorError, match=r"works in float32 on the CPU, not in torch\.float64"):
            astra.double()
    assert matrix.T.to(torch.float64).T is matrix
    assert matrix(x).dtype == torch.float64


def test_sums_products_and_stacks_are_those_of_matrices() -> None:
    beams = [parallel(), moved(parallel())]
    dense = [torch.from_numpy(joseph_matrix(beam, GRID, np.float64).toarray()) for beam in beams]
    A, B = (JosephOperator(beam, GRID) for beam in beams)
    C = AveragePooling(12, 21, 3)

    def as_matrix(operator: LinearOperator) -> Tensor:
        pixels = torch.eye(operator.shape[1], dtype=torch.float64)
        return operator(pixels.reshape(-1, *operator.domain_shape)).reshape(operator.shape[1], -1).T

    for made, expected in (
        (A + B, dense[0] + dense[1]), (A - 0.5 * B, dense[0] - 0.5 * dense[1]), (-A, -dense[0]),
        (C @ A, as_matrix(C) @ dense[0]), (A.T @ A, dense[0].T @ dense[0]),
        (A / 2, dense[0] / 2), (np.float32(0.5) * A, dense[0] / 2), (np.int64(2) * A, 2 * dense[0]),
        (C @ (A - B), as_matrix(C) @ (dense[0] - dense[1])),
        (Stack(A, B, axis=1), torch.cat(dense)), ((A + B).T, (dense[0] + dense[1]).T),
    ):
        torch.testing.assert_close(as_matrix(made), expected, rtol=1e-9, atol=1e-9)
        assert made.shape == tuple(expected.shape)
        assert 0.9 * float(torch.linalg.matrix_norm(expected, 2)) <= made.norm()
    assert (-3.0 * A).norm() == 3 * A.norm()
    for none in (lambda: A + 1, lambda: 1 + A, lambda: A - np.ones(3), lambda: A / 0, lambda: np.ones((3, 4)) @ A):
        with pytest.raises(TypeError, match=r"unsupported operand|does not support"):
            none()
    assert str(Stack(A, B)).count("JosephOperator") == 2
    for wrong, text in (
        (lambda: A @ B, r"A takes \[1, 13, 18\], but B gives \[1, 12, 21\]; are they exchanged"),
        (lambda: A + C, "only equal shapes add up"), (lambda: Stack(A, C), "one operator takes"),
        (lambda: Stack(A, JosephOperator(parallel(12, 20), GRID)), "do not join along axis 1"),
        (lambda: Stack(A, axis=3), "axis must be from 0 to 2, got 3"), (Stack, "at least one"),
        (lambda: math.nan * A, "finite, got nan"),
    ):
        with pytest.raises(OperatorError, match=text):
            wrong()


def test_a_part_without_a_true_adjoint_makes_the_whole_unmatched() -> None:
    A = JosephOperator(parallel(), GRID)
    loose = NearlyAdjoint(parallel(), GRID)
    loose.matched, loose.adjoint_defect = False, 1e-2
    for made in (A + loose, loose @ AveragePooling(26, 36, 2), 2.0 * loose, Stack(A, loose), loose.T):
        assert not made.matched
        assert made.adjoint_defect == 1e-2
        check_operator(made)


class NearlyAdjoint(JosephOperator):
    """Wrong by a hundredth of a pixel, to see the laws notice."""

    def _adjoint(self, y: Tensor) -> Tensor:
        assert isinstance(self.geometry, ParallelBeam)
        return JosephOperator(replace(self.geometry, detector_offset_mm=0.307), self.grid)._adjoint(y)


def test_a_broken_adjoint_fails_the_laws() -> None:
    operator = NearlyAdjoint(parallel(), GRID)
    assert adjoint_defect(operator) > 1e-5
    with pytest.raises(AssertionError, match="adjoint defect"):
        check_operator(operator)


@both_beams
def test_norm(beam: str) -> None:
    matrix = joseph_matrix(BEAMS[beam](), GRID, np.float64).toarray()
    true = np.linalg.norm(matrix, 2)
    assert 0.99 * true <= JosephOperator(BEAMS[beam](), GRID).norm() <= true * (1 + 1e-6)
