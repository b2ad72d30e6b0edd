"""Every projector obeys the laws of tests/laws.py, they agree with each other, with ASTRA and with exact integrals."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import scipy.sparse
import torch
from laws import adjoint_defect, check_layer, check_operator, classes_in, random_like
from torch import Tensor

import ctrecon.operators
from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.errors import OperatorError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.geometry.vectors_in_space import VectorsInSpace
from ctrecon.operators.astra import AstraCpuOperator, AstraOperator, cuda_is_usable
from ctrecon.operators.base import Adjoint, LinearOperator, Multiple, Product, Sum
from ctrecon.operators.cache import cached_sparse_operator
from ctrecon.operators.choose import choose_operator
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.lanes import batches
from ctrecon.operators.pooling import AveragePooling
from ctrecon.operators.sparse import SparseOperator, joseph_matrix, matrix_bytes, sparse_operator
from ctrecon.operators.stack import Stack
from ctrecon.operators.volume.joseph import VolumeJosephOperator
from ctrecon.support.arrays import Float64Array

GRID = Grid(rows=13, columns=18, pixel_mm=0.7)


def parallel(views: int = 12, cells: int = 21, *, offset: float = 0.3, spacing: float = 0.8) -> ParallelBeam:
    """Angles over more than half a turn, with exactly 0, 45, 90 and 135 degrees among them for 12 views."""
    return ParallelBeam(
        angles_rad=tuple(np.arange(views) * math.pi * 1.5 / views), detector_count=cells,
        detector_spacing_mm=spacing, detector_offset_mm=offset,
    )


def fan(views: int = 12, cells: int = 21, *, offset: float = 0.3, spacing: float = 1.6) -> FanBeam:
    return FanBeam(
        angles_rad=tuple(np.arange(views) * 2 * math.pi / views), detector_count=cells, detector_spacing_mm=spacing,
        detector_offset_mm=offset, source_to_axis_mm=20.0, source_to_detector_mm=38.0,
    )


def scaled(grid: Grid, n: int) -> Grid:
    """The same square with n x n pixels."""
    return Grid(rows=n, columns=n, pixel_mm=grid.rows * grid.pixel_mm / n)


BEAMS: dict[str, Callable[..., ParallelBeam | FanBeam]] = {"parallel": parallel, "fan": fan}
both_beams = pytest.mark.parametrize("beam", ["parallel", "fan"])


def relative(a: Tensor, b: Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm())


# Laws


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


@both_beams
def test_laws_in_float32(beam: str) -> None:
    geometry = BEAMS[beam]()
    for operator in (JosephOperator(geometry, GRID), sparse_operator(geometry, GRID)):
        check_operator(operator, dtype=torch.float32)


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
        (C @ (A - B), as_matrix(C) @ (dense[0] - dense[1])),
        (Stack(A, B, axis=1), torch.cat(dense)), ((A + B).T, (dense[0] + dense[1]).T),
    ):
        torch.testing.assert_close(as_matrix(made), expected, rtol=1e-9, atol=1e-9)
        assert made.shape == tuple(expected.shape)
        assert 0.9 * float(torch.linalg.matrix_norm(expected, 2)) <= made.norm()
    assert (-3.0 * A).norm() == 3 * A.norm()
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


# Agreement


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


# Against ASTRA


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


# Against exact integrals

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


# Refusals


def test_what_operators_refuse() -> None:
    geometry = parallel()
    joseph, matrix = JosephOperator(geometry, GRID), sparse_operator(geometry, GRID)
    astra = AstraCpuOperator(geometry, GRID)
    x = torch.zeros(1, 1, *GRID.shape)
    with pytest.raises(OperatorError, match=r"JosephOperator takes an image of shape \[batch, 1, 13, 18\], got"):
        joseph(x[0])
    with pytest.raises(OperatorError, match=r"floating point values, got torch\.int64; use x\.float"):
        joseph(x.long())
    with pytest.raises(OperatorError, match=r"holds torch\.float32 on cpu, got torch\.float64"):
        matrix(x.double())
    with pytest.raises(OperatorError, match=r"takes float32 on the CPU, got torch\.float64"):
        astra(x.double())
    with pytest.raises(OperatorError, match="works on the CPU, got a tensor on meta"):
        joseph(x.to("meta"))
    with pytest.raises(OperatorError, match="'nonsense'"):
        AstraCpuOperator(geometry, GRID, projector="nonsense")
    with pytest.raises(OperatorError, match="use AstraOperator"):
        AstraCpuOperator(geometry, GRID, projector="cuda")


def test_users_own_matrices() -> None:
    rng = np.random.default_rng(0)
    dense = rng.standard_normal((6, 4)) * (rng.random((6, 4)) < 0.5)
    for form in (scipy.sparse.csr_matrix, scipy.sparse.csc_matrix, scipy.sparse.coo_matrix):
        operator = SparseOperator(form(dense), (1, 2, 2), (1, 2, 3), dtype=torch.float64)
        x = random_like((3, 1, 2, 2), 0)
        torch.testing.assert_close(operator(x).reshape(3, 6), x.reshape(3, 4) @ torch.from_numpy(dense).T)
        check_operator(operator)
    with pytest.raises(OperatorError, match="a 6 x 4 matrix does not map"):
        SparseOperator(scipy.sparse.csr_matrix(dense), (1, 2, 3), (1, 2, 3))
    dense[0, 0] = np.nan
    with pytest.raises(OperatorError, match="not finite"):
        SparseOperator(scipy.sparse.csr_matrix(dense), (1, 2, 2), (1, 2, 3))
    integers = SparseOperator(scipy.sparse.csr_matrix(np.eye(4, dtype=np.int64)), (1, 2, 2), (1, 2, 2))
    assert torch.equal(integers(torch.ones(1, 1, 2, 2)), torch.ones(1, 1, 2, 2))


@pytest.mark.skipif(cuda_is_usable(), reason="this machine has a GPU")
def test_without_a_gpu_astra_says_so() -> None:
    for make in (lambda: AstraOperator(parallel(), GRID), lambda: choose_operator(parallel(), GRID, name="astra")):
        with pytest.raises(OperatorError, match=r"needs a CUDA GPU.*use joseph or sparse"):
            make()


# The choice


def test_the_operator_is_chosen_by_size() -> None:
    small, large = parallel(60, 21), parallel(60, 700, spacing=0.1)
    grid = Grid(rows=600, columns=600, pixel_mm=0.1)
    assert isinstance(choose_operator(small, GRID), SparseOperator)
    assert isinstance(choose_operator(small, GRID, uses="few"), JosephOperator)
    assert isinstance(choose_operator(small, GRID, memory_budget_bytes=1000), JosephOperator)
    assert isinstance(choose_operator(large, grid), JosephOperator)
    assert isinstance(choose_operator(small, GRID, name="joseph"), JosephOperator)
    assert isinstance(choose_operator(small, GRID, name="sparse", memory_budget_bytes=0), SparseOperator)
    for dtype in (torch.float32, torch.float64):
        x = torch.rand(1, 1, *GRID.shape, dtype=dtype)
        assert choose_operator(small, GRID, dtype=dtype)(x).dtype == dtype
    with pytest.raises(OperatorError, match="no operator 'best'; use sparse, joseph or astra"):
        choose_operator(small, GRID, name="best")  # type: ignore[arg-type]
    with pytest.raises(OperatorError, match="joseph works on the CPU only"):
        choose_operator(small, GRID, name="joseph", device="cuda")
    with pytest.raises(OperatorError, match="astra works in float32 only"):
        choose_operator(small, GRID, name="astra", dtype=torch.float64)


@both_beams
def test_the_size_of_the_matrix_is_known_beforehand(beam: str) -> None:
    geometry, grid = BEAMS[beam](100, 60), Grid(rows=50, columns=40, pixel_mm=0.3)
    matrix = joseph_matrix(geometry, grid)
    pair = [matrix, matrix.T.tocsr()]
    true = sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in pair)
    assert matrix_bytes(geometry, grid) == pytest.approx(true, rel=0.02)


def test_batches_are_cut_without_loss() -> None:
    for count in range(1, 60):
        pieces = list(batches(count))
        assert [i for piece, _ in pieces for i in range(count)[piece]] == list(range(count))
        assert all(0 < len(range(count)[piece]) <= lanes for piece, lanes in pieces)


# The cache


def cached(folder: Path, geometry: Geometry | None = None, dtype: torch.dtype = torch.float32, **limits: int) -> Tensor:
    operator = cached_sparse_operator(
        geometry or parallel(), GRID, dtype=dtype, directory=folder, **{"least_bytes": 0, **limits}
    )
    return operator(torch.ones(1, 1, *GRID.shape, dtype=dtype))


def test_the_cache_gives_back_what_was_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = sparse_operator(parallel(), GRID)(torch.ones(1, 1, *GRID.shape))
    assert torch.equal(cached(tmp_path), expected)
    assert len(list(tmp_path.iterdir())) == 1

    def refuse(*_: object) -> None:
        raise AssertionError("built again")

    with monkeypatch.context() as patch:
        patch.setattr("ctrecon.operators.cache.joseph_matrix", refuse)
        assert torch.equal(cached(tmp_path), expected)
        for other in (parallel(offset=0.31), fan()):
            with pytest.raises(AssertionError, match="built again"):
                cached(tmp_path, other)
        with pytest.raises(AssertionError, match="built again"):
            cached(tmp_path, dtype=torch.float64)
    assert cached(tmp_path, dtype=torch.float64).dtype == torch.float64
    assert len(list(tmp_path.iterdir())) == 2


def test_any_changed_byte_is_noticed(tmp_path: Path) -> None:
    expected = cached(tmp_path)
    (folder,) = tmp_path.iterdir()
    for file in sorted(folder.iterdir()):
        whole = file.read_bytes()
        for damaged in (whole[:-3], b"", whole[:-1] + bytes([whole[-1] ^ 1]), whole[:100] + b"\xff" + whole[101:]):
            file.write_bytes(damaged)
            assert torch.equal(cached(tmp_path), expected)
            assert (tmp_path / folder.name / file.name).read_bytes() == whole
        file.unlink()
        assert torch.equal(cached(tmp_path), expected)
    (folder / "entry.json").write_text(json.dumps([]))
    assert torch.equal(cached(tmp_path), expected)


def test_the_cache_forgets_the_oldest(tmp_path: Path) -> None:
    size = matrix_bytes(parallel(), GRID)
    geometries = [parallel(offset=offset) for offset in (0.1, 0.2, 0.3)]
    names: list[str] = []
    for age, geometry in zip((300, 200, 100), geometries, strict=True):
        cached(tmp_path, geometry, limit_bytes=int(2.5 * size))
        (new,) = {path.name for path in tmp_path.iterdir()} - set(names)
        names.append(new)
        os.utime(tmp_path / new, (1e9 - age, 1e9 - age))
    assert {path.name for path in tmp_path.iterdir()} == set(names[1:])
    (tmp_path / "new-left-by-a-crash").mkdir()
    os.utime(tmp_path / "new-left-by-a-crash", (1e9, 1e9))
    cached(tmp_path, geometries[0], limit_bytes=int(1.5 * size))
    assert {path.name for path in tmp_path.iterdir()} == {names[0]}
    cached(tmp_path, geometries[1], limit_bytes=10)
    assert {path.name for path in tmp_path.iterdir()} == {names[0]}


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    expected = cached(tmp_path / "good")
    assert torch.equal(cached(tmp_path / "file" / "below"), expected)


def test_small_matrices_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTRECON_CACHE", str(tmp_path))
    assert isinstance(choose_operator(parallel(), GRID, name="sparse"), SparseOperator)
    assert list(tmp_path.iterdir()) == []


# The kernels of filtered back projection share the lanes


@both_beams
@pytest.mark.parametrize("batch", [1, 3, 16])
def test_fbp_kernels_agree_with_torch(beam: str, batch: int) -> None:
    fbp = FilteredBackProjection(BEAMS[beam](30, 40), Grid(rows=20, columns=27, pixel_mm=0.5))
    sinogram = torch.rand(batch, 1, 30, 40)
    expected = fbp.on_device(fbp._filter(sinogram))
    assert relative(fbp(sinogram), expected) < 1e-5
    assert relative(fbp(sinogram.roll(1, 3)), expected) > 1e-2
