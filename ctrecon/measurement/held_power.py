"""What a sinogram holds along the detector, edges aside: the power of short windows, of which most see no edge.

The mean power of a frequency is that of the noise and of every edge. Edges are few: most windows of some cells see
little of an object at the higher frequencies, and the median over windows is that of the noise long before the mean is.
Noise may grow with attenuation: windows are compared after its growth, and the mean is over all.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ctrecon.support.arrays import Float64Array

# Cells of a window, an even number; which begin so many cells apart. The lowest of its frequencies, as a share of the
# cells: below, its edges let what is lower still through.
_WINDOW, _STEP, _FROM = 16, 2, 3 / 16
# In so many classes of brightness, each of so many windows at least, the highest bands show how the noise grows.
_CLASSES, _FEWEST, _HIGHEST = 12, 50, 3
# The median over the mean of chi-square laws of one and of two degrees of freedom.
_MEDIANS = (0.45494, 0.69315)
_FINE = 400
# In the place of a power of zero, which only data without noise have.
_NOTHING = 1e-250


def held_power(values: Float64Array) -> Float64Array:
    """The power of each band between the edges of ``[views, cells]``, 1 for white noise of variance 1."""
    window = _window(values)
    windows = np.lib.stride_tricks.sliding_window_view(values, window, axis=1)[:, ::_STEP].reshape(-1, window)
    power = np.square(np.abs(windows @ _filters(window))) / np.where(_waves(window) == window // 2, *_MEDIANS)
    growth = np.exp(_growth(windows.mean(axis=1), power))
    return np.asarray(np.median(power / growth[:, None], axis=0) * growth.mean())


def largest_shared(values: Float64Array) -> float:
    """How strong noise in ``[views, cells]`` can be that three neighbours share as 0.3 : 1 : 0.3, were there no object.

    Returns:
        A root mean square.
    """
    law = in_bands((1 + 0.6 * np.cos(np.pi * frequencies())) ** 2 / 1.18, _window(values))
    return math.sqrt(float((held_power(values) / law).min()))


def _window(values: Float64Array) -> int:
    return int(min(_WINDOW, values.shape[1] // 2 * 2))


def frequencies() -> Float64Array:
    """Those at which laws are given, as shares of the detector's highest: the middles of even steps."""
    return (np.arange(_FINE) + 0.5) / _FINE


def _growth(brightness: Float64Array, power: Float64Array) -> Float64Array:
    """The logarithm of the noise's growth from window to window, linear in their brightness, as that of photons is.

    Its slope is the median of those between classes of brightness (P. K. Sen, J. Am. Stat. Assoc. 63, 1968), since
    edges are of some classes more than of others.
    """
    classes = min(_CLASSES, len(power) // _FEWEST)
    if classes < 3:
        return np.zeros(len(power))
    parts = np.array_split(np.argsort(brightness, kind="stable"), classes)
    x = np.array([brightness[part].mean() for part in parts])
    y = np.log([max(float(np.median(power[part, -_HIGHEST:], axis=0).min()), _NOTHING) for part in parts])
    low, high = np.triu_indices(classes, 1)
    apart = x[high] > x[low]
    if not apart.any():
        return np.zeros(len(power))
    slope = float(np.median((y[high] - y[low])[apart] / (x[high] - x[low])[apart]))
    return np.asarray(slope * (brightness - brightness.mean()))


def _waves(window: int) -> npt.NDArray[np.intp]:
    return np.arange(max(2, round(_FROM * window)), window // 2 + 1)


@lru_cache(maxsize=8)
def _filters(window: int) -> npt.NDArray[np.complex128]:
    """``[cells, bands]``: a line taken away, Hann's window, one frequency of Fourier's."""
    place = np.arange(window)
    fade = np.sin(np.pi * (place + 1) / (window + 1)) ** 2
    line = np.linalg.qr(np.vander(place - place.mean(), 2))[0]
    filters = fade[:, None] * np.exp(-2j * np.pi / window * place[:, None] * _waves(window))
    filters = filters - line @ (line.T @ filters)
    return np.asarray(filters / np.linalg.norm(filters, axis=0))


def in_bands(laws: Float64Array, window: int) -> Float64Array:
    """What the bands of ``window`` cells hold of ``laws [..., frequencies]``: ``[..., bands]``."""
    return laws @ _responses(window)


@lru_cache(maxsize=8)
def _responses(window: int) -> Float64Array:
    """``[frequencies, bands]``: how much of each a band holds; the sum over frequencies is 1."""
    waves = np.exp(1j * np.pi * frequencies()[:, None] * np.arange(window))
    seen = np.square(np.abs(waves @ _filters(window))) + np.square(np.abs(waves.conj() @ _filters(window)))
    return np.asarray(seen / seen.sum(axis=0))
