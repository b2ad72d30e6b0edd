"""``TV_eps(u) = sum_j h_eps(|(D u)_j|)``: how rough an image is, with edges allowed.

L. Rudin, S. Osher, E. Fatemi, Physica D 60 (1992), smoothed with the function of P. Huber (Ann. Math. Stat. 35, 1964):
``h_eps(t) = t^2 / (2 eps)`` up to ``eps`` and ``t - eps / 2`` beyond, so it never exceeds the total variation and
comes within ``eps / 2`` of it at each pixel.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from ctrecon.energies.base import Energy, Point, Ray, along, inner
from ctrecon.errors import SettingError


def differences(u: Tensor, spatial: int = 2) -> tuple[Tensor, ...]:
    """Forward differences along the last ``spatial`` axes, each of the shape of ``u``; 0 across the border."""
    axes = range(u.ndim - spatial, u.ndim)
    # The last value appended once more: no difference across the border.
    return tuple(torch.diff(u, dim=axis, append=u.narrow(axis, u.shape[axis] - 1, 1)) for axis in axes)


def differences_adjoint(p: tuple[Tensor, ...]) -> Tensor:
    """``D^T p``, the transpose of ``differences`` (minus the divergence)."""
    total = torch.zeros_like(p[0])
    for axis, one in zip(range(total.ndim - len(p), total.ndim), p, strict=True):
        count = total.shape[axis] - 1
        inside = one.narrow(axis, 0, count)
        total.narrow(axis, 0, count).sub_(inside)
        total.narrow(axis, 1, count).add_(inside)
    return total


def magnitude(p: tuple[Tensor, ...]) -> Tensor:
    """``|p_j|_2`` at each pixel."""
    total = p[0] * p[0]
    for one in p[1:]:
        total = total + one * one
    return total.sqrt()


class HuberTV(Energy):
    """Isotropic Huber total variation of ``u``: ``[batch, channel, *spatial]``, each channel by itself.

    Differences are between neighbouring pixels and the sum runs over pixels: with ``u`` in 1/mm, ``epsilon`` (> 0) and
    the energy are in 1/mm; times the pixel's side in mm the energy approximates the integral of ``|grad u|``.
    ``epsilon`` may be one number or one per sample, ``[batch]``. ``spatial`` is the number of image axes.
    Raises SettingError for an ``epsilon`` that is not finite and > 0, or an image with other axes.
    """

    def __init__(self, epsilon: float | Tensor, *, spatial: int = 2) -> None:
        each = torch.as_tensor(epsilon, dtype=torch.float64)
        if each.ndim > 1 or not bool(torch.isfinite(each).all()) or bool((each <= 0).any()):
            raise SettingError(f"the Huber parameter epsilon must be finite and > 0, got {epsilon}")
        self.epsilon, self.spatial = each, spatial

    def at(self, u: Tensor) -> Point:
        """The energy at an image.

        Args:
            u: ``[batch, channel, *spatial]``, with as many axes as ``spatial`` says.

        Returns:
            A point.

        Raises:
            SettingError: For an image with other axes, or a batch that the values of epsilon do not fit.
        """
        if u.ndim != self.spatial + 2:
            raise SettingError(f"expected an image [batch, channel, {self.spatial} axes], got {list(u.shape)}")
        if self.epsilon.ndim and self.epsilon.shape[0] != u.shape[0]:
            raise SettingError(f"{self.epsilon.shape[0]} values of epsilon do not fit a batch of {u.shape[0]}")
        return _HuberTVPoint(self, u, differences(u, self.spatial))

    @property
    def lipschitz(self) -> float:
        """``||D||^2 / epsilon``, and ``||D||^2 <= 4`` for each axis."""
        return 4 * self.spatial / float(self.epsilon.min())

    def threshold(self, like: Tensor) -> Tensor:
        """Epsilon as it is used beside another tensor.

        Args:
            like: ``[batch, ...]``.

        Returns:
            ``epsilon`` in the dtype and on the device of ``like``, so that it broadcasts over its samples.
        """
        return self.epsilon.to(like).view(-1, *(1,) * (like.ndim - 1))

    def sum(self, slopes: tuple[Tensor, ...]) -> Tensor:
        """The energy from differences, ``sum_j h_eps(|p_j|)``.

        Args:
            slopes: ``p = D u``, one tensor ``[batch, channel, *spatial]`` for each axis.

        Returns:
            One number per sample, ``[batch]``, float64.
        """
        t = magnitude(slopes).double()
        epsilon = self.threshold(t)
        return torch.where(t <= epsilon, t * t / (2 * epsilon), t - epsilon / 2).flatten(1).sum(1)

    def weight(self, slopes: tuple[Tensor, ...]) -> Tensor:
        """What the differences are weighted with in the gradient, ``h'(t) / t = 1 / max(t, eps)`` with ``t = |D u|``.

        Args:
            slopes: ``D u``, one tensor ``[batch, channel, *spatial]`` for each axis.

        Returns:
            One number at each pixel, ``[batch, channel, *spatial]``.
        """
        return 1 / torch.maximum(magnitude(slopes), self.threshold(slopes[0]))


class _HuberTVPoint(Point):
    def __init__(
        self, energy: HuberTV, u: Tensor, slopes: tuple[Tensor, ...], last_step: Tensor | None = None
    ) -> None:
        super().__init__(u, last_step)
        self._energy, self.slopes = energy, slopes

    @cached_property
    def value(self) -> Tensor:
        return self._energy.sum(self.slopes)

    @cached_property
    def weight(self) -> Tensor:
        return self._energy.weight(self.slopes)

    @cached_property
    def gradient(self) -> Tensor:
        return differences_adjoint(tuple(self.weight * p for p in self.slopes))

    def along(self, *directions: Tensor) -> Ray:
        return _HuberTVRay(self._energy, self, directions)


class _HuberTVRay(Ray):
    """``curvature`` is that of the half-quadratic majoriser: the model it gives lies above the energy everywhere.

    So a step that lowers the model lowers the energy (D. Geman, C. Yang, IEEE Trans. Image Process. 4, 1995).
    """

    def __init__(self, energy: HuberTV, point: _HuberTVPoint, directions: tuple[Tensor, ...]) -> None:
        super().__init__(directions)
        self._energy, self._point = energy, point
        self._slopes = tuple(differences(d, energy.spatial) for d in directions)

    @cached_property
    def slope(self) -> Tensor:
        flux = tuple(self._point.weight * p for p in self._point.slopes)
        return torch.stack([_inner(flux, each) for each in self._slopes], dim=1)

    @cached_property
    def curvature(self) -> Tensor:
        weighted = tuple(tuple(self._point.weight * p for p in each) for each in self._slopes)
        rows = [torch.stack([_inner(a, b) for b in self._slopes], dim=1) for a in weighted]
        both = torch.stack(rows, dim=1)
        return (both + both.mT) / 2

    def _slopes_at(self, tau: Tensor) -> tuple[Tensor, ...]:
        axes = zip(self._point.slopes, zip(*self._slopes, strict=True), strict=True)
        return tuple(p + along(steps, tau) for p, steps in axes)

    def value(self, tau: Tensor) -> Tensor:
        return self._energy.sum(self._slopes_at(tau))

    def move(self, tau: Tensor) -> Point:
        step = along(self.directions, tau)
        # From the image, not from the slopes: the two would drift apart, and differences cost next to nothing.
        u = self._point.u + step
        return _HuberTVPoint(self._energy, u, differences(u, self._energy.spatial), last_step=step)


def _inner(a: tuple[Tensor, ...], b: tuple[Tensor, ...]) -> Tensor:
    return torch.stack([inner(p, q) for p, q in zip(a, b, strict=True)]).sum(0)
