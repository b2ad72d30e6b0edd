"""Sets of true descent directions, and how a proposal gets into them.

Both sets are reached by a combination ``d = a z + b g`` of the proposal ``z`` with ``g = -grad E(u)``, so one law
serves the descent (which never has to form ``d``) and the training (which differentiates through it).

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

from ctrecon.energies.base import along, inner
from ctrecon.errors import SettingError


class DissipationSet(Protocol):
    """A set of directions ``d`` with ``<d, -grad E> > 0``, and a map into it."""

    def coefficients(self, z: Tensor, g: Tensor, descent_z: Tensor, descent_g: Tensor) -> Tensor:
        """``(a, b)`` with ``a z + b g`` in the set: ``[batch, 2]``, float64.

        ``descent_z = <z, -grad E>`` and ``descent_g = <g, -grad E>`` per sample: the true ones, by forward
        projections, where ``g`` comes from an adjoint that is not quite one.
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

    def coefficients(self, z: Tensor, g: Tensor, descent_z: Tensor, descent_g: Tensor) -> Tensor:
        norm = descent_g.clamp_min(0).sqrt()
        needed = self.zeta * (norm if self.as_printed else descent_g)
        # As in the paper, the division is guarded: no direction descends where the gradient is zero.
        push = (needed - descent_z).clamp_min(0) / descent_g.clamp_min(torch.finfo(torch.float64).tiny)
        b = torch.where(descent_g > 0, push, torch.zeros_like(push))
        return torch.stack([torch.ones_like(b), b], dim=1)


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

    def coefficients(self, z: Tensor, g: Tensor, descent_z: Tensor, descent_g: Tensor) -> Tensor:
        tiny = torch.finfo(torch.float64).tiny
        eta = descent_z / descent_g.clamp_min(tiny)
        clipped = eta.clamp(self.zeta1, self.zeta2)
        # The part beside g is formed as an image: from inner products alone it would drown in rounding.
        beside = along((z, g), torch.stack([torch.ones_like(eta), -eta], dim=1))
        # The root is taken of something positive even where the gradient of the training passes through zero.
        width = inner(beside, beside).clamp_min(tiny).sqrt()
        room = ((self.zeta2**2 - clipped**2) * inner(g, g)).clamp_min(0)
        a = (room.clamp_min(tiny).sqrt() / width).clamp_max(1)
        a = torch.where(room > 0, a, torch.zeros_like(a))
        return torch.stack([a, clipped - a * eta], dim=1)


def dissipate(where: DissipationSet, z: Tensor, g: Tensor) -> Tensor:
    """The layer (21) or (22) for a matched adjoint: ``z`` bent into the set; differentiable in ``z`` and ``g``."""
    return along((z, g), where.coefficients(z, g, inner(z, g), inner(g, g)))
