"""Points and rays of an energy of which only the value is known, by automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from ctrecon.energies.points import Point, Ray, along, inner, scaled, semidefinite
from ctrecon.errors import SettingError

Value = Callable[[Tensor], Tensor]


class DerivedPoint(Point):
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

    def along(self, *directions: Tensor) -> Ray:
        return _DerivedRay(self, directions)

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


class _DerivedRay(Ray):
    def __init__(self, point: DerivedPoint, directions: tuple[Tensor, ...]) -> None:
        super().__init__(directions)
        self._point = point
        self._tried: tuple[Tensor, DerivedPoint] | None = None

    @cached_property
    def slope(self) -> Tensor:
        return torch.stack([inner(self._point.gradient, d) for d in self.directions], dim=1)

    @cached_property
    def curvature(self) -> Tensor:
        lengths = torch.stack([inner(d, d).sqrt() for d in self.directions], dim=1)
        inverse = 1 / lengths.T.clamp_min(1e-300)
        units = [scaled(one, d).to(d) for one, d in zip(inverse, self.directions, strict=True)]
        bends = self._point.bends(*units)
        model = torch.stack([torch.stack([inner(bend, one) for one in units], dim=1) for bend in bends], dim=1)
        curvature: Tensor = lengths[:, :, None] * semidefinite(model) * lengths[:, None, :]
        return curvature

    def value(self, tau: Tensor) -> Tensor:
        return self._point.value if not bool(tau.any()) else self._reached(tau).value

    def move(self, tau: Tensor) -> Point:
        return self._reached(tau)

    def _reached(self, tau: Tensor) -> DerivedPoint:
        """A step search looks at the point it then moves to: it is computed once."""
        if self._tried is None or not torch.equal(self._tried[0], tau):
            self._tried = (tau.clone(), self._point.moved(along(self.directions, tau)))
        return self._tried[1]


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
        length = inner(noise, noise).sqrt()
        noise = scaled(1 / length.clamp_min(1e-300), noise).to(noise)
        (noise,) = point.bends(noise)
        largest = float(inner(noise, noise).sqrt().max())
        if largest == 0.0:
            break
    return largest
