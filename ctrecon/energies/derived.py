"""Points and rays of an energy of which only the value is known, by automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from ctrecon.energies.points import Point, scaled
from ctrecon.energies.stepping import SteppingPoint, norm
from ctrecon.errors import SettingError

Value = Callable[[Tensor], Tensor]


class DerivedPoint(SteppingPoint):
    """``value(u)`` and its derivatives. Raises SettingError where ``value`` is no differentiable number per sample."""

    def __init__(self, function: Value, u: Tensor, last_step: Tensor | None = None) -> None:
        super().__init__(u, last_step)
        self._function = function

    @cached_property
    def value(self) -> Tensor:
        with torch.no_grad():
            return self._checked(self._function(self.u)).double()

    @cached_property
    def gradient(self) -> Tensor:
        with torch.enable_grad():
            leaf, total = self._total()
            return torch.autograd.grad(total, leaf)[0]

    def bends(self, *directions: Tensor) -> list[Tensor]:
        """``H(u) d`` for each direction; nothing where the gradient is constant."""
        with torch.enable_grad():
            leaf, total = self._total()
            (gradient,) = torch.autograd.grad(total, leaf, create_graph=True)
            if not gradient.requires_grad:
                return [torch.zeros_like(d) for d in directions]
            found = (
                torch.autograd.grad((gradient * d).sum(), leaf, retain_graph=True, allow_unused=True)[0]
                for d in directions
            )
            return [torch.zeros_like(d) if h is None else h for h, d in zip(found, directions, strict=True)]

    def moved(self, step: Tensor) -> DerivedPoint:
        return DerivedPoint(self._function, self.u + step, step)

    def _total(self) -> tuple[Tensor, Tensor]:
        leaf = self.u.detach().clone().requires_grad_()
        value = self._checked(self._function(leaf))
        if not value.requires_grad:
            raise SettingError(
                "the energy's value does not hang on u by operations of torch, so it has no gradient; give it at(u)"
            )
        return leaf, value.sum()

    def _checked(self, value: object) -> Tensor:
        batch = self.u.shape[0]
        if not isinstance(value, Tensor) or not value.is_floating_point() or tuple(value.shape) != (batch,):
            got = f"{value.dtype} of shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise SettingError(
                f"an energy's value must be one floating point number per sample, [{batch}], got {got}; "
                "sum over a sample by .flatten(1).sum(1)"
            )
        return value


def largest_curvature(point: Point, *, iterations: int = 15) -> float:
    """The largest eigenvalue of the second derivative at a point, over all samples: by power iterations on rays.

    A lower bound, within a few percent in practice; along a ray the energy may state a model above itself instead.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(point.u.shape, generator=generator, dtype=torch.float32).to(point.u)
    if not isinstance(point, DerivedPoint):
        raise SettingError(f"{type(point).__name__} states no Lipschitz constant; give its energy a property lipschitz")
    largest = 0.0
    for _ in range(iterations):
        noise = scaled(1 / norm(noise).clamp_min(1e-300), noise).to(noise)
        (noise,) = point.bends(noise)
        largest = float(norm(noise).max())
        if largest == 0.0:
            break
    return largest
