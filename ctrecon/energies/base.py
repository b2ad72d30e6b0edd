"""Energies, points and rays: what the descent needs to know of a problem, and nothing else.

An energy hands out *points*, which remember what they computed; a point hands out *rays*, along which the energy is
known without further projections. Values, slopes and steps are per sample of a batch ``[batch, ...]``; sums run in
float64 whatever the images are in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property

import torch
from torch import Tensor

from ctrecon.errors import SettingError


def inner(a: Tensor, b: Tensor) -> Tensor:
    """``<a_i, b_i>`` for each sample ``i``, accumulated in float64: ``[batch]``."""
    return (a.double() * b.double()).flatten(1).sum(1)


def along(directions: tuple[Tensor, ...], tau: Tensor) -> Tensor:
    """``sum_j tau[:, j] directions[j]``, in the dtype of the directions; nothing of one whose ``tau`` is 0."""
    total = _times(tau[:, 0], directions[0])
    for j in range(1, len(directions)):
        total = total + _times(tau[:, j], directions[j])
    return total


def _times(tau: Tensor, direction: Tensor) -> Tensor:
    product = scaled(tau.to(direction), direction)
    if bool((tau == 0).any()):
        # 0 times a value that is not finite would be none either.
        product = torch.where((tau == 0).view(-1, *(1,) * (direction.ndim - 1)), torch.zeros_like(product), product)
    return product


def scaled(factor: Tensor, u: Tensor) -> Tensor:
    """``factor_i u_i`` for each sample ``i``; in float64 where ``factor`` or ``u`` is."""
    return factor.view(-1, *(1,) * (u.ndim - 1)) * u


class Ray(ABC):
    """The energy over ``u + sum_j tau[:, j] d_j``, for ``tau`` of shape ``[batch, directions]`` in float64."""

    def __init__(self, directions: tuple[Tensor, ...]) -> None:
        self.directions = directions

    @property
    @abstractmethod
    def slope(self) -> Tensor:
        """``<grad E(u), d_j>``: ``[batch, directions]``, without use of the adjoint."""

    @property
    @abstractmethod
    def curvature(self) -> Tensor:
        """A positive semidefinite model of the second derivative at ``tau = 0``: ``[batch, directions, directions]``.

        Exact for quadratic energies. Not a mere bound such as L times the identity: its minimum over a span that holds
        the gradient is the gradient step, whatever else is in the span.
        """

    @abstractmethod
    def value(self, tau: Tensor) -> Tensor:
        """``E(u + sum_j tau_j d_j)``: ``[batch]``."""

    @abstractmethod
    def move(self, tau: Tensor) -> Point:
        """The point reached; its ``last_step`` is the way taken."""

    def discrepancy(self, tau: Tensor) -> Tensor | None:
        """The point's ``discrepancy`` along the ray, where the energy has one: ``[batch]``."""
        return None

    def reach(self, tau: Tensor, delta: Tensor) -> Tensor | None:
        """The smallest ``t`` in [0, 1] with ``discrepancy(t tau) <= delta``, NaN where there is none: ``[batch]``."""
        return None


class Point(ABC):
    """An energy at ``u``: ``[batch, channel, *spatial]``."""

    def __init__(self, u: Tensor, last_step: Tensor | None = None) -> None:
        self.u = u
        self.last_step = last_step

    @property
    @abstractmethod
    def value(self) -> Tensor:
        """``E(u)``: ``[batch]``, float64."""

    @property
    @abstractmethod
    def gradient(self) -> Tensor:
        """``grad E(u)``, of the shape of ``u``; by the operator's own adjoint, so as exact as that is."""

    @abstractmethod
    def along(self, *directions: Tensor) -> Ray:
        """The energy along one or several directions of the shape of ``u``."""

    @property
    def doubt(self) -> Tensor:
        """How far ``value`` may be off by the rounding of the steps that led here: ``[batch]``, 0 where none did.

        What a step adds to ``u`` and what it adds to ``A u`` are rounded apart, so the two drift from each other.
        """
        return torch.zeros(self.u.shape[0], dtype=torch.float64, device=self.u.device)

    def fresh(self) -> Point:
        """The same point computed anew from ``u``, without doubt; costs a projection where there is some."""
        return self

    @property
    def residual(self) -> Tensor | None:
        """``A u - f`` where the energy compares with data, else None."""
        return None

    @property
    def discrepancy(self) -> Tensor | None:
        """``||W^(1/2) (A u - f)||`` per sample where the energy compares with data, else None: ``[batch]``."""
        return None


class Energy(ABC):
    """A differentiable function of an image, bounded below. New ones are one file with one class."""

    @abstractmethod
    def at(self, u: Tensor) -> Point:
        """The energy at ``u``: ``[batch, channel, *spatial]``."""

    @property
    @abstractmethod
    def lipschitz(self) -> float:
        """A bound (or close estimate) of the gradient's Lipschitz constant."""

    def __add__(self, other: Energy) -> Energy:
        return SumEnergy(((1.0, self), (1.0, other)))

    def __rmul__(self, factor: float) -> Energy:
        return SumEnergy(((float(factor), self),))


class SumEnergy(Energy):
    """``sum_i a_i E_i`` with ``a_i >= 0``. Data and discrepancy are those of the first part that has them."""

    def __init__(self, parts: tuple[tuple[float, Energy], ...]) -> None:
        flat: list[tuple[float, Energy]] = []
        for factor, energy in parts:
            if not 0 <= factor < float("inf"):
                raise SettingError(f"an energy's factor must be finite and >= 0, got {factor}")
            inside: tuple[tuple[float, Energy], ...]
            inside = energy.parts if isinstance(energy, SumEnergy) else ((1.0, energy),)
            flat += [(factor * a, part) for a, part in inside]
        self.parts: tuple[tuple[float, Energy], ...] = tuple(flat)

    def at(self, u: Tensor) -> Point:
        return _SumPoint(u, tuple((a, energy.at(u)) for a, energy in self.parts))

    @property
    def lipschitz(self) -> float:
        return sum(a * energy.lipschitz for a, energy in self.parts)


class _SumPoint(Point):
    def __init__(self, u: Tensor, parts: tuple[tuple[float, Point], ...], last_step: Tensor | None = None) -> None:
        super().__init__(u, last_step)
        self._parts = parts

    @cached_property
    def value(self) -> Tensor:
        return torch.stack([a * point.value for a, point in self._parts]).sum(0)

    @cached_property
    def gradient(self) -> Tensor:
        total = self._parts[0][0] * self._parts[0][1].gradient
        for a, point in self._parts[1:]:
            total = total + a * point.gradient
        return total

    @property
    def doubt(self) -> Tensor:
        return torch.stack([a * point.doubt for a, point in self._parts]).sum(0)

    @cached_property
    def _fresh(self) -> Point:
        return _SumPoint(self.u, tuple((a, point.fresh()) for a, point in self._parts), self.last_step)

    def fresh(self) -> Point:
        return self._fresh if bool((self.doubt > 0).any()) else self

    def along(self, *directions: Tensor) -> Ray:
        return _SumRay(directions, tuple((a, point.along(*directions)) for a, point in self._parts))

    @property
    def residual(self) -> Tensor | None:
        return next((point.residual for _, point in self._parts if point.residual is not None), None)

    @property
    def discrepancy(self) -> Tensor | None:
        return next((point.discrepancy for _, point in self._parts if point.discrepancy is not None), None)


class _SumRay(Ray):
    def __init__(self, directions: tuple[Tensor, ...], parts: tuple[tuple[float, Ray], ...]) -> None:
        super().__init__(directions)
        self._parts = parts

    @cached_property
    def slope(self) -> Tensor:
        return torch.stack([a * ray.slope for a, ray in self._parts]).sum(0)

    @cached_property
    def curvature(self) -> Tensor:
        return torch.stack([a * ray.curvature for a, ray in self._parts]).sum(0)

    def value(self, tau: Tensor) -> Tensor:
        return torch.stack([a * ray.value(tau) for a, ray in self._parts]).sum(0)

    def move(self, tau: Tensor) -> Point:
        parts = tuple((a, ray.move(tau)) for a, ray in self._parts)
        return _SumPoint(parts[0][1].u, parts, parts[0][1].last_step)

    def discrepancy(self, tau: Tensor) -> Tensor | None:
        return next((d for _, ray in self._parts if (d := ray.discrepancy(tau)) is not None), None)

    def reach(self, tau: Tensor, delta: Tensor) -> Tensor | None:
        return next((t for _, ray in self._parts if (t := ray.reach(tau, delta)) is not None), None)
