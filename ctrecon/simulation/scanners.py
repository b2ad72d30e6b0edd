"""The scans a network is trained on: one operator per geometry, shared by all samples drawn for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ctrecon.classical.inversion import Inversion, inversion
from ctrecon.classical.tv_solver import HuberTVSolver
from ctrecon.geometry.arc_fan import ArcFanBeam
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.choose import choose_operator, in_space
from ctrecon.operators.sparse import matrix_fits, sparse_operator

_MOST_MATRIX_BYTES = 2 << 30


@dataclass(frozen=True)
class Scanner:
    """A geometry, in the plane or in space, with its operator and its approximate inverse.

    ``share`` is how often training draws it.
    """

    geometry: Geometry
    grid: Grid
    share: float = 1.0
    device: str = "cpu"

    @cached_property
    def operator(self) -> LinearOperator:
        # A matrix where it fits; it is not kept on disk, for no scanner drawn comes back.
        if in_space(self.geometry) or not matrix_fits(self.geometry, self.grid, _MOST_MATRIX_BYTES):
            return choose_operator(self.geometry, self.grid, device=self.device)
        return sparse_operator(self.geometry, self.grid).to(self.device)

    @cached_property
    def precondition(self) -> Inversion:
        return inversion(self.geometry, self.grid)

    @cached_property
    def tv_solver(self) -> HuberTVSolver:
        return HuberTVSolver(self.operator, torch.empty(0, device=self.device))


def walnut_scanner(size: int = 164, views: int = 120, share: float = 1.0) -> Scanner:
    """The paper's scanner (its reference [21]): a fan beam, source to axis 110 mm, to detector 300 mm.

    Args:
        size: Detector cells, and pixels of the image a side; in the paper 164 of 0.7 mm.
        views: Over a whole turn; in the paper 120.
        share: Of the sets it is drawn from, as ``Scanner`` has it.

    Returns:
        Geometry and grid with their operator.
    """
    geometry = FanBeam(
        angles_rad=tuple(np.arange(views) * (2 * math.pi / views)),
        detector_count=size,
        detector_spacing_mm=114.8 / size,
        source_to_axis_mm=110.0,
        source_to_detector_mm=300.0,
    )
    pixel_mm = 114.8 * 110.0 / 300.0 / size
    return Scanner(geometry, Grid(rows=size, columns=size, pixel_mm=pixel_mm), share)


SIZES = (96, 128, 164, 192, 256)
_SIZE_SHARES = (0.1, 0.2, 0.35, 0.2, 0.15)
_MOST_RAYS_PIXELS = 1.2e7


def random_scanner(rng: np.random.Generator, device: str = "cpu") -> Scanner:
    """A scanner as one might meet it: parallel (35%), a fan on a flat detector (40%) or on an arc (25%).

    Square images of 96 to 256 pixels (``SIZES``); 60 to 360 views, log-uniform, in a fifth of the draws 30 to 720, and
    no more than keeps ``views * pixels`` below 12 million; a full turn of the fans, or, in 15%, a short scan of half a
    turn and the fan; half a turn of parallel beams, in 20% a whole one. The detector has as many cells as the image
    is wide up to 1.45 times as many, in 25% it stands off the middle by up to a tenth of its width, else by up to one
    cell.

    Args:
        rng: Draws it.
        device: Of the operator.

    Returns:
        Geometry and grid with their operator; lengths are in pixels of the image.
    """
    size = int(rng.choice(SIZES, p=_SIZE_SHARES))
    low, high = (60, 360) if rng.uniform() < 0.8 else (30, 720)
    views = int(min(math.exp(rng.uniform(math.log(low), math.log(high))), _MOST_RAYS_PIXELS / size**2))
    kind = rng.uniform()
    cells, spacing, offset = int(size * rng.uniform(1.0, 1.45)), rng.uniform(0.95, 1.05), rng.uniform(-1, 1)
    if rng.uniform() < 0.25:
        offset = rng.uniform(-0.1, 0.1) * cells
    grid, start = Grid(rows=size, columns=size), rng.uniform(0, 2 * math.pi)
    if kind < 0.35:
        turn = 2 * math.pi if rng.uniform() < 0.2 else math.pi
        parallel = ParallelBeam(
            angles_rad=_turn(start, turn, views), detector_count=cells, detector_spacing_mm=spacing,
            detector_offset_mm=offset,
        )  # fmt: skip
        return Scanner(parallel, grid, device=device)
    # At the axis a cell is about as wide as a pixel.
    magnification, distance = rng.uniform(1.3, 2.5), size * rng.uniform(2.2, 5)
    turn = 2 * math.pi
    if rng.uniform() < 0.15:
        fan = 2 * math.atan2(cells * spacing / 2, distance)
        turn = math.pi + fan * rng.uniform(1.0, 1.3)
    beam = FanBeam if kind < 0.75 else ArcFanBeam
    fan_beam = beam(
        angles_rad=_turn(start, turn, views), detector_count=cells, detector_spacing_mm=magnification * spacing,
        detector_offset_mm=magnification * offset, source_to_axis_mm=distance,
        source_to_detector_mm=distance * magnification,
    )  # fmt: skip
    return Scanner(fan_beam, grid, device=device)


def _turn(start: float, angle: float, views: int) -> tuple[float, ...]:
    return tuple(start + np.arange(views) * (angle / views))
