"""The whole image at a glance: discs side by side, and for each whether its contrast is decided by the data."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ctrecon.auditing.audit import Audit
from ctrecon.auditing.primal_dual import smallest
from ctrecon.auditing.regions import Region, Ring, disc
from ctrecon.certificates.interval import Dual, prove_end
from ctrecon.errors import SettingError

TOGETHER = 16
"""Functionals at a time: beyond, products with the operator cost no less each."""

# An undecided tile is left where images of both signs were found, or where the bound has come this close to what was
# found, as a share of the reconstruction's own contrast.
CLOSE = 0.1


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One disc. ``sign`` is that of ``contrast``, the reconstruction's own.

    ``bound``: every image of the set has ``sign * contrast >= bound``, proved. Above 0 the contrast is in the data.
    """

    region: Region
    column: float
    row: float
    contrast: float
    sign: int
    bound: float

    @property
    def decided(self) -> bool:
        return self.bound > 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Map:
    """All tiles; ``values [rows, columns]`` is each pixel's tile's bound, signed as its contrast, NaN outside."""

    radius: float
    tiles: tuple[Tile, ...]
    shape: tuple[int, int]
    seconds: float

    @property
    def values(self) -> npt.NDArray[np.float64]:
        found = np.full(self.shape, np.nan)
        for tile in self.tiles:
            found[tile.region.inside] = tile.sign * max(tile.bound, 0.0)
        return found


def default_radius(shape: tuple[int, int]) -> float:
    """A sixteenth of the image's shorter side, in pixels, at least 2."""
    return max(2.0, min(shape) / 16)


def tile_up(shape: tuple[int, int], radius: float, ring: Ring) -> list[tuple[float, float, Region]]:
    """Discs in rows, each row shifted by half a step, whose surroundings lie in the image: column, row, region.

    Raises SettingError where not one disc fits.
    """
    if not (math.isfinite(radius) and radius >= 1):
        raise SettingError(f"the radius of the tiles must be a finite number >= 1 pixel, got {radius}")
    edge = radius + ring.reach(radius)
    found = []
    rows = _places(shape[0], edge, radius * math.sqrt(3))
    for k, row in enumerate(rows):
        columns = _places(shape[1], edge + (k % 2) * radius, 2 * radius)
        found += [(column, row, disc(column, row, radius, shape, ring)) for column in columns]
    if not found:
        raise SettingError(f"no disc of radius {radius:g} pixels and its surroundings fit the image; use a smaller one")
    return found


def _places(side: int, edge: float, step: float) -> list[float]:
    """Places ``step`` apart around the middle, none nearer than ``edge`` to an end."""
    middle, room = (side - 1) / 2, (side - 1) / 2 - edge + 0.5
    if room < 0:
        return []
    count = int(2 * room / step) + 1
    return [middle + (k - (count - 1) / 2) * step for k in range(count)]


def scan(
    audit: Audit,
    *,
    radius: float | None = None,
    ring: Ring | None = None,
    most_iterations: int = 1500,
    watch: Callable[[int, int], None] | None = None,
) -> Map:
    """Bound the contrast of discs all over the image towards zero, many at once.

    A tile is left as soon as it is decided, or as images without its contrast were found.

    Args:
        audit: Is asked.
        radius: Of the discs, in pixels; None for a sixteenth of the image's shorter side.
        ring: The surroundings that each is compared with; None for the usual ones.
        most_iterations: Of the solver, for each tile.
        watch: Hears of the tiles that are done, and of their number.

    Returns:
        The tiles, each with its sign and bound.

    Raises:
        SettingError: For an impossible radius, or where not one disc fits.
    """
    began, shape = time.monotonic(), (int(audit.evidence.image.shape[0]), int(audit.evidence.image.shape[1]))
    ring = Ring() if ring is None else ring
    radius = default_radius(shape) if radius is None else radius
    places = tile_up(shape, radius, ring)
    tiles: list[Tile] = []
    for first in range(0, len(places), TOGETHER):
        some = places[first : first + TOGETHER]
        tiles += _bound(audit, some, most_iterations)
        if watch is not None:
            watch(len(tiles), len(places))
    return Map(radius=radius, tiles=tuple(tiles), shape=shape, seconds=time.monotonic() - began)


def _bound(audit: Audit, places: list[tuple[float, float, Region]], most_iterations: int) -> list[Tile]:
    contrasts = [audit.contrast(region) for _, _, region in places]
    signs = [1 if contrast >= 0 else -1 for contrast in contrasts]
    functionals = [sign * region.functional for sign, (_, _, region) in zip(signs, places, strict=True)]
    c = torch.from_numpy(np.stack(functionals))[:, None].to(audit.images.data)
    size = torch.tensor(contrasts, dtype=torch.float64).abs()

    def finished(bound: Tensor, found: Tensor) -> Tensor:
        # A bound above 0 by as much as float32 could be wrong: the number that counts is computed in float64.
        return (bound > 1e-3 * size) | (found <= 0) | (found - bound <= CLOSE * size)

    ends = smallest(
        audit.images, c, finished=finished, inside=audit.inside, start=audit.start, most_iterations=most_iterations
    )
    a, delta = audit.assumptions, audit.evidence.delta
    tiles = []
    for i, (column, row, region) in enumerate(places):
        dual = Dual(y=ends.y[i, 0].double().numpy(), p=ends.p[i].double().numpy())
        bound = prove_end(audit.stated, delta, a.kappa, functionals[i], dual)
        tiles.append(
            Tile(region=region, column=column, row=row, contrast=contrasts[i], sign=signs[i], bound=bound)
        )
    return tiles
