"""Filtered back projection for parallel and flat-detector fan beams, full and short scans.

A. C. Kak, M. Slaney, Principles of Computerized Tomographic Imaging (IEEE Press, 1988), chapter 3: the ramp filter is
sampled in space, so the mean comes out right, and each view counts with the angle it stands for. Short fan scans
are weighted after D. L. Parker (Med. Phys. 9, 1982) with M. D. Silver's extension to any range (Med. Phys. 27, 2000).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ctrecon.errors import GeometryError, OperatorError, SettingError
from ctrecon.geometry import FanBeam, Float64Array, Geometry, ImageGrid, ParallelBeam
from ctrecon.operators.lanes import batches, from_lanes, gather_add, tag, to_lanes
from ctrecon.operators.threads import split

Array = npt.NDArray[Any]
Window = Literal["ram-lak", "shepp-logan", "cosine", "hamming", "hann"]
WINDOWS: tuple[Window, ...] = get_args(Window)

_WINDOW: dict[Window, Callable[[Float64Array], Float64Array]] = {
    # nu is the frequency over the Nyquist frequency, from 0 to 1.
    "ram-lak": np.ones_like,
    "shepp-logan": lambda nu: np.sinc(nu / 2),
    "cosine": lambda nu: np.cos(np.pi * nu / 2),
    "hamming": lambda nu: 0.54 + 0.46 * np.cos(np.pi * nu),
    "hann": lambda nu: 0.5 + 0.5 * np.cos(np.pi * nu),
}

SMOOTHEST_FIRST: tuple[tuple[Window, float], ...] = (
    *(("hann", cutoff) for cutoff in (0.1, 0.14, 0.2, 0.28, 0.4, 0.56, 0.8)),
    *((window, 1.0) for window in reversed(WINDOWS)),
)
"""Filters from the one that passes least to the plain ramp: Hann's window over a growing share of the frequencies,
then the windows over all of them (from G. N. Ramachandran, A. V. Lakshminarayanan, PNAS 68, 1971, and L. A. Shepp,
B. F. Logan, IEEE Trans. Nucl. Sci. 21, 1974, to the cosine windows of signal processing).
"""


def ramp_response(cells: int, spacing_mm: float, window: Window = "ram-lak", cutoff: float = 1.0) -> Float64Array:
    """The filter's frequency response for ``rfft`` of length ``ramp_length(cells)``, in 1/mm, spacing included.

    ``cutoff`` is the highest frequency kept, relative to Nyquist. Raises SettingError for an unknown window.
    """
    if window not in _WINDOW:
        raise SettingError(f"filter must be one of {', '.join(WINDOWS)}, got {window!r}")
    if not 0 < cutoff <= 1:
        raise SettingError(f"the filter's cutoff must lie in (0, 1], got {cutoff}")
    length = ramp_length(cells)
    n = np.minimum(np.arange(length), length - np.arange(length))
    kernel = np.zeros(length)
    odd = n % 2 == 1
    kernel[odd] = -1 / (np.pi * n[odd] * spacing_mm) ** 2
    kernel[0] = 1 / (4 * spacing_mm**2)
    response: Float64Array = np.fft.rfft(kernel).real * spacing_mm
    nu = np.arange(response.size) / (length / 2)
    passed = nu <= cutoff
    response[passed] *= _WINDOW[window](nu[passed] / cutoff)
    response[~passed] = 0
    return response


def ramp_length(cells: int) -> int:
    """A power of two with room for a convolution that does not wrap around."""
    return 1 << max(6, (2 * cells - 1).bit_length())


def _gaps(angles: Float64Array, period: float) -> Float64Array:
    """Half the way to the next view on each side, around a circle of ``period``; sums to ``period``."""
    turned = np.mod(angles, period)
    # Rounding may leave an angle a hair below the period that belongs to 0: fold it back.
    turned[period - turned < 1e-9 * period] = 0
    order = np.argsort(turned, kind="stable")
    sorted_angles = turned[order]
    forward = np.diff(np.append(sorted_angles, sorted_angles[0] + period))
    # A missing wedge is missing: the views beside it must not stand for it.
    typical = float(np.median(forward[forward > 1e-9 * period])) if np.any(forward > 1e-9 * period) else period
    forward = np.where(forward > 3 * typical, typical, forward)
    gaps = np.empty_like(turned)
    gaps[order] = (forward + np.roll(forward, 1)) / 2
    return gaps


def _parker(beta: Float64Array, gamma: Float64Array, extra: float) -> Float64Array:
    """Weights ``[views, detectors]``: smooth, and 1 in sum over the two measurements of a line.

    ``beta`` from 0 to ``pi + 2 extra``; ``gamma`` is the fan angle of each cell, growing along the detector.
    """
    b, g = beta[:, None], gamma[None, :]
    weights = np.ones((beta.size, gamma.size))
    # The ray (b, g) is measured again at (b + pi - 2 g, -g) for this sense of rotation.
    rise = 2 * (extra + g)
    fall = 2 * (extra - g)
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.sin(np.pi / 2 * b / rise) ** 2
        down = np.sin(np.pi / 2 * (np.pi + 2 * extra - b) / fall) ** 2
    weights = np.where(b < rise, up, weights)
    weights = np.where(b > np.pi + 2 * g, down, weights)
    return np.where((b < 0) | (b > np.pi + 2 * extra), 0.0, weights)


def _view_weights(geometry: ParallelBeam | FanBeam) -> Float64Array:
    """What each ray counts in the sum over views, ``[views, detectors]`` (or ``[views, 1]``), in radians."""
    angles = np.asarray(geometry.angles_rad)
    if isinstance(geometry, ParallelBeam):
        return _gaps(angles, math.pi)[:, None]
    gamma = np.arctan2(geometry.detector_mm, geometry.source_to_detector_mm)
    turned = np.sort(np.mod(angles, 2 * math.pi))
    steps = np.diff(np.append(turned, turned[0] + 2 * math.pi))
    hole = int(np.argmax(steps))
    typical = float(np.median(steps[steps > 1e-9]))
    if steps[hole] <= 3 * typical:
        return _gaps(angles, 2 * math.pi)[:, None] / 2
    begin = turned[(hole + 1) % turned.size]
    beta = np.mod(angles - begin + 1e-12, 2 * math.pi) + typical / 2
    extent = 2 * math.pi - float(steps[hole]) + typical
    gaps = _gaps(angles, 2 * math.pi)[:, None]
    if extent <= math.pi:
        return gaps
    return gaps * _parker(beta, gamma, (extent - math.pi) / 2)


# The kernels never see a NaN in a position, and the order in which views are added is free.
_FAST = {"nnan", "nsz", "contract", "reassoc", "arcp"}


@numba.njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
def _back_project(
    filtered: Array, first: Array, numerator: Array, denominator: Array, x: Array, y: Array, out: Array,
    r0: int, r1: int,
) -> None:
    """``out[r, c] = sum_v q_v(t) / U^2`` with cell ``t = numerator . (1, x, y) / U``, ``U = denominator . (1, x, y)``.

    ``filtered`` is flat; view ``v`` begins at ``first[v]``, with one zero cell before and two after.
    The inner loop runs over views, because only a sum that writes nothing is turned into vector instructions.
    """
    views = first.size
    last = np.float32(filtered.size // views - 2)
    one, zero = np.float32(1.0), np.float32(0.0)
    n, nx, ny = numerator[0], numerator[1], numerator[2]
    d, dx, dy = denominator[0], denominator[1], denominator[2]
    for r in range(r0, r1):
        for c in range(x.size):
            total = zero
            for v in range(views):
                u = one / (d[v] + dx[v] * x[c] + dy[v] * y[r])
                t = (n[v] + nx[v] * x[c] + ny[v] * y[r]) * u + one
                t = min(max(t, zero), last)
                k = np.int32(t)
                w = t - np.float32(k)
                at = np.uint32(first[v] + k)
                low, high = filtered[at], filtered[at + np.uint32(1)]
                total += u * u * (low + w * (high - low))
            out[r, c] = total


@numba.njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
def _cells(
    first: int, n: float, nx: float, d: float, dx: float, last: float, x: Array, at: Array, low: Array, high: Array
) -> None:
    """For one view and one image row: the cell beside each pixel, and what it and the next one count."""
    one, zero = np.float32(1.0), np.float32(0.0)
    for c in range(x.size):
        u = one / (d + dx * x[c])
        t = (n + nx * x[c]) * u + one
        t = min(max(t, zero), last)
        k = np.int32(t)
        w = (t - np.float32(k)) * u * u
        at[c] = first + k
        high[c] = w
        low[c] = u * u - w


@numba.njit(nogil=True, cache=True)
def _back_project_lanes(
    filtered: Array, first: Array, numerator: Array, denominator: Array, x: Array, y: Array, out: Array,
    lanes: tuple[int, ...], r0: int, r1: int,
) -> None:
    """The same for the images of a batch at once: ``filtered[cell, lane]``, ``out[row, column, lane]``."""
    n, d, views, columns = numerator, denominator, first.size, x.size
    last = np.float32(filtered.shape[0] // views - 2)
    # Two views in one go, so that a pixel is read and written once for both; an odd last one is paired with nothing.
    at = np.empty((2, columns), np.int32)
    low, high = np.empty((2, columns), np.float32), np.empty((2, columns), np.float32)
    for r in range(r0, r1):
        line = out[r]
        for v in range(0, views, 2):
            for j in range(2):
                if v + j < views:
                    _cells(
                        first[v + j], n[0, v + j] + n[2, v + j] * y[r], n[1, v + j],
                        d[0, v + j] + d[2, v + j] * y[r], d[1, v + j], last, x, at[j], low[j], high[j],
                    )
                else:
                    at[j], low[j], high[j] = 0, 0, 0
            for c in range(columns):
                where = (at[0, c], at[1, c])
                gather_add(line, c, filtered, where, (low[0, c], low[1, c]), (high[0, c], high[1, c]), lanes)


class FilteredBackProjection:
    """A linear map from sinograms ``[batch, 1, views, detectors]`` to images ``[batch, 1, rows, columns]`` in 1/mm.

    Works in float32 on the tensor's own device: numba kernels on the CPU, torch elsewhere. Without gradients.
    Raises GeometryError for a geometry without a known inversion formula, SettingError for a bad filter.
    """

    def __init__(
        self, geometry: Geometry, grid: ImageGrid, *, window: Window = "ram-lak", cutoff: float = 1.0
    ) -> None:
        if not isinstance(geometry, ParallelBeam | FanBeam):
            raise GeometryError(f"no filtered back projection is known for {type(geometry).__name__}")
        self.geometry, self.grid = geometry, grid
        spacing = geometry.detector_spacing_mm
        angles = np.asarray(geometry.angles_rad)
        cos, sin, zero, one = np.cos(angles), np.sin(angles), np.zeros_like(angles), np.ones_like(angles)
        weights = _view_weights(geometry)
        first = (geometry.detector_count - 1) / 2 - geometry.detector_offset_mm / spacing
        if isinstance(geometry, FanBeam):
            spacing = spacing / geometry.magnification
            fan = geometry.source_to_detector_mm
            weights = weights * (fan / np.hypot(fan, geometry.detector_mm))[None, :]
            distance = geometry.source_to_axis_mm
            # U: distance from the source along the central ray, over source_to_axis.
            self._denominator = np.stack([one, -sin / distance, cos / distance], axis=1)
        else:
            self._denominator = np.stack([one, zero, zero], axis=1)
        self._numerator = np.stack([zero, cos / spacing, sin / spacing], axis=1) + first * self._denominator
        self._weights = torch.from_numpy(np.ascontiguousarray(weights, dtype=np.float32))
        response = ramp_response(geometry.detector_count, spacing, window, cutoff)
        self._response = torch.from_numpy(response.astype(np.float32))

    def __call__(self, sinogram: Tensor) -> Tensor:
        expected = (1, *self.geometry.shape)
        if sinogram.ndim != 4 or tuple(sinogram.shape[1:]) != expected:
            raise OperatorError(f"expected a sinogram [batch, {expected}], got {list(sinogram.shape)}")
        filtered = self._filter(sinogram.detach())
        if sinogram.device.type != "cpu":
            return self._torch_back_project(filtered).to(sinogram.dtype)
        values = filtered[:, 0].numpy()
        out = np.empty((sinogram.shape[0], *self.grid.shape), dtype=np.float32)
        for piece, lanes in batches(sinogram.shape[0]):
            self._numba_back_project(values[piece], lanes, out[piece])
        return torch.from_numpy(out[:, None]).to(sinogram.dtype)

    def _numba_back_project(self, filtered: Array, lanes: int, out: Array) -> None:
        """``[images, views, cells] -> [images, rows, columns]`` for at most ``lanes`` images."""
        _, views, cells = filtered.shape
        x, y = self.grid.x_mm.astype(np.float32), self.grid.y_mm.astype(np.float32)
        tables = tuple(np.ascontiguousarray(t.T, dtype=np.float32) for t in (self._numerator, self._denominator))
        first = np.arange(views, dtype=np.int32) * np.int32(cells)
        if lanes == 1:
            flat, image = filtered.reshape(-1), out[0]
            split(self.grid.rows, lambda a, b: _back_project(flat, first, *tables, x, y, image, a, b))
            return
        total, kind = np.zeros((*self.grid.shape, lanes), dtype=np.float32), tag(lanes)
        stacked = to_lanes(filtered, lanes).reshape(-1, lanes)
        split(self.grid.rows, lambda a, b: _back_project_lanes(stacked, first, *tables, x, y, total, kind, a, b))
        from_lanes(total, out)

    def _filter(self, sinogram: Tensor) -> Tensor:
        """Weighted, filtered, and padded by one zero cell before and two after, float32."""
        device = sinogram.device
        weighted = sinogram.float() * self._weights.to(device)
        length = ramp_length(sinogram.shape[-1])
        spectrum = torch.fft.rfft(weighted, n=length) * self._response.to(device)
        filtered = torch.fft.irfft(spectrum, n=length)[..., : sinogram.shape[-1]]
        return torch.nn.functional.pad(filtered, (1, 2)).contiguous()

    def _torch_back_project(self, filtered: Tensor) -> Tensor:
        """The same sum by torch alone, view by view."""
        device = filtered.device
        x = torch.from_numpy(self.grid.x_mm).float().to(device)[None, :]
        y = torch.from_numpy(self.grid.y_mm).float().to(device)[:, None]
        out = torch.zeros((filtered.shape[0], *self.grid.shape), device=device)
        cells = filtered.shape[-1] - 3
        for v in range(filtered.shape[2]):
            n, d = self._numerator[v].tolist(), self._denominator[v].tolist()
            u = 1 / (d[0] + d[1] * x + d[2] * y)
            t = ((n[0] + n[1] * x + n[2] * y) * u + 1).clamp(0, cells + 1)
            k = t.long()
            row = filtered[:, 0, v]
            low, high = row[:, k], row[:, k + 1]
            out += u * u * (low + (t - k) * (high - low))
        return out[:, None]
