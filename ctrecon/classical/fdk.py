"""Filtered back projection in space: cones on a circle (flat or curved detector), and parallel rows.

L. A. Feldkamp, L. C. Davis, J. W. Kress, J. Opt. Soc. Am. A 1 (1984): as in the plane, row by row, each ray weighted by
the cosine of its elevation too, and back along the rays as they climb. Exact in the plane of the source, and for what
does not change along the axis; elsewhere the further off the steeper rays climb. Short scans and
detectors that stand to one side (half fan) are weighted as in the plane (``fbp_weights.py``).
"""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ctrecon.classical.fbp import Window, ramp_response, ramped
from ctrecon.classical.fbp_arc import ArcBackProjection
from ctrecon.classical.fbp_flat import FlatBackProjection
from ctrecon.classical.fbp_rays import ANOTHER_METHOD, fan_rays
from ctrecon.classical.fbp_weights import cells_beyond, view_weights
from ctrecon.errors import GeometryError, OperatorError
from ctrecon.geometry.base import Geometry, orbit_of
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.vectors import Vectors
from ctrecon.support.arrays import Array, Float64Array
from ctrecon.support.elsewhere import blocks
from ctrecon.support.threads import split

_LEVEL_MM = 1e-6
_CHUNK = 32


class FeldkampBackProjection:
    """A linear map from data ``[batch, 1, views, rows, columns]`` to volumes ``[batch, 1, slices, rows, columns]``.

    In 1/mm, float32 on the CPU. A call has no gradient; ``applied(f, this, False)`` of ``operators/differentiable.py``
    has one, by the transpose.

    Args:
        geometry: A source on a level circle, or level parallel rays, before a detector that does not lean.
        grid: Of slices.
        window: The filter's window, ``"ram-lak"`` to ``"hann"``.
        cutoff: The highest frequency that passes, as a share of Nyquist's.

    Raises:
        GeometryError: For a geometry without an orbit, a helix, a leaning detector.
        SettingError: For an unknown window.
    """

    def __init__(self, geometry: Geometry, grid: Grid, *, window: Window = "ram-lak", cutoff: float = 1.0) -> None:
        orbit = orbit_of(geometry, "filtered back projection", ANOTHER_METHOD)
        vectors = geometry.to_vectors()
        _check(geometry, vectors, grid)
        self.geometry, self.grid = geometry, grid
        flat = replace(
            vectors, source=_level(vectors.source), detector=_level(vectors.detector), u=_level(vectors.u), rows=1,
            v=np.broadcast_to([0.0, 0.0, 1.0], vectors.v.shape),
        )
        image = Grid(
            rows=grid.rows, columns=grid.columns, pixel_mm=grid.pixel_mm, centre_mm=grid.centre_mm[:2]
        )
        fan = fan_rays(flat, orbit)
        # What the ramp leaves beyond the shorter side is needed where voxels are seen from the other side alone.
        self._beyond = cells_beyond(orbit, fan.distance)
        kind = ArcBackProjection if vectors.radius_mm else FlatBackProjection
        self._back = kind(replace(flat, columns=flat.columns + 2 * self._beyond), orbit, image)
        scale = self._back.scale
        scale = scale if scale.shape[-1] == 1 else scale[:, self._beyond : scale.shape[-1] - self._beyond]
        shares = view_weights(orbit, fan.gamma, fan.distance)
        self._weights = np.asarray(shares * fan.jacobian * scale, dtype=np.float32)
        self._vectors, self._flat = vectors, flat
        self._response = self._filter_response(window, cutoff)

    def _filter_response(self, window: Window, cutoff: float) -> Tensor:
        back = self._back
        cells = self._vectors.columns + 2 * self._beyond
        response = ramp_response(cells, back.spacing_mm, window, cutoff, chord=back.chord)
        return torch.from_numpy(response.astype(np.float32))

    def with_filter(self, window: Window, cutoff: float = 1.0) -> FeldkampBackProjection:
        """The same back projection after another filter; what is known of the geometry is shared.

        Args:
            window: One of ``fbp.WINDOWS``.
            cutoff: The highest frequency kept, relative to Nyquist, in (0, 1].

        Returns:
            A new map; this one stays as it is.

        Raises:
            SettingError: For a bad filter.
        """
        other = copy(self)
        other._response = self._filter_response(window, cutoff)
        return other

    @property
    def domain_shape(self) -> tuple[int, ...]:
        return (1, *self.geometry.shape)

    @property
    def range_shape(self) -> tuple[int, ...]:
        return (1, *self.grid.shape)

    def __call__(self, data: Tensor) -> Tensor:
        if data.ndim != 5 or tuple(data.shape[1:]) != self.domain_shape:
            raise OperatorError(f"expected data [batch, {self.domain_shape}], got {list(data.shape)}")
        return self._forward(data.detach())

    def _forward(self, data: Tensor) -> Tensor:
        measured = data.to("cpu", torch.float32)
        out = np.zeros((data.shape[0], *self.range_shape), dtype=np.float32)
        room = self._room()
        for one, volume in zip(measured[:, 0].numpy(), out[:, 0], strict=True):
            for first, end in blocks(self.domain_shape[1]):
                self._add(one[first:end], first, volume, room)
        return torch.from_numpy(out).to(data)

    def _adjoint(self, volume: Tensor) -> Tensor:
        upright = volume[:, 0].to("cpu", torch.float32).permute(0, 2, 3, 1).contiguous().numpy()
        out = np.zeros((volume.shape[0], *self.domain_shape), dtype=np.float32)
        for one, data in zip(upright, out[:, 0], strict=True):
            self._spread(one, data)
        return torch.from_numpy(out).to(volume)

    def _spread(self, upright: Array, data: Array) -> None:
        """The transpose of ``_add`` over all views, from ``[rows, columns, slices]``."""
        from ctrecon.classical import fdk_kernels as kernels

        views, rows, columns = data.shape
        first, step = self._rows()
        places, curved = self._places()
        x, y = self.grid.x_mm, self.grid.y_mm
        for a in range(0, views, _CHUNK):
            some = slice(a, min(a + _CHUNK, views))
            count, tables = some.stop - a, (places[some], first[some], step[some])
            filtered = np.zeros((count, columns + 2 * self._beyond + 3, rows), dtype=np.float32)

            def work(v0: int, v1: int, filtered: Array = filtered, tables: tuple[Array, ...] = tables) -> None:
                kernels.spread(filtered, *tables, curved, x, y, upright, v0, v1)

            split(count, work)
            along = torch.from_numpy(np.ascontiguousarray(filtered[:, 1:-2].transpose(0, 2, 1)))
            inner = slice(self._beyond, self._beyond + columns)
            data[some] = ramped(along, self._response)[..., inner].numpy() * self._weights_of(some)

    def share(self, data: Array, first: int) -> Array:
        """What a block of views adds.

        Args:
            data: ``[views, rows, columns]``, float32.
            first: The first of these views.

        Returns:
            ``[slices, rows, columns]``.
        """
        volume = np.zeros(self.grid.shape, dtype=np.float32)
        self._add(data, first, volume, self._room())
        return volume

    def _room(self) -> Array:
        slices, height, width = self.grid.shape
        return np.zeros((height, width, slices), dtype=np.float32)

    def _add(self, data: Array, begin: int, volume: Array, room: Array) -> None:
        """The block's share is put together in ``room``, which is zero before and after."""
        from ctrecon.classical import fdk_kernels as kernels
        from ctrecon.operators.volume.columns import turn_back

        views, rows, columns = data.shape
        columns += 2 * self._beyond
        x, y = self.grid.x_mm, self.grid.y_mm
        first, step = self._rows()
        places, curved = self._places()
        for a in range(0, views, _CHUNK):
            b = min(a + _CHUNK, views)
            some = slice(begin + a, begin + b)
            filtered = np.zeros((b - a, columns + 3, rows), dtype=np.float32)
            filtered[:, 1:-2] = self._filter(torch.from_numpy(data[a:b]), some).transpose(0, 2, 1)
            tables = (places[some], first[some], step[some])

            def work(y0: int, y1: int, filtered: Array = filtered, tables: tuple[Array, ...] = tables) -> None:
                kernels.back_project(filtered, *tables, curved, x, y, room, y0, y1)

            split(len(y), work)
        split(len(y), lambda y0, y1: turn_back(room, volume, y0, y1))

    def _filter(self, data: Tensor, views: slice) -> Array:
        """Weighted and filtered along the rows, ``[views, rows, columns]``."""
        weighted = data * torch.from_numpy(self._weights_of(views))
        wide = torch.nn.functional.pad(weighted, (self._beyond, self._beyond))
        filtered: Array = ramped(wide, self._response).numpy()
        return filtered

    def _weights_of(self, views: slice) -> Array:
        """What each ray counts before the filter, the cosine of its elevation with it."""
        weights = self._weights[views, None]
        if not self._vectors.parallel:
            cells = self._flat.views(views).cells()[:, 0, :, :2] - self._flat.source[views, None, :2]
            level = np.hypot(cells[..., 0], cells[..., 1])[:, None]
            rise = self._vectors.detector[views, 2] - self._vectors.source[views, 2]
            up = rise[:, None] + self._vectors.row_places_mm * np.sign(self._vectors.v[views, 2])[:, None]
            weights = weights * (level / np.sqrt(level**2 + up[..., None] ** 2)).astype(np.float32)
        return weights

    def _rows(self) -> tuple[Float64Array, Float64Array]:
        """The row at which a slice's voxel is seen: ``first + step m``, ``m`` what the kernel knows of the place.

        ``[views, 2]``: for slice 0 a part that ``m`` magnifies and one that it does not; and ``[views]``.
        """
        v = self._vectors
        sense = np.sign(v.v[:, 2]) / v.row_mm
        z, apart = float(self.grid.z_mm[0]), float(self.grid.slice_mm or 1.0)
        middle = (v.rows - 1) / 2
        height = np.zeros_like(sense) if v.parallel else v.source[:, 2]
        fixed = middle + (height - v.detector[:, 2]) * sense
        return np.stack([(z - height) * sense, fixed], axis=1), apart * sense

    def _places(self) -> tuple[Float64Array, bool]:
        """What the kernel needs to know of each view to find column, weight and magnification of a place."""
        back = self._back
        if isinstance(back, ArcBackProjection):
            table = np.asarray(back.table, dtype=np.float64).T
            rest = np.broadcast_to([back.radius, back.columns_per_rad, back.first, back.gain], (len(table), 4))
            return np.ascontiguousarray(np.hstack([table, rest])), True
        v, flat = self._vectors, self._flat
        if v.parallel:
            magnified = np.ones(len(v.source))
        else:
            # Far over near: the detector's distance along its normal, over what U counts in.
            magnified = ((flat.detector - flat.source) * -flat.normal()).sum(axis=1) / back.near_mm
        numerator, denominator = back.numerator, back.denominator
        return np.ascontiguousarray(np.hstack([numerator, denominator, magnified[:, None]])), False


def _level(part: Array) -> Float64Array:
    return np.asarray(part * np.array([1.0, 1.0, 0.0]))


def _check(geometry: Geometry, vectors: Vectors, grid: Grid) -> None:
    name = type(geometry).__name__
    if grid.slices is None:
        raise GeometryError("filtered back projection in space needs a grid of slices; give slices and slice_mm")
    lean = max(float(np.abs(vectors.v[:, :2]).max()), float(np.abs(vectors.u[:, 2]).max()))
    if lean > 1e-9:
        raise GeometryError(f"filtered back projection needs an upright detector, {name}'s leans; {ANOTHER_METHOD}")
    if vectors.parallel:
        if float(np.abs(vectors.source[:, 2]).max()) > 1e-9:
            raise GeometryError(f"filtered back projection needs level rays, {name}'s climb; {ANOTHER_METHOD}")
    elif float(np.ptp(vectors.source[:, 2])) > _LEVEL_MM:
        raise GeometryError(
            f"filtered back projection is for sources on a level circle, {name} climbs by "
            f"{float(np.ptp(vectors.source[:, 2])):.4g} mm; {ANOTHER_METHOD}"
        )
