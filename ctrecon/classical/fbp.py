"""Filtered back projection for scanners that turn: parallel beams, fans on flat and curved detectors, short scans.

It needs a geometry's ``orbit`` (which angle a view stands for, which lines are measured twice) and takes source and
detector of each view from its vectors, so that a wobbling axis or a sliding detector blurs nothing.

A. C. Kak, M. Slaney, Principles of Computerized Tomographic Imaging (IEEE Press, 1988), chapter 3: the ramp filter is
sampled in space, so the mean comes out right, and each view counts with the angle it stands for (``fbp_weights.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ctrecon.classical.fbp_arc import ArcBackProjection
from ctrecon.classical.fbp_device import DeviceBackProjection, matrix_bytes
from ctrecon.classical.fbp_flat import FlatBackProjection
from ctrecon.classical.fbp_rays import ANOTHER_METHOD, fan_rays
from ctrecon.classical.fbp_weights import cells_beyond, view_weights
from ctrecon.errors import GeometryError, OperatorError, SettingError
from ctrecon.geometry.base import Geometry, orbit_of
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.vectors import Vectors
from ctrecon.support.arrays import Float64Array

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

SMALL_BYTES = 64 << 20
"""Up to this size the matrix of a back projection is made sooner than numba's kernels are loaded, and as fast after."""

# Of so many cells the mean stands for what an object that is cut off goes on with.
_AT_END = 3


def _straight(s: Float64Array) -> Float64Array:
    return s


def ramp_response(
    cells: int, spacing_mm: float, window: Window = "ram-lak", cutoff: float = 1.0,
    *, chord: Callable[[Float64Array], Float64Array] = _straight,
) -> Float64Array:
    """The filter's frequency response for ``rfft`` of length ``ramp_length(cells)``, in 1/mm, spacing included.

    ``cutoff`` is the highest frequency kept, relative to Nyquist. ``chord`` is the distance that counts between cells
    so far apart along the detector. Raises SettingError for an unknown window.
    """
    if window not in _WINDOW:
        raise SettingError(f"filter must be one of {', '.join(WINDOWS)}, got {window!r}")
    if not 0 < cutoff <= 1:
        raise SettingError(f"the filter's cutoff must lie in (0, 1], got {cutoff}")
    length = ramp_length(cells)
    n = np.minimum(np.arange(length), length - np.arange(length))
    kernel = np.zeros(length)
    odd = n % 2 == 1
    kernel[odd] = -1 / (np.pi * chord(n[odd] * spacing_mm)) ** 2
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


def ramped(values: Tensor, response: Tensor) -> Tensor:
    """Values ``[..., cells]`` filtered along the detector, with room for the ramp.

    Args:
        values: float32.
        response: What ``ramp_response`` gives for so many cells, on the same device.

    Returns:
        ``[..., cells]``. Since the filter is even, this map is its own transpose.
    """
    length = ramp_length(values.shape[-1])
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(values, n=length) * response, n=length)
    return filtered[..., : values.shape[-1]]


class FilteredBackProjection:
    """A linear map from sinograms ``[batch, 1, views, detectors]`` to images ``[batch, 1, rows, columns]`` in 1/mm.

    Works in float32 on the tensor's own device: by torch on a GPU and for a single small image, by numba kernels for
    the rest on the CPU. A call has no gradient; ``applied(f, this, False)`` of ``operators/differentiable.py`` has one,
    by the transpose.
    Where a focal spot flies, rays go back along the lines they came and count with their true angles, but the filter
    takes the angles between them for equal: good to start from and to precondition with, not exact.
    Raises GeometryError for a geometry without a known inversion formula, SettingError for a bad filter.
    """

    def __init__(
        self, geometry: Geometry, grid: Grid, *, window: Window = "ram-lak", cutoff: float = 1.0,
        cells_cut_off: int = 0,
    ) -> None:
        orbit = orbit_of(geometry, "filtered back projection", ANOTHER_METHOD)
        self.geometry, self.grid = geometry, grid.in_plane("filtered back projection")
        geometry.rays(slice(0, 1))  # refuses one in space
        vectors = geometry.to_vectors()
        self._reversed = bool(vectors.radius_mm) and _runs_backwards(vectors)
        if self._reversed:
            vectors = replace(vectors, u=-vectors.u)
        self._back: FlatBackProjection | ArcBackProjection
        kind = ArcBackProjection if vectors.radius_mm else FlatBackProjection
        fan = fan_rays(vectors, orbit)
        # What the ramp leaves beyond the shorter side is needed where pixels are seen from the other side alone.
        self._beyond = cells_beyond(orbit, fan.distance)
        # An object that is cut off goes on for the ramp, falling to nothing, so that it sees no edge there.
        self._further = 0 if self._beyond else cells_cut_off
        self._back = kind(replace(vectors, columns=vectors.columns + 2 * self._beyond), orbit, grid)
        scale = self._back.scale
        scale = scale if scale.shape[-1] == 1 else scale[:, self._beyond : scale.shape[-1] - self._beyond]
        weights = view_weights(orbit, fan.gamma, fan.distance) * fan.jacobian * scale
        self._weights = torch.from_numpy(np.ascontiguousarray(weights, dtype=np.float32))
        self._response = self._filter_response(window, cutoff)
        self._by_torch: dict[torch.device, DeviceBackProjection] = {}
        self._small = matrix_bytes(len(weights), grid) <= SMALL_BYTES

    def _filter_response(self, window: Window, cutoff: float) -> Tensor:
        cells = self.geometry.shape[-1] + 2 * (self._beyond + self._further)
        response = ramp_response(cells, self._back.spacing_mm, window, cutoff, chord=self._back.chord)
        return torch.from_numpy(response.astype(np.float32))

    def with_filter(self, window: Window, cutoff: float = 1.0) -> FilteredBackProjection:
        """The same back projection after another filter; what is known of the geometry is shared.

        Args:
            window: One of ``WINDOWS``.
            cutoff: The highest frequency kept, relative to Nyquist, in (0, 1].

        Returns:
            A new map; this one stays as it is.

        Raises:
            SettingError: For a bad filter.
        """
        other = copy(self)
        other._response = self._filter_response(window, cutoff).to(self._response.device)
        return other

    @property
    def domain_shape(self) -> tuple[int, ...]:
        return (1, *self.geometry.shape)

    @property
    def range_shape(self) -> tuple[int, ...]:
        return (1, *self.grid.shape)

    def __call__(self, sinogram: Tensor) -> Tensor:
        if sinogram.ndim != 4 or tuple(sinogram.shape[1:]) != self.domain_shape:
            raise OperatorError(f"expected a sinogram [batch, {self.domain_shape}], got {list(sinogram.shape)}")
        return self._forward(sinogram.detach())

    def _forward(self, sinogram: Tensor) -> Tensor:
        filtered = self._filter(sinogram)
        if sinogram.device.type != "cpu" or (self._small and len(sinogram) == 1):
            return self.on_device(filtered).to(sinogram.dtype)
        return torch.from_numpy(self._back.on_cpu(filtered[:, 0].numpy())[:, None]).to(sinogram.dtype)

    def on_device(self, filtered: Tensor) -> Tensor:
        """The sum over views by torch; what it needs to know of the geometry stays on the device.

        Args:
            filtered: Weighted and filtered views with one zero cell before and two after, ``[batch, 1, views, cells]``,
                float32.

        Returns:
            Images ``[batch, 1, rows, columns]`` in 1/mm, float32, on the same device.
        """
        return self._sum_of_views(filtered.device)(filtered)

    def _sum_of_views(self, device: torch.device) -> DeviceBackProjection:
        if device not in self._by_torch:
            views, cells = self.geometry.shape
            self._by_torch.clear()
            self._by_torch[device] = DeviceBackProjection(self._back, views, cells + 2 * self._beyond + 3, device)
        return self._by_torch[device]

    def _filter(self, sinogram: Tensor) -> Tensor:
        """Weighted, filtered, and padded by one zero cell before and two after, float32."""
        self._move(sinogram.device)
        if self._reversed:
            sinogram = sinogram.flip(-1)
        weighted = torch.nn.functional.pad(sinogram.float() * self._weights, (self._beyond, self._beyond))
        filtered = ramped(_going_on(weighted, self._further), self._response)
        return torch.nn.functional.pad(_inner(filtered, self._further), (1, 2)).contiguous()

    def _move(self, device: torch.device) -> None:
        if self._weights.device != device:
            self._weights, self._response = self._weights.to(device), self._response.to(device)

    def _adjoint(self, image: Tensor) -> Tensor:
        self._move(image.device)
        spread = self._sum_of_views(image.device).transposed(image.float())[..., 1:-2]
        filtered = ramped(torch.nn.functional.pad(spread, (self._further, self._further)), self._response)
        sinogram = _inner(_gone_on(filtered, self._further), self._beyond) * self._weights
        return (sinogram.flip(-1) if self._reversed else sinogram).to(image.dtype)


def _inner(values: Tensor, cells: int) -> Tensor:
    """Without so many at either end."""
    return values[..., cells : values.shape[-1] - cells]


def _going_on(values: Tensor, cells: int) -> Tensor:
    """With cells beyond either end: its last values' mean, falling to zero as the line integrals of a disc do."""
    if not cells:
        return values
    falling = _falling(values, values.shape[-1], cells)
    first, last = (end.mean(dim=-1, keepdim=True) for end in (values[..., :_AT_END], values[..., -_AT_END:]))
    return torch.cat([first * falling.flip(0), values, last * falling], dim=-1)


def _gone_on(values: Tensor, cells: int) -> Tensor:
    """The transpose of ``_going_on``."""
    if not cells:
        return values
    out = _inner(values, cells).clone()
    falling = _falling(values, out.shape[-1], cells)
    out[..., :_AT_END] += (values[..., :cells] @ falling.flip(0))[..., None] / _AT_END
    out[..., -_AT_END:] += (values[..., -cells:] @ falling)[..., None] / _AT_END
    return out


def _falling(like: Tensor, width: int, cells: int) -> Tensor:
    """What a disc's line integrals fall by on so many cells beyond ``width`` of them."""
    half = width / 2
    at = half + torch.arange(cells, device=like.device, dtype=like.dtype) + 0.5
    seen = half - _AT_END / 2  # where the end's mean stands
    return torch.sqrt((1 - (at / (half + cells)) ** 2) / (1 - (seen / (half + cells)) ** 2))


def _runs_backwards(vectors: Vectors) -> bool:
    """Whether the cells of an arc run clockwise as seen from the source, in all views. Raises where in some."""
    away = -vectors.normal()
    clockwise = vectors.u[:, 0] * away[:, 1] - vectors.u[:, 1] * away[:, 0] < 0
    if clockwise.any() and not clockwise.all():
        raise GeometryError("filtered back projection needs arcs whose cells all run the same way round")
    return bool(clockwise.all())
