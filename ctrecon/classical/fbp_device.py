"""Back projection by torch on any device: one sparse matrix where it fits, chunks of views where it does not.

A pixel of a view lies between two cells, so the sum over views is a matrix with ``2 * views`` entries in each row.
On a GPU one product with it takes about as long as one back projection by the operator's own transpose; view by view,
the same sum was measured 25 to 100 times slower, because each view is too little work.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from ctrecon.geometry.grid import Grid
from ctrecon.operators.sparse import csr_parts, csr_tensor, product

MOST_MATRIX_BYTES = 1 << 30
_CHUNK_NUMBERS = 1 << 24
# What arises on the way to the matrix stays in a processor's caches.
_CACHED_NUMBERS = 1 << 18


def matrix_bytes(views: int, grid: Grid) -> int:
    """What the matrix of a back projection takes."""
    return 16 * views * grid.rows * grid.columns


class Places(Protocol):
    """Where pixels stand in a view."""

    grid: Grid

    def places(self, views: slice, device: torch.device) -> tuple[Tensor, Tensor]:
        """Cell and weight of each pixel in some views, ``[views, rows, columns]``, float32.

        Cells count from the zero cell that stands before each view.
        """
        ...


class DeviceBackProjection:
    """``[batch, 1, views, cells] -> [batch, 1, rows, columns]``: ``sum_v w_v(pixel) q_v(t_v(pixel))``, float32.

    ``q`` has one zero cell before and two after each view and is interpolated linearly.
    """

    def __init__(self, back: Places, views: int, cells: int, device: torch.device) -> None:
        self._back, self._views, self._cells, self._device = back, views, cells, device
        pixels = back.grid.rows * back.grid.columns
        self._step = max(1, _CHUNK_NUMBERS // pixels)
        self._fits = matrix_bytes(views, back.grid) <= MOST_MATRIX_BYTES
        self._matrix: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Torch neither copies nor pickles its compressed rows, so they go as the arrays they consist of.
        return {**self.__dict__, "_matrix": None if self._matrix is None else csr_parts(self._matrix)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        parts = state["_matrix"]
        self.__dict__.update({**state, "_matrix": None if parts is None else csr_tensor(*parts)})

    def __call__(self, filtered: Tensor) -> Tensor:
        shape = (1, *self._back.grid.shape)
        if self._fits:
            if self._matrix is None:
                self._matrix = self._stored(self._back.grid.rows * self._back.grid.columns)
            return product(self._matrix, filtered, shape)
        out = filtered.new_zeros((filtered.shape[0], *shape))
        # Fewer views at once the more images there are, so that what is gathered stays of one size.
        step = max(1, self._step // filtered.shape[0])
        for first in range(0, self._views, step):
            views = slice(first, min(first + step, self._views))
            k, low, high = self._between(views)
            rows = torch.arange(k.shape[0], device=self._device).view(-1, 1, 1)
            some = filtered[:, 0, views]
            out[:, 0] += (low * some[:, rows, k] + high * some[:, rows, k + 1]).sum(1)
        return out

    def transposed(self, images: Tensor) -> Tensor:
        """The transpose of the sum over views.

        Args:
            images: ``[batch, 1, rows, columns]``, float32, on the device.

        Returns:
            ``[batch, 1, views, cells]``, with the cells beside each view that the sum takes for zero.
        """
        out = images.new_zeros((images.shape[0], 1, self._views, self._cells))
        step = self._in_cache() if self._device.type == "cpu" else self._step
        for first in range(0, self._views, step):
            views = slice(first, min(first + step, self._views))
            k, low, high = (part.flatten(1) for part in self._between(views))
            for image, view in zip(images.flatten(1), out[:, 0, views], strict=True):
                view.scatter_add_(1, k, low * image).scatter_add_(1, k + 1, high * image)
        return out

    def _in_cache(self) -> int:
        return max(1, _CACHED_NUMBERS // (self._back.grid.rows * self._back.grid.columns))

    def _between(self, views: slice) -> tuple[Tensor, Tensor, Tensor]:
        """The cell before each pixel, and the weights of it and the next one."""
        t, weight = self._back.places(views, self._device)
        t = t.clamp(0, self._cells - 2)
        k = t.long().clamp_max(self._cells - 2)
        high = weight * (t - k)
        return k, weight - high, high

    def _stored(self, pixels: int) -> Tensor:
        indices = torch.empty((pixels, self._views, 2), dtype=torch.int32, device=self._device)
        values = torch.empty((pixels, self._views, 2), dtype=torch.float32, device=self._device)
        step = self._in_cache() if self._device.type == "cpu" else self._step
        for first in range(0, self._views, step):
            views = slice(first, min(first + step, self._views))
            k, low, high = (part.flatten(1) for part in self._between(views))
            begin = self._cells * torch.arange(views.start, views.stop, dtype=torch.int32, device=self._device)
            at = k.int() + begin[:, None]
            # Stacked first: turned in one go, each pixel's entries are written side by side.
            indices[:, views] = torch.stack([at, at + 1], dim=1).permute(2, 0, 1)
            values[:, views] = torch.stack([low, high], dim=1).permute(2, 0, 1)
        begins = torch.arange(pixels + 1, dtype=torch.int32, device=self._device) * (2 * self._views)
        return csr_tensor(begins, indices.view(-1), values.view(-1), (pixels, self._views * self._cells))
