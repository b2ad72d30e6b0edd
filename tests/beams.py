"""The grid and the beams of the tests of projectors."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from torch import Tensor

from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam

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
