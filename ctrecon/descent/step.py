"""How far to go: step searches on a ray. None needs a projection beyond those the ray was made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ctrecon.energies.base import Ray
from ctrecon.errors import SettingError


class StepSearch(Protocol):
    """Chooses ``tau`` ``[batch, directions]`` with ``E`` no higher than at the start.

    ``d`` ``[batch, directions]`` are the coefficients of the dissipated direction in the ray's directions (proposal,
    negative gradient and, where ``wants_last_step``, the step before).
    """

    @property
    def wants_last_step(self) -> bool: ...

    def __call__(self, ray: Ray, d: Tensor) -> Tensor: ...


def armijo_holds(ray: Ray, tau: Tensor, c: float) -> Tensor:
    """``E(u + tau) <= E(u) + c <grad E, tau>`` per sample."""
    start = ray.value(torch.zeros_like(tau))
    value = ray.value(tau)
    return torch.isfinite(value) & (value <= start + c * (ray.slope * tau).sum(1))


@dataclass(frozen=True)
class Armijo:
    """Backtracking as in Algorithm 1: from ``tau = 1`` by factors ``rho`` until E falls by ``c`` times the promise."""

    c: float = 1e-4
    rho: float = 0.5
    most_halvings: int = 80
    wants_last_step: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.c < 0.5:
            raise SettingError(f"Armijo's c must lie in (0, 0.5), got {self.c}")
        if not 0 < self.rho < 1:
            raise SettingError(f"Armijo's rho must lie in (0, 1), got {self.rho}")

    def __call__(self, ray: Ray, d: Tensor) -> Tensor:
        tau = d.double().clone()
        for _ in range(self.most_halvings):
            bad = ~armijo_holds(ray, tau, self.c)
            if not bool(bad.any()):
                return tau
            tau[bad] *= self.rho
        tau[~armijo_holds(ray, tau, self.c)] = 0
        return tau


@dataclass(frozen=True)
class ConstantStep:
    """The constant step of Proposition 2, ``zeta1 / (zeta2^2 L)``, for directions in the cone (15)."""

    length: float
    wants_last_step: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.length < float("inf"):
            raise SettingError(f"the step length must be finite and > 0, got {self.length}")

    @staticmethod
    def for_cone(zeta1: float, zeta2: float, lipschitz: float) -> ConstantStep:
        """The length of Proposition 2 of the paper, ``zeta1 / (zeta2^2 L)``: E falls along any direction in the cone.

        Args:
            zeta1: The cone's share of the gradient, > 0.
            zeta2: The cone's largest length in lengths of the gradient.
            lipschitz: L, the Lipschitz constant of the gradient, ``||A||^2`` of least squares.

        Returns:
            The step.

        Raises:
            SettingError: For a length that is not finite and > 0.
        """
        return ConstantStep(zeta1 / (zeta2**2 * lipschitz))

    def __call__(self, ray: Ray, d: Tensor) -> Tensor:
        return self.length * d.double()


def _at_best_length(ray: Ray, d: Tensor) -> Tensor:
    """``t d`` with the ``t`` that minimises the quadratic model of E, for ``d`` in float64."""
    curvature = torch.einsum("bi,bij,bj->b", d, ray.curvature.double(), d)
    tiny = torch.finfo(torch.float64).tiny
    best: Tensor = (-(ray.slope.double() * d).sum(1) / curvature.clamp_min(tiny))[:, None] * d
    return best


@dataclass(frozen=True)
class Subspace:
    """Minimise the quadratic model of E over the span of proposal, negative gradient and last step.

    For a quadratic E this is its minimum over the span, at or below the best step of steepest descent, so the descent
    is guaranteed whatever the proposal; otherwise the model's step is halved until Armijo's condition holds. Where
    the model fails altogether, Armijo's step along the dissipated direction is taken.

    The lowest energy is not the best image: the rest of the span fits noise. So where the dissipated direction alone
    lowers E by at least ``share`` of that, it goes alone, by its best length; with ``own_length``, for directions that
    answer with an image as a whole, by its own length where that suffices. Every step still lowers E by ``share`` of
    what steepest descent would. ``share = 1`` always takes the minimum.
    """

    c: float = 1e-4
    share: float = 0.5
    own_length: bool = False
    wants_last_step: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise SettingError(f"the share must lie in (0, 1], got {self.share}")

    def __call__(self, ray: Ray, d: Tensor) -> Tensor:
        best = self._in_span(ray, d)
        start = ray.value(torch.zeros_like(best))
        d = d.double()
        alone = _at_best_length(ray, d)
        needed = self.share * (start - ray.value(best))
        if self.share == 1:
            return best
        chosen = best
        for tried in (alone, d) if self.own_length else (alone,):
            fall = start - ray.value(tried)
            enough = torch.isfinite(fall) & torch.isfinite(tried).all(1) & (fall >= needed)
            chosen = torch.where(enough[:, None], tried, chosen)
        return chosen

    def _in_span(self, ray: Ray, d: Tensor) -> Tensor:
        curvature, slope = ray.curvature.double(), ray.slope.double()
        # Directions differ by many orders of magnitude; equal diagonals keep the small system well conditioned.
        scale = curvature.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt()
        usable = torch.isfinite(scale) & (scale > 0)
        inverse = torch.where(usable, 1 / scale, torch.zeros_like(scale))
        model = inverse[:, :, None] * curvature * inverse[:, None, :]
        right = -(slope * inverse)
        model = torch.nan_to_num(model, nan=0.0, posinf=0.0, neginf=0.0)
        right = torch.nan_to_num(right, nan=0.0, posinf=0.0, neginf=0.0)
        # Directions that differ by less than their rounding count once.
        rtol = max(1e-10, torch.finfo(ray.directions[0].dtype).eps)
        pseudo = torch.linalg.pinv(model, rtol=rtol, hermitian=True)
        tau: Tensor = inverse * (pseudo @ right[:, :, None])[:, :, 0]
        # A model without curvature has no minimum, and no step is none that helps.
        still = (tau == 0).all(1)
        for _ in range(20):
            bad = ~armijo_holds(ray, tau, self.c)
            if not bool((bad & ~still).any()):
                break
            tau[bad] *= 0.5
        bad = ~armijo_holds(ray, tau, self.c) | still
        if not bool(bad.any()):
            return tau
        tau[bad] = Armijo(c=self.c)(ray, d)[bad]
        return tau


@dataclass(frozen=True)
class WholeAnswers:
    """For directions that answer with an image as a whole, and go on answering where the data are explained already.

    Above ``level``, one energy or one per sample, it is ``Subspace`` with the direction's own length. At or below it
    only noise is left to explain, so the direction goes alone: by its own length where that lowers E, else by its best
    one, and nothing else of the span.
    """

    level: float | Tensor
    c: float = 1e-4
    wants_last_step: bool = True

    def __call__(self, ray: Ray, d: Tensor) -> Tensor:
        far = Subspace(c=self.c, own_length=True)(ray, d)
        near = ray.value(torch.zeros_like(far)) <= torch.as_tensor(self.level, device=far.device)
        if not bool(near.any()):
            return far
        d = d.double()
        alone = _at_best_length(ray, d)
        alone = torch.where(armijo_holds(ray, alone, self.c)[:, None], alone, torch.zeros_like(alone))
        own = torch.where(armijo_holds(ray, d, self.c)[:, None], d, alone)
        return torch.where(near[:, None], own, far)
