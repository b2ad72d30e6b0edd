"""The projector in space with its views spread over other processes: the same bytes, wherever they are computed.

Each process holds the whole volume and some views. ``A u`` sends the volume to all, and each gives its views; ``A^T f``
sends each its views, and adds up what comes back in the order of the views.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.volume.joseph import IN_SPACE, VolumeJosephOperator, on_the_cpu
from ctrecon.support.arrays import Array
from ctrecon.support.elsewhere import Elsewhere, blocks


class SpreadVolumeOperator(LinearOperator):
    """``VolumeJosephOperator``, computed elsewhere for as long as there is an elsewhere.

    Args:
        here: The same projector in this process.
        elsewhere: Who computes blocks of views.
    """

    _settled = IN_SPACE

    def __init__(self, here: VolumeJosephOperator, elsewhere: Elsewhere) -> None:
        super().__init__(here.domain_shape, here.range_shape)
        self.here, self._elsewhere = here, elsewhere

    def halved(self) -> VolumeJosephOperator | None:
        """The same scan at half its resolution, computed here.

        Returns:
            The operator; None where an axis is short.
        """
        return self.here.halved()

    def _guess(self) -> Tensor:
        return self.here._guess()

    def extra_repr(self) -> str:
        return self.here.extra_repr()

    def _settle(self, device: torch.device, dtype: torch.dtype) -> None:
        self.here._settle(device, dtype)

    def _forward(self, x: Tensor) -> Tensor:
        if not self._elsewhere.open:
            return self.here._forward(x)
        geometry, grid = self.here.geometry, self.here.grid
        volumes = on_the_cpu(x, self)[:, 0]
        out = np.empty((len(volumes), *geometry.shape), dtype=volumes.dtype)
        pieces = [(geometry, grid, first, end) for first, end in blocks(self._views)]
        for volume, data in zip(volumes, out, strict=True):
            for piece, got in zip(pieces, self._elsewhere.each(project, volume, pieces), strict=True):
                data[piece[2] : piece[3]] = got
        return torch.from_numpy(out[:, None])

    def _adjoint(self, y: Tensor) -> Tensor:
        if not self._elsewhere.open:
            return self.here._adjoint(y)
        datas = on_the_cpu(y, self)[:, 0]
        return added_up(self._elsewhere, back_project, self.here.geometry, self.here.grid, datas)

    @property
    def _views(self) -> int:
        return self.here.geometry.shape[0]


def added_up(
    elsewhere: Elsewhere, work: Callable[..., Array], geometry: Geometry, grid: Grid, datas: Array
) -> Tensor:
    """What blocks of views give elsewhere, added in their order.

    Args:
        elsewhere: Who computes.
        work: ``work(None, geometry, grid, data, first)`` of a block ``[views, rows, columns]`` and its first view.
        geometry: Of all views.
        grid: Of the volumes.
        datas: ``[batch, views, rows, columns]``.

    Returns:
        ``[batch, 1, slices, rows, columns]``, in the dtype of ``datas``.
    """
    out = np.zeros((len(datas), 1, *grid.shape), dtype=datas.dtype)
    for data, volume in zip(datas, out[:, 0], strict=True):
        pieces = [(geometry, grid, data[first:end], first) for first, end in blocks(len(data))]
        for got in elsewhere.each(work, None, pieces):
            volume += got
    return torch.from_numpy(out)


def project(volume: Array, geometry: Geometry, grid: Grid, first: int, end: int) -> Array:
    """Some views, in whatever process.

    Args:
        volume: ``[slices, rows, columns]``.
        geometry: Of all views.
        grid: Of the volume.
        first: The first view.
        end: One past the last.

    Returns:
        ``[end - first, rows, columns]``.
    """
    return _projector(geometry, grid).project(volume, first, end)


def back_project(nothing: None, geometry: Geometry, grid: Grid, data: Array, first: int) -> Array:
    """What a block of views adds to the adjoint, in whatever process.

    Args:
        nothing: Shared by all blocks.
        geometry: Of all views.
        grid: Of the volume.
        data: ``[views, rows, columns]`` of the block.
        first: Its first view.

    Returns:
        ``[slices, rows, columns]``.
    """
    return _projector(geometry, grid).back_project(data, first)


@lru_cache(maxsize=2)
def _projector(geometry: Geometry, grid: Grid) -> VolumeJosephOperator:
    return VolumeJosephOperator(geometry, grid)
