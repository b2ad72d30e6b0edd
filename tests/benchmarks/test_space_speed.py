"""A, A^T and FDK of a circular cone beside RTK's, by ratios: ``pytest tests/benchmarks --benchmark-enable``.

RTK is optional: ``pip install -c constraints.txt itk-rtk``. ``CTRECON_BENCHMARK_CONE=256,360`` sets voxels a side and
views (128,120). Of each, the best of a few runs, by the clock and in processor time, on as many threads as
``OMP_NUM_THREADS`` says.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rtk_beside import Found, rtk_beside

from ctrecon.classical.fdk import FeldkampBackProjection
from ctrecon.geometry.cone import ConeBeam
from ctrecon.geometry.grid import Grid
from ctrecon.operators.choose import choose_operator
from ctrecon.phantoms.solids import Body, Ellipsoid
from ctrecon.support.arrays import Array
from ctrecon.support.threads import threads

SIZE = "CTRECON_BENCHMARK_CONE"
ROUNDS = 3
WHAT = ("A", "A^T", "FDK")
# Of the length of RTK's values; not at the grid's sides, where the two end volume and detector differently.
ALIKE = 0.01
BODY = Body((
    Ellipsoid(center=(4.0, -2.0, 1.0), semi_axes=(60.0, 48.0, 50.0), value=0.02, angle_rad=0.3),
    Ellipsoid(center=(24.0, -12.0, 6.0), semi_axes=(15.0, 12.0, 20.0), value=0.01),
    Ellipsoid(center=(-20.0, 18.0, -10.0), semi_axes=(12.0, 16.0, 18.0), value=-0.01),
))  # fmt: skip


def case(full: bool) -> tuple[ConeBeam, Grid]:
    """A cube of 160 mm and a detector of as many cells a side, which sees the whole body."""
    n, views = map(int, os.environ.get(SIZE, "128,120").split(",")) if full else (24, 40)
    geometry = ConeBeam(
        angles_rad=tuple(0.2 + np.arange(views) * 2 * math.pi / views), detector_count=n, detector_rows=n,
        detector_spacing_mm=300.0 / n, detector_row_spacing_mm=300.0 / n, source_to_axis_mm=500.0,
        source_to_detector_mm=750.0,
    )  # fmt: skip
    return geometry, Grid(rows=n, columns=n, slices=n, pixel_mm=160.0 / n, slice_mm=160.0 / n)


def ours(geometry: ConeBeam, grid: Grid, volume: Array, data: Array, rounds: int) -> dict[str, Found]:
    """The three maps by this package; what is made once for a geometry is not counted."""
    operator, feldkamp = choose_operator(geometry, grid), FeldkampBackProjection(geometry, grid)
    u, f = (torch.from_numpy(values)[None, None] for values in (volume, data))
    maps = {"A": lambda: operator(u), "A^T": lambda: operator.adjoint(f), "FDK": lambda: feldkamp(f)}
    return {what: best(apply, rounds) for what, apply in maps.items()}


def best(apply: Callable[[], torch.Tensor], rounds: int) -> Found:
    found, seconds, processor = apply(), [], []  # this first time is to compile
    for _ in range(rounds):
        wall, busy = time.perf_counter(), time.process_time()
        found = apply()
        seconds.append(time.perf_counter() - wall)
        processor.append(time.process_time() - busy)
    return Found(found[0, 0].numpy(), min(seconds), min(processor))


def apart(one: Array, other: Array) -> float:
    """The length of the difference of two arrays over that of the second, an eighth from the sides away."""
    inside = tuple(slice(side // 8, side - side // 8) for side in other.shape)
    return float(np.linalg.norm((one - other)[inside]) / np.linalg.norm(other[inside]))


@pytest.mark.timeout(7200)
def test_cone_beside_rtk(
    full: bool, benchmark: Any, record: Callable[[tuple[str, ...], float], None], tmp_path: Path
) -> None:
    geometry, grid = case(full)
    volume, data = BODY.image(grid).astype(np.float32), BODY.sinogram(geometry, 1).astype(np.float32)
    rounds = ROUNDS if full else 1
    theirs = rtk_beside(geometry, grid, volume, data, tmp_path, rounds=rounds, threads=threads())
    found = benchmark.pedantic(lambda: ours(geometry, grid, volume, data, rounds), rounds=1)
    for what in WHAT:
        near = apart(found[what].values, theirs[what].values)
        print(f"{what}: ctrecon's and RTK's differ by {near:.1e} of their length")
        # Upside down they do not agree.
        assert near < ALIKE < apart(found[what].values[:, ::-1], theirs[what].values)
        for name, times in (("rtk", theirs[what]), ("ctrecon", found[what])):
            if full:
                record(("cone", name, what, "by the clock"), times.seconds)
                record(("cone", name, what, "processor time"), times.processor)
