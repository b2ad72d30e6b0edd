"""Points and rays: an energy at one image, and along straight lines from it.

A point remembers what it computed; a ray knows the energy without further projections. Values, slopes and steps are per
sample of a batch ``[batch, ...]``; sums run in float64 whatever the images are in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor


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
        """The energy along the ray.

        Args:
            tau: How far along each direction, ``[batch, directions]``, float64.

        Returns:
            ``E(u + sum_j tau_j d_j)``, ``[batch]``.
        """

    @abstractmethod
    def move(self, tau: Tensor) -> Point:
        """A step along the ray.

        Args:
            tau: How far along each direction, ``[batch, directions]``, float64.

        Returns:
            The point reached; its ``last_step`` is the way taken.
        """

    def discrepancy(self, tau: Tensor) -> Tensor | None:
        """The discrepancy along the ray.

        Args:
            tau: How far along each direction, ``[batch, directions]``, float64.

        Returns:
            What ``Point.discrepancy`` is there, ``[batch]``; None where the energy compares with no data.
        """
        return None

    def reach(self, tau: Tensor, delta: Tensor) -> Tensor | None:
        """Where on the way to ``tau`` the discrepancy falls to ``delta``.

        Args:
            tau: The end of the way, ``[batch, directions]``, float64.
            delta: The discrepancy asked for, ``[batch]``, in the units of the data.

        Returns:
            The smallest ``t`` in [0, 1] with ``discrepancy(t tau) <= delta``, ``[batch]``, NaN where there is none;
            None where the energy does not tell.
        """
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
        """The energy along straight lines from here.

        Args:
            directions: One or several, each of the shape of ``u``.

        Returns:
            The ray they span.
        """

    @property
    def state(self) -> dict[str, Any]:
        """What ``Energy.resumed`` makes the same point of, bit by bit; more where steps carry along more than ``u``."""
        return {"u": self.u, "last_step": self.last_step}

    @property
    def doubt(self) -> Tensor:
        """How far ``value`` may be off by the rounding of the steps that led here: ``[batch]``, 0 where none did.

        What a step adds to ``u`` and what it adds to ``A u`` are rounded apart, so the two drift from each other.
        """
        return torch.zeros(self.u.shape[0], dtype=torch.float64, device=self.u.device)

    def fresh(self, which: Tensor | None = None) -> Point:
        """The same point computed anew from ``u``, without doubt; costs a projection where there is some.

        Args:
            which: The samples, ``[batch]``, bool; the others stay as they are. None for all.

        Returns:
            A point at the same ``u``; this one where nothing is in doubt.
        """
        return self

    @property
    def residual(self) -> Tensor | None:
        """``A u - f`` where the energy compares with data, else None."""
        return None

    @property
    def discrepancy(self) -> Tensor | None:
        """``||W^(1/2) (A u - f)||`` per sample where the energy compares with data, else None: ``[batch]``."""
        return None


def semidefinite(model: Tensor) -> Tensor:
    """The symmetric part without what is negative in it: the nearest model that curves upwards everywhere."""
    values, vectors = torch.linalg.eigh((model + model.mT) / 2)
    nearest: Tensor = (vectors * values.clamp_min(0)[:, None]) @ vectors.mT
    return nearest
