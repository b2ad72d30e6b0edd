"""The scans a network is trained on: one operator per geometry, shared by all samples drawn for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.classical.tv_solver import HuberTVSolver
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.sparse import sparse_operator


@dataclass(frozen=True)
class Scanner:
    """A geometry with its operator and its approximate inverse. ``share`` is how often training draws it."""

    geometry: ParallelBeam | FanBeam
    grid: Grid
    share: float = 1.0
    device: str = "cpu"

    @cached_property
    def operator(self) -> LinearOperator:
        return sparse_operator(self.geometry, self.grid).to(self.device)

    @cached_property
    def precondition(self) -> FilteredBackProjection:
        return FilteredBackProjection(self.geometry, self.grid)

    @cached_property
    def tv_solver(self) -> HuberTVSolver:
        return HuberTVSolver(self.operator, torch.empty(0, device=self.device))


def walnut_scanner(size: int = 164, views: int = 120, share: float = 1.0) -> Scanner:
    """The paper's scanner (its reference [21]): fan beam, 120 views, 164 cells of 0.7 mm, 164 x 164 pixels."""
    geometry = FanBeam(
        angles_rad=tuple(np.arange(views) * (2 * math.pi / views)),
        detector_count=size,
        detector_spacing_mm=114.8 / size,
        source_to_axis_mm=110.0,
        source_to_detector_mm=300.0,
    )
    pixel_mm = 114.8 * 110.0 / 300.0 / size
    return Scanner(geometry, Grid(rows=size, columns=size, pixel_mm=pixel_mm), share)


def training_scanners(seed: int = 0) -> tuple[Scanner, ...]:
    """The paper's scanner a third of the time, and ten others: parallel and fan, 60 to 360 views, wide detectors."""
    rng = np.random.default_rng(seed)
    problems = [walnut_scanner(share=5.0)]
    for views in (60, 90, 120, 180, 360):
        size = int(rng.choice([128, 144, 160, 164, 176]))
        cells = int(size * rng.uniform(1.0, 1.45))
        angles = tuple(rng.uniform(0, math.pi) + np.arange(views) * (math.pi / views))
        spacing = rng.uniform(0.95, 1.05)
        parallel = ParallelBeam(
            angles_rad=angles,
            detector_count=cells,
            detector_spacing_mm=spacing,
            detector_offset_mm=rng.uniform(-1, 1),
        )
        problems.append(Scanner(parallel, Grid(rows=size, columns=size)))
        size = int(rng.choice([128, 144, 160, 164, 176]))
        distance, magnification = size * rng.uniform(2.2, 5), rng.uniform(1.3, 2.5)
        cells = int(size * rng.uniform(1.05, 1.45))
        fan = FanBeam(
            angles_rad=tuple(rng.uniform(0, 2 * math.pi) + np.arange(views) * (2 * math.pi / views)),
            detector_count=cells,
            detector_spacing_mm=magnification * rng.uniform(0.95, 1.05),
            detector_offset_mm=rng.uniform(-1, 1),
            source_to_axis_mm=distance,
            source_to_detector_mm=distance * magnification,
        )
        problems.append(Scanner(fan, Grid(rows=size, columns=size)))
    return tuple(problems)
