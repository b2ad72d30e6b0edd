"""Energies: what the descent needs to know of a problem, and nothing else.

An energy is a function of an image, one value per sample of a batch. It hands out *points* (``points.py``), which
remember what they computed, and those *rays*, along which it is known at little cost. One that gives ``value``
alone gets all the rest by automatic differentiation (``derived.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property, reduce
from typing import Any, TypeVar

import torch
from torch import Tensor

from ctrecon.energies.derived import DerivedPoint, largest_curvature
from ctrecon.energies.points import Point, Ray, along, inner, scaled
from ctrecon.errors import SettingError

P = TypeVar("P")

__all__ = ["Energy", "Point", "Ray", "SumEnergy", "along", "inner", "scaled"]


class Energy:
    """A function of an image, bounded below and differentiable almost everywhere. New ones are one file with one class.

    The least is one method, ``value``. ``at`` is written where the energy knows a cheaper way, such as projections that
    serve all points of a line.
    """

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if cls.at is Energy.at and cls.value is Energy.value:
            raise TypeError(f"the energy {cls.__name__} needs value(self, u) -> [batch], or at(self, u)")

    def value(self, u: Tensor) -> Tensor:
        """``E(u)``.

        Args:
            u: ``[batch, channel, *spatial]``.

        Returns:
            One number per sample, ``[batch]``; of operations that torch differentiates where ``at`` is not written.
        """
        return self.at(u).value

    def at(self, u: Tensor) -> Point:
        """The energy at an image.

        Args:
            u: ``[batch, channel, *spatial]``.

        Returns:
            A point, which computes value and gradient when they are asked for, and remembers them.
        """
        return DerivedPoint(self.value, u)

    def resumed(self, state: Mapping[str, Any]) -> Point:
        """The point of a checkpoint, as it was when steps had led there.

        Args:
            state: What ``Point.state`` was.

        Returns:
            The same point, bit by bit.
        """
        point = self.at(state["u"])
        point.last_step = state["last_step"]
        return point

    @property
    def lipschitz(self) -> float | None:
        """A bound (or close estimate) of the gradient's Lipschitz constant; None where the energy states none."""
        return None

    def lipschitz_at(self, u: Tensor) -> float:
        """A bound, or close estimate, of the gradient's Lipschitz constant near an image.

        Args:
            u: ``[batch, channel, *spatial]``.

        Returns:
            ``lipschitz`` where it is stated, else the largest curvature at ``u`` over all samples, by power iterations.

        Raises:
            SettingError: Where the energy states no constant and its points are its own, so that none can be computed.
        """
        return largest_curvature(self.at(u)) if self.lipschitz is None else self.lipschitz

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

    def resumed(self, state: Mapping[str, Any]) -> Point:
        parts = zip(self.parts, state["parts"], strict=True)
        points = tuple((a, energy.resumed(one)) for (a, energy), one in parts)
        return _SumPoint(state["u"], points, state["last_step"])

    @property
    def lipschitz(self) -> float | None:
        stated = [(a, energy.lipschitz) for a, energy in self.parts if a]
        known = [a * one for a, one in stated if one is not None]
        return sum(known) if len(known) == len(stated) else None

    def lipschitz_at(self, u: Tensor) -> float:
        return sum(a * energy.lipschitz_at(u) for a, energy in self.parts if a)


def _weighted(parts: tuple[tuple[float, P], ...], get: Callable[[P], Tensor]) -> Tensor:
    """``sum_i a_i get(part_i)``; a part of factor 0, which may still hold the data, is not computed."""
    terms = [a * get(part) for a, part in parts if a] or [torch.zeros_like(get(parts[0][1]))]
    return reduce(torch.add, terms)


class _SumPoint(Point):
    def __init__(self, u: Tensor, parts: tuple[tuple[float, Point], ...], last_step: Tensor | None = None) -> None:
        super().__init__(u, last_step)
        self._parts = parts

    @cached_property
    def value(self) -> Tensor:
        return _weighted(self._parts, lambda point: point.value)

    @cached_property
    def gradient(self) -> Tensor:
        return _weighted(self._parts, lambda point: point.gradient)

    @property
    def state(self) -> dict[str, Any]:
        return {**super().state, "parts": [point.state for _, point in self._parts]}

    @property
    def doubt(self) -> Tensor:
        return _weighted(self._parts, lambda point: point.doubt)

    @cached_property
    def _fresh(self) -> Point:
        return _SumPoint(self.u, tuple((a, point.fresh()) for a, point in self._parts), self.last_step)

    def fresh(self, which: Tensor | None = None) -> Point:
        if not bool((self.doubt > 0).any()):
            return self
        if which is None:
            return self._fresh
        return _SumPoint(self.u, tuple((a, point.fresh(which)) for a, point in self._parts), self.last_step)

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
        return _weighted(self._parts, lambda ray: ray.slope)

    @cached_property
    def curvature(self) -> Tensor:
        return _weighted(self._parts, lambda ray: ray.curvature)

    def value(self, tau: Tensor) -> Tensor:
        return _weighted(self._parts, lambda ray: ray.value(tau))

    def move(self, tau: Tensor) -> Point:
        parts = tuple((a, ray.move(tau)) for a, ray in self._parts)
        return _SumPoint(parts[0][1].u, parts, parts[0][1].last_step)

    def discrepancy(self, tau: Tensor) -> Tensor | None:
        return next((d for _, ray in self._parts if (d := ray.discrepancy(tau)) is not None), None)

    def reach(self, tau: Tensor, delta: Tensor) -> Tensor | None:
        return next((t for _, ray in self._parts if (t := ray.reach(tau, delta)) is not None), None)
