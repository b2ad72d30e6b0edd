"""The cosine transform along the last axis, by numpy's Fourier transform: ``scipy.fft`` takes 0.2 s to load."""

from __future__ import annotations

import numpy as np

from ctrecon.support.arrays import Array, Float64Array


def dct(x: Array) -> Float64Array:
    """The second kind: ``y_k = 2 sum_n x_n cos(pi k (2 n + 1) / (2 N))``.

    Args:
        x: ``[..., N]``.

    Returns:
        ``[..., N]``.
    """
    count = x.shape[-1]
    spectrum = np.fft.rfft(np.concatenate([x, x[..., ::-1]], axis=-1), axis=-1)[..., :count]
    return np.asarray((spectrum * np.exp(-0.5j * np.pi * np.arange(count) / count)).real)


def idct(y: Array) -> Float64Array:
    """The inverse of ``dct``.

    Args:
        y: ``[..., N]``.

    Returns:
        ``[..., N]``.
    """
    count = y.shape[-1]
    turned = y * np.exp(0.5j * np.pi * np.arange(count) / count)
    whole = np.concatenate([turned, np.zeros((*y.shape[:-1], 1))], axis=-1)
    return np.asarray(np.fft.irfft(whole, n=2 * count, axis=-1)[..., :count])
