"""Objects and scanners on which nothing was designed: what estimates were tuned on is no test of them.

Three families (a foam of discs, a tree of bars, a smooth cloud in a sharp shell) and six scanners: a short scan, a
detector that sees half of the object, golden angles, an axis out of the middle, a limited angle, an arc.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ctrecon.geometry.arc_fan import ArcFanBeam
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.phantoms import Ellipse, Family, Gaussian, Phantom, Polygon, Primitive
from ctrecon.studies.paper.image_coverage import Object, placed

SIZES, VIEWS = (64, 96, 128), (15, 30, 60, 120)

_AXIS_MM, _DETECTOR_MM, _CELL_MM = 220.0, 400.0, 0.9
_GOLDEN_RAD = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class Foam:
    """A disc with holes of all sizes, some of which hold a liquid."""

    name: str = "foam"

    def sample(self, rng: np.random.Generator) -> Phantom:
        parts: list[Primitive] = [Ellipse(center=(0.0, 0.0), semi_axes=(0.95, 0.95), value=1.0)]
        holes: list[tuple[float, float, float]] = []
        for _ in range(2000):
            radius = 0.25 * float(rng.random()) ** 3 + 0.015
            x, y = rng.uniform(-0.95, 0.95, 2).tolist()
            free = all(math.hypot(x - a, y - b) > radius + r + 0.01 for a, b, r in holes)
            if free and math.hypot(x, y) + radius < 0.92:
                holes.append((x, y, radius))
                filled = float(rng.uniform(0.2, 0.7)) if rng.random() < 0.15 else 0.0
                parts.append(Ellipse(center=(x, y), semi_axes=(radius, radius), value=filled - 0.999))
            if len(holes) == 90:
                break
        return Phantom(tuple(parts))


@dataclass(frozen=True)
class Bars:
    """Bars that branch off each other, thinner and thinner, in a thin bath; where they cross they add."""

    name: str = "bars"

    def sample(self, rng: np.random.Generator) -> Phantom:
        parts: list[Primitive] = [Ellipse(center=(0.0, 0.0), semi_axes=(0.97, 0.9), value=0.15)]

        def grow(x: float, y: float, angle: float, length: float, depth: int) -> None:
            end = (x + length * math.cos(angle), y + length * math.sin(angle))
            if math.hypot(*end) > 0.88:
                return
            half = 0.07 * length
            dx, dy = -half * math.sin(angle), half * math.cos(angle)
            corners = ((x + dx, y + dy), (x - dx, y - dy), (end[0] - dx, end[1] - dy), (end[0] + dx, end[1] + dy))
            parts.append(Polygon(vertices=corners, value=float(rng.uniform(0.5, 1.5))))
            for _ in range(3 if depth else 0):
                turn = float(rng.uniform(0.3, 1.2)) * (1 if rng.random() < 0.5 else -1)
                grow(*end, angle + turn, length * float(rng.uniform(0.55, 0.8)), depth - 1)

        for k in range(3):
            grow(0.0, 0.0, float(rng.uniform(0, 0.8)) + 2.1 * k, float(rng.uniform(0.3, 0.45)), 3)
        return Phantom(tuple(parts))


@dataclass(frozen=True)
class Cloud:
    """Smooth bumps in a sharp shell: hardly an edge."""

    name: str = "cloud"

    def sample(self, rng: np.random.Generator) -> Phantom:
        parts: list[Primitive] = [Ellipse(center=(0.0, 0.0), semi_axes=(0.95, 0.8), value=0.6, angle_rad=0.3)]
        for _ in range(25):
            x, y = rng.uniform(-0.45, 0.45, 2).tolist()
            wide, narrow = rng.uniform(0.03, 0.12, 2).tolist()
            turned = float(rng.uniform(0, math.pi))
            bump = float(rng.uniform(0.05, 0.6))
            parts.append(Gaussian(center=(x, y), widths=(wide, narrow), value=bump, angle_rad=turned))
        return Phantom(tuple(parts))


STRANGERS: tuple[Family, ...] = (Foam(), Bars(), Cloud())

Scanner = Callable[[int, int], tuple[Geometry, Grid]]


def _fan(size: int, angles: Sequence[float], *, shift_cells: float = 0.0, cells: int | None = None) -> FanBeam:
    return FanBeam(
        angles_rad=tuple(angles), detector_count=cells or size, detector_spacing_mm=_CELL_MM * 128 / size,
        detector_offset_mm=shift_cells * _CELL_MM * 128 / size, source_to_axis_mm=_AXIS_MM,
        source_to_detector_mm=_DETECTOR_MM,
    )  # fmt: skip


def _grid(size: int) -> Grid:
    return Grid(rows=size, columns=size, pixel_mm=_CELL_MM * 128 / size * _AXIS_MM / _DETECTOR_MM * 0.97)


def _short(size: int, views: int) -> tuple[Geometry, Grid]:
    fan = 2 * math.atan(_CELL_MM * 64 / _DETECTOR_MM)
    return _fan(size, np.linspace(0.4, 0.4 + math.pi + fan, views).tolist()), _grid(size)


def _half(size: int, views: int) -> tuple[Geometry, Grid]:
    angles = (np.arange(views) * 2 * math.pi / views).tolist()
    return _fan(size, angles, shift_cells=0.23 * size, cells=round(0.62 * size)), _grid(size)


def _golden(size: int, views: int) -> tuple[Geometry, Grid]:
    return _fan(size, (np.arange(views) * _GOLDEN_RAD).tolist()), _grid(size)


def _parallel(size: int, angles: Sequence[float], shift_cells: float) -> tuple[Geometry, Grid]:
    grid = _grid(size)
    spacing = 0.9 * grid.square_mm
    geometry = ParallelBeam(
        angles_rad=tuple(angles), detector_count=round(1.3 * size), detector_spacing_mm=spacing,
        detector_offset_mm=shift_cells * spacing,
    )  # fmt: skip
    return geometry, grid


def _shifted(size: int, views: int) -> tuple[Geometry, Grid]:
    return _parallel(size, (np.arange(views) * math.pi / views).tolist(), 5.37)


def _limited(size: int, views: int) -> tuple[Geometry, Grid]:
    return _parallel(size, np.linspace(0.2, 0.2 + 2 * math.pi / 3, views).tolist(), 0.0)


def _arc(size: int, views: int) -> tuple[Geometry, Grid]:
    geometry = ArcFanBeam(
        angles_rad=tuple((np.arange(views) * 2 * math.pi / views).tolist()), detector_count=round(1.15 * size),
        detector_spacing_mm=_CELL_MM * 128 / size, detector_offset_mm=0.25 * _CELL_MM * 128 / size,
        source_to_axis_mm=_AXIS_MM, source_to_detector_mm=_DETECTOR_MM,
    )  # fmt: skip
    return geometry, _grid(size)


SCANNERS: tuple[tuple[str, Scanner], ...] = (
    ("a short scan", _short), ("half of the object seen", _half), ("golden angles", _golden),
    ("parallel, axis off by 5.37 cells", _shifted), ("parallel, 120 degrees", _limited), ("an arc", _arc),
)  # fmt: skip


def strangers(
    count: int, *, sizes: Sequence[int] = SIZES, views: Sequence[int] = VIEWS, seed: int = 0, thickest: float = 3.0
) -> Iterator[Object]:
    """``count`` objects: families, scanners, sizes and views in turn, every family with every scanner in 18.

    Args:
        count: How many.
        sizes: Pixels a side, the cells in proportion.
        views: Numbers of views.
        seed: Of the objects.
        thickest: The largest line integral.

    Yields:
        Each with its clean scan.
    """
    for k in range(count):
        family = STRANGERS[k % len(STRANGERS)]
        name, scanner = SCANNERS[(k + k // len(SCANNERS)) % len(SCANNERS)]
        size, number = sizes[(k // 3 + k // 7) % len(sizes)], views[(k // 2 + k // 9) % len(views)]
        geometry, grid = scanner(size, number)
        radius_mm = 0.95 * grid.reach_mm()
        phantom = family.sample(np.random.default_rng(seed + k)).scaled(radius_mm, 0.02)
        yield placed(phantom, geometry, grid, thickest, family=family.name, scanner=name)
