"""Joseph's projector in space, on the CPU: cone beams, helices, arcs, parallel rows, free vectors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ctrecon.errors import OperatorError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.volume.columns import back_project_columns, project_columns, turn_back, weigh_columns
from ctrecon.operators.volume.halved import can_be_halved, doubled, half_geometry, half_grid
from ctrecon.operators.volume.rays import Columns, Steps, columns_of
from ctrecon.operators.volume.singly import back_project_singly, cells_of, project_singly
from ctrecon.support.arrays import Array
from ctrecon.support.elsewhere import blocks
from ctrecon.support.threads import split, threads

# Views that are taken together: data of so many bytes wait in the cache while planes of voxels pass.
_CHUNK_BYTES = 8 << 20
# An iteration of the norm in space costs seconds, and one that adds less than this leaves it half a percent too small.
IN_SPACE = 2e-3


class VolumeJosephOperator(LinearOperator):
    """``[batch, 1, slices, rows, columns] -> [batch, 1, views, rows, columns]``: 1/mm to line integrals.

    CPU only, float32 or float64 (half precision is computed in float32). The adjoint is the transpose up to rounding,
    and adds up blocks of views (``support/elsewhere.py``). Results do not depend on the number of threads.

    Raises:
        GeometryError: for a grid without slices.
        OperatorError: for tensors elsewhere.
    """

    _settled = IN_SPACE

    def __init__(self, geometry: Geometry, grid: Grid) -> None:
        steps = Steps.of(grid)
        self._sides, self._shape = steps.sides_mm, steps.shape
        vectors = geometry.to_vectors()
        self._measured = (len(vectors.source), vectors.rows, vectors.columns)
        super().__init__((1, *grid.shape), (1, *geometry.shape))
        self.geometry, self.grid = geometry, grid
        self._parallel = vectors.parallel
        self._columns = columns_of(geometry, grid)
        self._cells = cells_of(geometry, grid) if self._columns is None else None

    @property
    def by_columns(self) -> bool:
        """Whether the fast loop serves, which wants detector columns parallel to the axis."""
        return self._columns is not None

    def halved(self) -> VolumeJosephOperator | None:
        """The same scan at half its resolution.

        Returns:
            The operator; None where an axis is short.
        """
        if not can_be_halved(self.geometry, self.grid):
            return None
        return VolumeJosephOperator(half_geometry(self.geometry), half_grid(self.grid))

    def _guess(self) -> Tensor:
        half = self.halved()
        if half is None:
            return super()._guess()
        return doubled(half._power()[1], self.domain_shape[1:]).to(self._probe())

    def extra_repr(self) -> str:
        return f"{self.geometry!r}, {self.grid!r}"

    def _settle(self, device: torch.device, dtype: torch.dtype) -> None:
        if device.type != "cpu":
            raise OperatorError(f"{type(self).__name__} works on the CPU only, not on {device}")

    def _forward(self, x: Tensor) -> Tensor:
        volumes = on_the_cpu(x, self)[:, 0]
        out = np.empty((len(volumes), *self._measured), dtype=volumes.dtype)
        for volume, data in zip(volumes, out, strict=True):
            self._project(volume, data, 0)
        return torch.from_numpy(out.reshape(-1, *self.range_shape))

    def _adjoint(self, y: Tensor) -> Tensor:
        datas = on_the_cpu(y, self).reshape(-1, *self._measured)
        out = np.zeros((len(datas), *self.grid.shape), dtype=datas.dtype)
        room = self._room(datas.dtype)
        for data, volume in zip(datas, out, strict=True):
            for first, end in blocks(self._measured[0]):
                self._add(data[first:end], first, volume, room)
        return torch.from_numpy(out[:, None])

    def project(self, volume: Array, first: int, end: int) -> Array:
        """Some views of a volume: the same bytes as among all.

        Args:
            volume: ``[slices, rows, columns]``.
            first: The first view.
            end: One past the last.

        Returns:
            ``[end - first, rows, columns]``.
        """
        data = np.empty((end - first, *self._measured[1:]), dtype=volume.dtype)
        self._project(volume, data, first)
        return data

    def back_project(self, data: Array, first: int) -> Array:
        """What a block of views adds to the adjoint.

        Args:
            data: ``[views, rows, columns]``.
            first: The first of these views.

        Returns:
            ``[slices, rows, columns]``.
        """
        volume = np.zeros(self.grid.shape, dtype=data.dtype)
        self._add(data, first, volume, self._room(data.dtype))
        return volume

    def _project(self, volume: Array, data: Array, first: int) -> None:
        if self._columns is None:
            self._singly(volume, data, first)
        else:
            self._by_columns(self._columns.views(first, first + len(data)), volume, data)

    def _room(self, dtype: np.dtype[np.floating]) -> Array:
        """Where the share of a block is put together."""
        return np.empty(self.grid.shape, dtype) if self._columns is None else _upright(self.grid, dtype)

    def _add(self, data: Array, first: int, volume: Array, room: Array) -> None:
        if self._columns is None:
            self._singly_back(data, room, first)
            volume += room
        else:
            self._by_columns_back(self._columns.views(first, first + len(data)), data, volume, room)

    def _chunk(self, dtype: np.dtype[np.floating]) -> int:
        views, rows, columns = self._measured
        return int(np.clip(_CHUNK_BYTES // (rows * columns * dtype.itemsize), 1, views))

    def _by_columns(self, rays: Columns, volume: Array, data: Array) -> None:
        views, rows, columns = data.shape
        upright = _upright(self.grid, volume.dtype)
        _turn(upright, volume)
        each = max(1, self._chunk(volume.dtype) // threads())

        def work(v0: int, v1: int) -> None:
            for a in range(v0, v1, each):
                b = min(a + each, v1)
                sums = np.zeros((b - a, columns, rows), dtype=volume.dtype)
                project_columns(
                    upright, self._shape, rays.p, rays.d, rays.z, rays.along, rays.first, rays.last, sums, a, b
                )
                weigh_columns(rays.d, rays.z, rays.along, self._sides, self._parallel, sums, data[a:b], False, a)

        split(views, work)

    def _by_columns_back(self, rays: Columns, data: Array, volume: Array, upright: Array) -> None:
        views, rows, columns = data.shape
        _, height, width = self.grid.shape
        chunk = self._chunk(data.dtype)
        turned = np.empty((chunk, columns, rows), dtype=data.dtype)
        for v0 in range(0, views, chunk):
            some = data[v0 : v0 + chunk]
            now = turned[: len(some)]

            def weigh(a: int, b: int, some: Array = some, now: Array = now, v0: int = v0) -> None:
                weigh_columns(
                    rays.d, rays.z, rays.along, self._sides, self._parallel, some[a:b], now[a:b], True, v0 + a
                )

            split(len(some), weigh)
            for axis, planes in ((0, width), (1, height)):

                def work(m0: int, m1: int, axis: int = axis, now: Array = now, v0: int = v0) -> None:
                    back_project_columns(
                        upright, self._shape, rays.p, rays.d, rays.z, rays.along, rays.first, rays.last, now, v0, axis,
                        m0, m1,
                    )

                split(planes, work)
        _turn_back(upright, volume)

    def _cells_of(self, first: int, end: int) -> tuple[Array, ...]:
        assert self._cells is not None
        return tuple(part[first:end] for part in self._cells)

    def _singly(self, volume: Array, data: Array, first: int) -> None:
        cells = self._cells_of(first, first + len(data))
        split(
            len(data),
            lambda a, b: project_singly(volume, *cells, self._parallel, self._sides, data, a, b),
        )

    def _singly_back(self, data: Array, volume: Array, first: int) -> None:
        cells = self._cells_of(first, first + len(data))
        volume[...] = 0
        for axis, planes in enumerate(volume.shape[::-1]):
            # Every piece looks at every ray, so few pieces.
            split(
                planes,
                lambda a, b, axis=axis: back_project_singly(  # type: ignore[misc]
                    volume, *cells, self._parallel, self._sides, data, axis, a, b
                ),
                pieces=threads(),
            )


def _upright(grid: Grid, dtype: np.dtype[np.floating]) -> Array:
    """Zeros ``[rows, columns, slices]``, the lines along z a few values apart.

    Lines a multiple of a large power of two apart would share few places of the processor's caches, whatever their
    size; so neither rows nor columns are.
    """
    slices, rows, columns = grid.shape
    line = 64 // dtype.itemsize
    pitch = (-(-slices // line) | 1) * line
    return np.zeros((rows, columns | 1, pitch), dtype=dtype)


def _turn(upright: Array, volume: Array) -> None:
    seen = volume.transpose(1, 2, 0)

    def copy(a: int, b: int) -> None:
        upright[a:b, : seen.shape[1], : seen.shape[2]] = seen[a:b]

    split(len(upright), copy)


def _turn_back(upright: Array, volume: Array) -> None:
    """Adds to the volume, and leaves zeros for the next block."""
    split(volume.shape[1], lambda a, b: turn_back(upright, volume, a, b))


def on_the_cpu(x: Tensor, operator: LinearOperator) -> Array:
    """The values of a tensor that a projector in space can take. Raises OperatorError for others."""
    if x.device.type != "cpu":
        raise OperatorError(f"{type(operator).__name__} works on the CPU, got a tensor on {x.device}")
    if x.dtype not in (torch.float32, torch.float64):
        raise OperatorError(f"{type(operator).__name__} takes float32 or float64, got {x.dtype}; use x.float()")
    array: Array = x.numpy()
    return array
