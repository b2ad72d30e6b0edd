"""Super-resolution (paper, section 5.1): an image whose means over squares are the given one.

The energy is ``1/2 ||A u - f||^2`` with average pooling ``A``; of all the images without residual, which are many, the
descent reaches the one that the network leads to. Colour is a luminance, which the network enlarges, and two
differences to it, which are interpolated; every channel descends the same energy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from ctrecon.applications.superresolution.network import EstimateDirection, LowResNet, cone
from ctrecon.descent.descend import descend
from ctrecon.descent.directions import Direction, NegativeGradient
from ctrecon.descent.step import Subspace
from ctrecon.descent.stopping import LowEnergy
from ctrecon.energies.base import Point
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import InputError, SettingError, WeightsError
from ctrecon.networks.dncnn import DnCNN
from ctrecon.networks.pretrained import load_network
from ctrecon.operators.pooling import AveragePooling
from ctrecon.support.arrays import Float64Array

Levels = npt.NDArray[np.float64]

ITERATIONS = 15
# A residual of so much a pixel, for values from 0 to 1, is rounding to the network: its part of the descent is over.
DONE = 2e-5
NETWORKS: tuple[type[LowResNet] | type[DnCNN], ...] = (LowResNet, DnCNN)
# ITU-R BT.601: what of red, green and blue the eye takes for brightness.
RED, GREEN, BLUE = 0.299, 0.587, 0.114
# The features of so many pixels take about 2 GiB.
MOST_PIXELS = 1 << 21


def energy_of(data: Tensor, scale: int) -> LeastSquares:
    """``1/2 ||A u - f||^2`` for ``data [batch, 1, rows, columns]``: ``u`` has ``scale`` times as many of both."""
    return LeastSquares(AveragePooling(scale * data.shape[-2], scale * data.shape[-1], scale), data)


class Interpolation:
    """The stock direction: to the bicubic interpolation of the data."""

    def __init__(self, energy: LeastSquares, scale: int) -> None:
        self._goal = functional.interpolate(energy.data, scale_factor=scale, mode="bicubic", align_corners=False)

    def __call__(self, point: Point) -> Tensor:
        return self._goal - point.u


@dataclass(frozen=True, kw_only=True)
class Enlarged:
    """An image ``[batch, 1, scale rows, scale columns]`` and, from the start on, ``||A u - f||^2 [batch]``."""

    u: Tensor
    misfits: tuple[Tensor, ...]


def enlarge(
    data: Tensor, scale: int, network: nn.Module | None = None, *, most_iterations: int = ITERATIONS
) -> Enlarged:
    """Find an image whose means over squares are the data: minimise ``E(u) = 1/2 ||A u - f||^2``, A pooling, from zero.

    The direction is followed as long as it lowers the energy by a good part of what can be had (``Subspace``); the
    last step goes along the gradient, which for average pooling ends at ``A u = f`` up to rounding.

    Args:
        data: Small images ``[batch, 1, rows, columns]``; for a network values from 0 to 1.
        scale: How many times larger the image is along both axes.
        network: Says where to go; None for towards the interpolated data.
        most_iterations: With the last one.

    Returns:
        Images ``[batch, 1, scale * rows, scale * columns]`` and their misfits ``||A u - f||^2`` iteration by iteration.

    Raises:
        SettingError: For less than one iteration.
    """
    if most_iterations < 1:
        raise SettingError(f"at least one iteration is needed, got {most_iterations}")
    energy = energy_of(data, scale)
    direction: Direction = Interpolation(energy, scale) if network is None else EstimateDirection(network, energy)
    start = torch.zeros((data.shape[0], *energy.operator.domain_shape)).to(data)
    misfits: list[Tensor] = []
    done = LowEnergy(0.5 * DONE**2 * data[0].numel())
    parts: tuple[tuple[Direction, Subspace, tuple[LowEnergy, ...], int], ...] = (
        (direction, Subspace(own_length=True), (done,), most_iterations - 1),
        (NegativeGradient(), Subspace(share=1.0), (), 1),
    )
    for towards, step, stop, count in parts:
        iterates = descend(
            energy, towards, start, dissipation=cone(energy), step=step, stop=stop, most_iterations=count
        )
        for iterate in iterates:
            if iterate.k or not misfits:  # the second descent starts where the first one ended
                misfits.append(2 * iterate.point.value)
            start = iterate.u
    return Enlarged(u=start, misfits=tuple(misfits))


def load_superresolution_network(name_or_path: str, scale: int) -> LowResNet | DnCNN:
    """A network for super-resolution by one factor.

    Args:
        name_or_path: The name of shipped weights, or a file of ``save_network``.
        scale: The factor that it must be made for.

    Returns:
        The network, ready to use.

    Raises:
        WeightsError: Where the file is no such network, or it enlarges by another factor.
    """
    network, card = load_network(name_or_path, NETWORKS)
    trained = network.shape.scale if isinstance(network, LowResNet) else card.get("scale")
    if trained != scale:
        raise WeightsError(
            f"{name_or_path} enlarges by {trained}, not {scale}; train one with train-superres --scale {scale}, "
            "or use --prior none (interpolation)"
        )
    return network


def enlarge_levels(
    levels: Levels, scale: int, network: nn.Module | None, *, lowest: float, highest: float, whole: bool = True,
    most_iterations: int = ITERATIONS,
) -> Levels:
    """Enlarge an image of grey or colour levels; the values are in the same units.

    Of a colour image the network sees the luminance; the differences of the colours are interpolated.

    Args:
        levels: ``[rows, columns]``, or ``[rows, columns, 3]`` for red, green, blue.
        scale: How many times larger along both axes.
        network: Says where to go; None for interpolation.
        lowest: No value is below.
        highest: No value is above.
        whole: Whether values must be whole numbers.
        most_iterations: Of each descent.

    Returns:
        ``[scale * rows, scale * columns]``, with colours ``[..., 3]``, float64, whose means over squares are the given
        values: exactly for whole numbers, else to rounding.

    Raises:
        InputError: For other shapes, too many pixels, or values outside the range.
        SettingError: For a scale below 2.
    """
    if scale < 2:
        raise SettingError(f"the scale must be a whole number >= 2, got {scale}")
    if not (levels.ndim == 2 or (levels.ndim == 3 and levels.shape[2] == 3)) or levels.size == 0:
        raise InputError(f"an image has [rows, columns] or [rows, columns, 3] values, got {list(levels.shape)}")
    if levels.shape[0] * levels.shape[1] > MOST_PIXELS:
        raise InputError(
            f"the image has {levels.shape[0]} x {levels.shape[1]} pixels, more than {MOST_PIXELS}; enlarge parts of it"
        )
    if not bool(np.isfinite(levels).all()) or levels.min() < lowest or levels.max() > highest:
        raise InputError(f"the image must hold values from {lowest:g} to {highest:g}")
    planes = [levels] if levels.ndim == 2 else _luminance_and_differences(levels)
    low, span = float(planes[0].min()), max(float(planes[0].max() - planes[0].min()), 1e-12)

    def larger(plane: Float64Array, prior: nn.Module | None, offset: float) -> Float64Array:
        data = torch.from_numpy((plane - offset) / span)[None, None].float()
        return enlarge(data, scale, prior, most_iterations=most_iterations).u[0, 0].double().numpy() * span + offset

    found = [larger(plane, network if i == 0 else None, low if i == 0 else 0.0) for i, plane in enumerate(planes)]
    image = found[0] if levels.ndim == 2 else _colours(*found)
    fit = partial(fitted, scale=scale, lowest=lowest, highest=highest, whole=whole)
    if levels.ndim == 2:
        return fit(image, levels)
    return np.stack([fit(image[..., c], levels[..., c]) for c in range(3)], axis=-1)


def _luminance_and_differences(levels: Levels) -> list[Float64Array]:
    red, green, blue = np.moveaxis(levels, -1, 0)
    luminance = RED * red + GREEN * green + BLUE * blue
    return [luminance, red - luminance, blue - luminance]


def _colours(luminance: Float64Array, red: Float64Array, blue: Float64Array) -> Float64Array:
    # The weights add up to one, so the three differences cancel.
    green = -(RED * red + BLUE * blue) / GREEN
    return np.stack([luminance + red, luminance + green, luminance + blue], axis=-1)


def fitted(
    u: Float64Array, f: Float64Array, scale: int, *, lowest: float, highest: float, whole: bool
) -> Float64Array:
    """The nearest image to ``u`` within the range whose means over squares are ``f``; then rounded within each square.

    Of a square's values as many are rounded up as its mean needs, those with the largest fractions: where ``f`` is
    whole, nothing of it is lost. ``[scale rows, scale columns]`` and ``[rows, columns]``.
    """
    rows, columns = f.shape
    squares = u.reshape(rows, scale, columns, scale).transpose(0, 2, 1, 3).reshape(rows * columns, scale**2)
    means = f.reshape(-1, 1)
    squares = squares + (means - squares.mean(1, keepdims=True))
    outside = (squares.min(1) < lowest) | (squares.max(1) > highest)
    squares[outside] = _within(squares[outside], means[outside], lowest, highest)
    if whole:
        down = np.floor(squares)
        missing = np.rint(means * scale**2 - down.sum(1, keepdims=True))
        # Ranks of the fractions, the largest first; what is at the upper end already cannot be rounded up.
        fractions = np.where(down < highest, squares - down, -1.0)
        ranks = np.argsort(np.argsort(-fractions, axis=1, kind="stable"), axis=1, kind="stable")
        squares = down + (ranks < missing)
    else:
        # Files of measured values hold float32; what is certified is what they hold.
        squares = squares.astype(np.float32).astype(np.float64)
    image: Float64Array = squares.reshape(rows, columns, scale, scale).transpose(0, 2, 1, 3).reshape(u.shape)
    return image


def _within(squares: Float64Array, means: Float64Array, lowest: float, highest: float) -> Float64Array:
    """The projection onto box and mean: ``clip(square + t)`` has the mean wanted for one ``t``, found by halving."""
    low, high = lowest - squares.max(1, keepdims=True), highest - squares.min(1, keepdims=True)
    for _ in range(60):
        t = (low + high) / 2
        small = np.clip(squares + t, lowest, highest).mean(1, keepdims=True) < means
        low, high = np.where(small, t, low), np.where(small, high, t)
    within: Float64Array = np.clip(squares + (low + high) / 2, lowest, highest)
    return within
