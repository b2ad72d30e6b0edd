"""Sets of true descent directions, and how a proposal gets into them.

A proposal is parted into what lies along ``g = -grad E(u)`` and what lies beside it, ``z = eta g + z_beside``, and both
sets are reached by ``d = a z_beside + c g``. So nothing cancels, however far uphill ``z`` points, and one law serves
the descent (which never has to form ``d``) and the training (which differentiates through it).

"Controlling Neural Networks via Energy Dissipation", equations (8), (15), (21), (22). Two corrections: (15) needs
``zeta2 >= zeta1``, not the reverse; and both constants have the unit of ``1 / L``, so they are given relative to the
gradient's Lipschitz constant ``L``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ctrecon.energies.base import inner, scaled
from ctrecon.errors import SettingError

_TINY = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class Parted:
    """A proposal as ``eta g + beside``, with ``<beside, g> = 0`` up to rounding; per sample, in float64.

    ``descent_beside = <beside, -grad E>`` and ``descent_g = <g, -grad E>``: the true ones, by forward projections,
    where ``g`` comes from an adjoint that is not quite one; else 0 and ``|g|^2``.
    """

    eta: Tensor
    beside_squared: Tensor
    g_squared: Tensor
    descent_beside: Tensor
    descent_g: Tensor


class DissipationSet(Protocol):
    """A set of directions ``d`` with ``<d, -grad E> > 0``, and a map into it."""

    def coefficients(self, z: Parted) -> Tensor:
        """The map into the set, of ``d = eta g + beside`` to ``a beside + c g``.

        Args:
            z: A proposal for each sample, parted.

        Returns:
            ``(a, c)`` with ``a beside + c g`` in the set: ``[batch, 2]``, float64; ``(1, eta)`` is the proposal.
        """
        ...


def _positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise SettingError(f"{name} must be finite and > 0, got {value}")


@dataclass(frozen=True)
class HalfSpace:
    """``<d, g> >= zeta |g|^2`` (or ``>= zeta |g|`` as printed in (8) with ``as_printed``), by the projection (21).

    Scaled by ``|g|`` the layer is continuous where the gradient vanishes, and lets the descent come to rest there.
    """

    zeta: float
    as_printed: bool = False

    def __post_init__(self) -> None:
        _positive("zeta", self.zeta)

    def coefficients(self, z: Parted) -> Tensor:
        """The projection (21): what lies beside g stays, what lies along it is raised as far as needed.

        Args:
            z: A proposal for each sample, parted.

        Returns:
            ``(1, c)``, ``[batch, 2]``, float64; c is eta where the proposal is in the set, or the gradient is zero.
        """
        needed = self.zeta * (z.descent_g.clamp_min(0).sqrt() if self.as_printed else z.descent_g)
        # As in the paper, the division is guarded: no direction descends where the gradient is zero.
        least = (needed - z.descent_beside) / z.descent_g.clamp_min(_TINY)
        c = torch.where(z.descent_g > 0, torch.maximum(z.eta, least), z.eta)
        return torch.stack([torch.ones_like(c), c], dim=1)


@dataclass(frozen=True)
class Cone:
    """``<d, g> >= zeta1 |g|^2`` and ``|d| <= zeta2 |g|`` (15), by the parametrisation (22)."""

    zeta1: float
    zeta2: float

    def __post_init__(self) -> None:
        _positive("zeta1", self.zeta1)
        _positive("zeta2", self.zeta2)
        if self.zeta2 < self.zeta1:
            raise SettingError(f"the cone needs zeta2 >= zeta1, got zeta1 = {self.zeta1} and zeta2 = {self.zeta2}")

    def coefficients(self, z: Parted) -> Tensor:
        """The parametrisation (22): along g within ``zeta1`` and ``zeta2``, beside it cut to the length that is left.

        Args:
            z: A proposal for each sample, parted.

        Returns:
            ``(a, c)``, ``[batch, 2]``, float64, with ``0 <= a <= 1`` and ``zeta1 <= c <= zeta2``.
        """
        # More along g where what lies beside it ascends a little, as with an adjoint that is not quite one.
        least = self.zeta1 - z.descent_beside.clamp_max(0) / z.descent_g.clamp_min(_TINY)
        clipped = torch.maximum(z.eta, least).clamp(self.zeta1, self.zeta2)
        # The root is taken of something positive even where the gradient of the training passes through zero.
        width = z.beside_squared.clamp_min(_TINY).sqrt()
        room = ((self.zeta2**2 - clipped**2) * z.g_squared).clamp_min(0)
        a = (room.clamp_min(_TINY).sqrt() / width).clamp_max(1)
        a = torch.where(room > 0, a, torch.zeros_like(a))
        return torch.stack([a, clipped], dim=1)


def part(z: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    """``(beside, eta)`` with ``z = beside + eta g``, both in float64.

    ``beside`` is formed as an image: from inner products alone it would drown in rounding. What is no more than the
    rounding of ``z`` itself is set to zero.
    """
    wide, g = z.double(), g.double()
    g_squared = inner(g, g)
    beside, eta = wide, torch.zeros_like(g_squared)
    for _ in range(2):
        # Twice, for the first time leaves the rounding of a large eta.
        more = inner(beside, g) / g_squared.clamp_min(_TINY)
        beside, eta = beside - scaled(more, g), eta + more
    rounding = 2 * torch.finfo(z.dtype).eps * inner(wide, wide).sqrt()
    lost = inner(beside, beside).sqrt() <= rounding
    return torch.where(lost.view(-1, *(1,) * (z.ndim - 1)), torch.zeros_like(beside), beside), eta


def dissipate(where: DissipationSet, z: Tensor, g: Tensor) -> Tensor:
    """The layer (21) or (22) of the paper for a matched adjoint: ``z`` bent into a set of descent directions.

    Differentiable in ``z`` and ``g``. What is in the set stays as it is. In the precision of ``z``: ``<d, g>`` is right
    up to its rounding of ``|d| |g|``.

    Args:
        where: The set: ``HalfSpace`` (21) or ``Cone`` (22).
        z: The proposals, ``[batch, channel, *spatial]``.
        g: Minus the gradients, of the same shape.

    Returns:
        Directions of the same shape.
    """
    beside, eta = part(z, g)
    g_squared = inner(g, g)
    parted = Parted(eta, inner(beside, beside), g_squared, torch.zeros_like(eta), g_squared)
    a, c = where.coefficients(parted).unbind(1)
    stays = ((a == 1) & (c == eta)).view(-1, *(1,) * (z.ndim - 1))
    bent = (scaled(a, beside) + scaled(c, g.double())).to(z)
    return torch.where(stays, z, bent)
