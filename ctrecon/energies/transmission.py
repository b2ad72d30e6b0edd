"""The likelihood of transmission counts: ``y_i ~ Poisson(b_i exp(-[A u]_i) + r_i)``.

K. Lange, R. Carson, J. Comput. Assist. Tomogr. 8 (1984); H. Erdogan, J. Fessler, IEEE Trans. Med. Imaging 18 (1999).
It knows that a ray with 3 counts says less than one with 3,000, and what a ray with none says.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ctrecon.energies.base import Energy, Point, Ray, along, inner
from ctrecon.energies.rounding import chosen, rounding_of_a_step
from ctrecon.errors import SettingError
from ctrecon.operators.base import LinearOperator


class Transmission(Energy):
    """``E(u) = sum_i m_i - y_i log m_i`` with ``m_i = b_i exp(-[A u]_i) + r_i``, less its least value over all ``m``.

    ``counts`` y (>= 0), ``blank`` b (>= 0, the counts without an object) and ``background`` r (>= 0) are
    ``[batch, *range_shape]``; b and r may have batch 1. E >= 0, and 2 E is the deviance, about the number of rays at
    the true image. Rays with ``b = 0`` see nothing and count nothing.

    Convex where ``r = 0``, and else where ``m_i^2 >= y_i r_i`` (background far below the counts); ``lipschitz`` holds
    where ``A u >= 0``, as for ``u >= 0``. ``residual`` is ``A u - log(b / max(y - r, 1/2))``: a ray without counts over
    background stands for half a count. There is no ``discrepancy``: E itself is the misfit.
    Raises SettingError for other shapes, negative or non-finite values.
    """

    def __init__(
        self, operator: LinearOperator, counts: Tensor, blank: Tensor, background: Tensor | None = None
    ) -> None:
        if background is None:
            background = torch.zeros_like(counts[:1])
        for name, values in (("counts", counts), ("blank scan", blank), ("background", background)):
            if tuple(values.shape[1:]) != operator.range_shape or values.shape[0] not in (1, counts.shape[0]):
                raise SettingError(
                    f"the {name} have shape {list(values.shape)}, the operator gives [batch, {operator.range_shape}]"
                )
            if not bool(torch.isfinite(values).all()) or bool((values < 0).any()):
                raise SettingError(f"the {name} must be finite and >= 0, got {float(values.min())} at the least")
        self.operator, self.dtype = operator, counts.dtype
        # The exponential and the logarithm in float64: E is a small difference of large numbers.
        self.counts, self.blank, self.background = counts.double(), blank.double(), background.double()
        if bool(((self.blank == 0) & (self.background == 0) & (self.counts > 0)).any()):
            raise SettingError("a ray has counts but neither blank scan nor background; mask it by counts of 0")
        seen = self.blank > 0
        f = torch.log(self.blank / (self.counts - self.background).clamp_min(0.5))
        self.line_integrals = torch.where(seen, f, torch.zeros_like(f))

    def at(self, u: Tensor) -> Point:
        return _TransmissionPoint(self, u, self.operator(u))

    def resumed(self, state: Mapping[str, Any]) -> Point:
        return _TransmissionPoint(self, **state)

    @cached_property
    def lipschitz(self) -> float:
        return self.operator.norm() ** 2 * float(self.blank.max())

    def of_image(self, image: Tensor) -> Tensor:
        """The energy of projections.

        Args:
            image: ``A u``, ``[batch, *range_shape]``.

        Returns:
            E for each sample, ``[batch]``.
        """
        mean = self.blank * torch.exp(-image) + self.background
        y = self.counts
        some = y > 0
        safe = torch.where(some, y, torch.ones_like(y))
        z = (mean - y) / safe
        # m - y - y log(m / y): beside its zero by the form that does not cancel, far from it by the logarithm of m,
        # which is finite where m itself is below all numbers.
        near = y * (z - torch.log1p(z.clamp_min(-0.5)))
        far = mean - y - y * (self._log_mean(image) - safe.log())
        terms = torch.where(some, torch.where(z.abs() < 0.5, near, far), mean)
        return torch.where(self.blank > 0, terms, torch.zeros_like(terms)).flatten(1).sum(1)

    def derivatives(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """The derivatives of each ray's term by ``[A u]_i``.

        Args:
            image: ``A u``, ``[batch, *range_shape]``.

        Returns:
            The first derivative and the expected second one (Fisher), both of the shape of ``image``, float64.
        """
        signal = self.blank * torch.exp(-image)
        share = torch.exp(self.blank.log() - image - self._log_mean(image))  # of the mean that comes through the object
        share = torch.where(self.blank > 0, share, torch.zeros_like(share))
        return share * self.counts - signal, share * signal

    def _log_mean(self, image: Tensor) -> Tensor:
        return torch.logaddexp(self.blank.log() - image, self.background.log())


class _TransmissionPoint(Point):
    def __init__(
        self,
        energy: Transmission,
        u: Tensor,
        image: Tensor,
        last_step: Tensor | None = None,
        last_image: Tensor | None = None,
        drift: Tensor | None = None,
    ) -> None:
        super().__init__(u, last_step)
        self._energy, self.image, self._last_image = energy, image, last_image
        # A bound of ``||A u - image||`` per sample; None for 0.
        self._drift = drift

    @property
    def state(self) -> dict[str, Any]:
        return {**super().state, "image": self.image, "last_image": self._last_image, "drift": self._drift}

    @property
    def drift(self) -> Tensor:
        return torch.zeros_like(self.value) if self._drift is None else self._drift

    @property
    def doubt(self) -> Tensor:
        first, second = self.derivatives
        steepest, bend = inner(first, first).sqrt(), second.flatten(1).amax(1)
        return self.drift * (steepest + bend * self.drift / 2)

    @cached_property
    def _fresh(self) -> _TransmissionPoint:
        image = self._energy.operator(self.u)
        return _TransmissionPoint(self._energy, self.u, image, self.last_step, self._last_image)

    def fresh(self, which: Tensor | None = None) -> Point:
        if self._drift is None or which is None:
            return self if self._drift is None else self._fresh
        image = chosen(which, self._fresh.image, self.image)
        drift = chosen(which, torch.zeros_like(self._drift), self._drift)
        return _TransmissionPoint(self._energy, self.u, image, self.last_step, self._last_image, drift)

    @cached_property
    def value(self) -> Tensor:
        return self._energy.of_image(self.image.double())

    @cached_property
    def derivatives(self) -> tuple[Tensor, Tensor]:
        return self._energy.derivatives(self.image.double())

    @cached_property
    def gradient(self) -> Tensor:
        return self._energy.operator.adjoint(self.derivatives[0].to(self.image))

    @property
    def residual(self) -> Tensor:
        seen = self._energy.blank > 0
        return (self.image - self._energy.line_integrals.to(self.image)) * seen

    def along(self, *directions: Tensor) -> Ray:
        images = tuple(
            self._last_image if d is self.last_step and self._last_image is not None else self._energy.operator(d)
            for d in directions
        )
        return _TransmissionRay(self._energy, self, directions, images)


class _TransmissionRay(Ray):
    def __init__(
        self, energy: Transmission, point: _TransmissionPoint, directions: tuple[Tensor, ...],
        images: tuple[Tensor, ...],
    ) -> None:
        super().__init__(directions)
        self._energy, self._point, self._images = energy, point, images

    @cached_property
    def slope(self) -> Tensor:
        first, _ = self._point.derivatives
        return torch.stack([inner(first, image) for image in self._images], dim=1)

    @cached_property
    def curvature(self) -> Tensor:
        _, fisher = self._point.derivatives
        root = fisher.sqrt()
        scaled = [root * image for image in self._images]
        rows = [torch.stack([inner(a, b) for b in scaled], dim=1) for a in scaled]
        return torch.stack(rows, dim=1)

    def value(self, tau: Tensor) -> Tensor:
        # In float64 along the ray, so that a step search is not led by the rounding of A u in float32.
        images = tuple(image.double() for image in self._images)
        return self._energy.of_image(self._point.image.double() + along(images, tau))

    def move(self, tau: Tensor) -> Point:
        step, image = along(self.directions, tau), along(self._images, tau)
        u, moved = self._point.u + step, self._point.image + image
        lengths = torch.stack([inner(one, one).sqrt() for one in self._images], dim=1)
        size = self._energy.operator.norm() * inner(u, u).sqrt() + inner(moved, moved).sqrt()
        drift = self._point.drift + rounding_of_a_step(u.dtype, size, tau, lengths)
        return _TransmissionPoint(self._energy, u, moved, last_step=step, last_image=image, drift=drift)
