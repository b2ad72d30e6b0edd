"""``E(u) = F(A u)``: an energy of the data seen through an operator."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from torch import Tensor

from ctrecon.energies.base import Energy, Point, Ray, along
from ctrecon.operators.base import LinearOperator


class Chain(Energy):
    """``F(A u)`` for any energy F of data ``[batch, *range_shape]``, such as a misfit of one's own.

    Along a line it costs one projection for each direction and none for each step length, and slopes come from forward
    projections alone, so they are right with an adjoint that is not quite one. ``residual`` and ``discrepancy`` are
    those of F, if it has them.

    Args:
        energy: F; one method ``value(self, f)`` is enough.
        operator: A.
    """

    def __init__(self, energy: Energy, operator: LinearOperator) -> None:
        self.energy, self.operator = energy, operator

    def at(self, u: Tensor) -> Point:
        return _ChainPoint(self, u)

    def resumed(self, state: Mapping[str, Any]) -> Point:
        return _ChainPoint(self, **state)

    @property
    def lipschitz(self) -> float | None:
        stated = self.energy.lipschitz
        return None if stated is None else stated * self.operator.norm() ** 2

    def lipschitz_at(self, u: Tensor) -> float:
        """A bound by that of F at ``A u``.

        Args:
            u: ``[batch, *domain_shape]``.

        Returns:
            ``L ||A||^2``, with L of F at ``A u``.

        Raises:
            SettingError: Where F states no constant and none can be computed.
        """
        return self.energy.lipschitz_at(self.operator(u)) * self.operator.norm() ** 2


class _ChainPoint(Point):
    def __init__(
        self, chain: Chain, u: Tensor, last_step: Tensor | None = None, last_image: Tensor | None = None
    ) -> None:
        super().__init__(u, last_step)
        self._chain, self._last_image = chain, last_image

    @property
    def state(self) -> dict[str, Any]:
        return {**super().state, "last_image": self._last_image}

    @cached_property
    def seen(self) -> Point:
        """F at ``A u``, which is projected at each point: u and its image do not drift apart."""
        return self._chain.energy.at(self._chain.operator(self.u))

    @property
    def value(self) -> Tensor:
        return self.seen.value

    @cached_property
    def gradient(self) -> Tensor:
        return self._chain.operator.adjoint(self.seen.gradient)

    @property
    def residual(self) -> Tensor | None:
        return self.seen.residual

    @property
    def discrepancy(self) -> Tensor | None:
        return self.seen.discrepancy

    def along(self, *directions: Tensor) -> Ray:
        images = tuple(
            self._last_image if d is self.last_step and self._last_image is not None else self._chain.operator(d)
            for d in directions
        )
        return _ChainRay(self._chain, self, directions, images)


class _ChainRay(Ray):
    def __init__(
        self, chain: Chain, point: _ChainPoint, directions: tuple[Tensor, ...], images: tuple[Tensor, ...]
    ) -> None:
        super().__init__(directions)
        self._chain, self._point, self._images = chain, point, images
        self._seen = point.seen.along(*images)

    @property
    def slope(self) -> Tensor:
        return self._seen.slope

    @property
    def curvature(self) -> Tensor:
        return self._seen.curvature

    def value(self, tau: Tensor) -> Tensor:
        return self._seen.value(tau)

    def discrepancy(self, tau: Tensor) -> Tensor | None:
        return self._seen.discrepancy(tau)

    def reach(self, tau: Tensor, delta: Tensor) -> Tensor | None:
        return self._seen.reach(tau, delta)

    def move(self, tau: Tensor) -> Point:
        step, image = along(self.directions, tau), along(self._images, tau)
        return _ChainPoint(self._chain, self._point.u + step, last_step=step, last_image=image)
