"""How fast the projectors are, relative to each other: ``pytest tests/benchmarks --benchmark-enable``.

Nothing is asserted about time; the table at the end states the ratios.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest
import torch

from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.operators.astra import AstraCpuOperator
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.choose import choose_operator
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.sparse import joseph_matrix, sparse_operator
from ctrecon.support.threads import split

Clock = Callable[[tuple[str, ...], Callable[[], object]], None]
Case = tuple[ParallelBeam | FanBeam, Grid]


def case(name: str, full: bool) -> Case:
    n, views = {"512": (512, 360), "164": (164, 120), "48": (48, 30)}[name] if full else (24, 8)
    if name == "512":
        geometry = ParallelBeam(angles_rad=tuple(np.arange(views) * math.pi / views), detector_count=n)
        return geometry, Grid(rows=n, columns=n)
    fan = FanBeam(
        angles_rad=tuple(np.arange(views) * 2 * math.pi / views), detector_count=n, detector_spacing_mm=114.8 / n,
        source_to_axis_mm=110.0, source_to_detector_mm=300.0,
    )
    return fan, Grid(rows=n, columns=n, pixel_mm=40.0 / n)


MAKE: dict[str, Callable[..., LinearOperator]] = {
    "astra": AstraCpuOperator,
    "chosen": choose_operator,
    "joseph": JosephOperator,
    "sparse": sparse_operator,
}


@lru_cache(maxsize=1)
def build(kind: str, name: str, full: bool) -> LinearOperator:
    return MAKE[kind](*case(name, full))


@pytest.mark.parametrize("what", ["A", "A^T"])
@pytest.mark.parametrize(
    ("name", "kind", "batch"),
    [
        ("512", "astra", 1), ("512", "chosen", 1), ("512", "chosen", 16), ("512", "sparse", 1),
        ("164", "chosen", 1), ("164", "chosen", 16), ("164", "sparse", 1), ("164", "sparse", 16),
        ("48", "joseph", 1), ("48", "sparse", 1),
    ],
)
def test_product(name: str, kind: str, batch: int, what: str, full: bool, clock: Clock) -> None:
    operator = build(kind, name, full)
    x = torch.rand(batch, *(operator.domain_shape if what == "A" else operator.range_shape))
    apply = operator if what == "A" else operator.adjoint
    clock((name, kind if batch == 1 else f"{kind} {batch}", what), lambda: apply(x))


def test_streaming_the_matrix(full: bool, clock: Clock) -> None:
    """Reading as many bytes as the matrix of 164 x 164 has, on all threads, from an array beyond any cache."""
    matrix = joseph_matrix(*case("164", full))
    size = matrix.data.nbytes + matrix.indices.nbytes
    memory = np.ones(size if not full else max(size, 1 << 29) // 8)
    pieces = max(1, memory.nbytes // size)
    rounds = iter(range(10**6))

    def read() -> None:
        start = next(rounds) % pieces * (size // 8)
        split(size // 8, lambda a, b: memory[start + a : start + b].sum())

    clock(("164", "stream"), read)


@pytest.mark.parametrize("batch", [1, 16])
def test_fbp(batch: int, full: bool, clock: Clock) -> None:
    geometry, grid = case("164", full)
    fbp, sinogram = FilteredBackProjection(geometry, grid), torch.rand(batch, 1, *geometry.shape)
    clock(("164", "fbp" if batch == 1 else f"fbp {batch}"), lambda: fbp(sinogram))


@pytest.mark.parametrize("kind", ["sparse", "joseph"])
def test_build(kind: str, full: bool, clock: Clock) -> None:
    clock(("512", "build", kind), lambda: MAKE[kind](*case("512", full)))
