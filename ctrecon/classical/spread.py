"""Filtered back projection in space with its views spread over other processes."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from ctrecon.classical.fdk import FeldkampBackProjection
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.operators.volume.spread import added_up
from ctrecon.support.arrays import Array
from ctrecon.support.elsewhere import Elsewhere


class SpreadBackProjection:
    """``FeldkampBackProjection`` with the ramp's own filter, computed elsewhere for as long as there is an elsewhere.

    Args:
        here: The same in this process.
        elsewhere: Who computes blocks of views.
    """

    def __init__(self, here: FeldkampBackProjection, elsewhere: Elsewhere) -> None:
        self._here, self._elsewhere = here, elsewhere

    def __call__(self, data: Tensor) -> Tensor:
        """From data ``[batch, 1, views, rows, columns]`` to volumes ``[batch, 1, slices, rows, columns]``."""
        if not self._elsewhere.open:
            return self._here(data)
        datas = data.detach().to("cpu", torch.float32)[:, 0].numpy()
        return added_up(self._elsewhere, share, self._here.geometry, self._here.grid, datas).to(data)


def share(nothing: None, geometry: Geometry, grid: Grid, data: Array, first: int) -> Array:
    """What a block of views adds, in whatever process.

    Args:
        nothing: Shared by all blocks.
        geometry: Of all views.
        grid: Of the volume.
        data: ``[views, rows, columns]`` of the block.
        first: Its first view.

    Returns:
        ``[slices, rows, columns]``.
    """
    return _inverse(geometry, grid).share(data, first)


@lru_cache(maxsize=2)
def _inverse(geometry: Geometry, grid: Grid) -> FeldkampBackProjection:
    return FeldkampBackProjection(geometry, grid)
