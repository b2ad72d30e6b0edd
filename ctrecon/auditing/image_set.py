"""The images that a certified range speaks of: ``||W^(1/2) (A u - f)|| <= delta``, ``TV(u) <= kappa``, a box.

``TV(u) = sum_j sqrt((D_0 u)_j^2 + (D_1 u)_j^2)`` with forward differences of pixel values, as in ``huber_tv.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ctrecon.auditing.norms import norms
from ctrecon.classical.tv import tv_at_discrepancy
from ctrecon.energies.huber_tv import differences, magnitude
from ctrecon.errors import SettingError
from ctrecon.operators.base import LinearOperator


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """All images ``u [1, rows, columns]`` with these properties, in 1/mm.

    ``operator`` maps ``[batch, 1, rows, columns]`` to ``[batch, 1, views, detectors]``; ``data`` and ``weights``
    (>= 0, or None for 1) are ``[1, 1, views, detectors]``, of the operator's dtype. ``kappa`` bounds the sum over
    pixels of the length of their forward differences, in 1/mm.
    ``known_norms`` are those of ``norms``, where they are known. Raises SettingError for bounds that are not finite,
    delta or kappa <= 0, or ``lo >= hi``.
    """

    operator: LinearOperator
    data: Tensor
    weights: Tensor | None = None
    delta: float
    kappa: float
    lo: float
    hi: float
    known_norms: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("delta", "kappa"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise SettingError(f"{name} must be a finite number > 0, got {value!r}")
        if not (math.isfinite(self.lo) and math.isfinite(self.hi) and self.lo < self.hi):
            raise SettingError(f"an image's values must have room between two bounds, got {self.lo!r} to {self.hi!r}")

    @cached_property
    def root(self) -> Tensor | None:
        return None if self.weights is None else self.weights.sqrt()

    @cached_property
    def norms(self) -> tuple[float, float]:
        """Those of operator and differences (``norms.py``)."""
        if self.known_norms is not None:
            return self.known_norms
        return norms(self.operator, self.root, self.data.new_empty((1, *self.operator.domain_shape)))

    def misfit(self, u: Tensor) -> Tensor:
        """How badly images explain the data.

        Args:
            u: ``[batch, 1, rows, columns]``.

        Returns:
            ``||W^(1/2) (A u - f)||``, ``[batch]``.
        """
        r = self.operator(u) - self.data
        length: Tensor = torch.linalg.vector_norm((r if self.root is None else self.root * r).flatten(1), dim=1)
        return length

    def contains(self, u: Tensor, *, margin: float = 0.0) -> bool:
        """Whether one image is inside.

        Args:
            u: ``[1, 1, rows, columns]``.
            margin: The share of delta and of kappa that it must leave; none of the box.

        Returns:
            True where misfit, roughness and values are all within their bounds.
        """
        left = 1 - margin
        within = float(self.misfit(u)) <= left * self.delta and variation(u) <= left * self.kappa
        return within and self.lo <= float(u.min()) and float(u.max()) <= self.hi

    def interior(self, others: Iterable[Tensor] = ()) -> Tensor | None:
        """Search for an image inside with room to spare, among reconstructions by Huber-TV.

        Args:
            others: Further images ``[1, 1, rows, columns]`` that may be one.

        Returns:
            The first found, ``[1, 1, rows, columns]``; None where none is one.
        """
        for share in (0.985, 0.996):
            u = tv_at_discrepancy(
                self.operator, self.data, share * self.delta, weights=self.weights, nonnegative=self.lo >= 0,
                tolerance=1e-3, closeness=0.5 * (1 - share) + 0.002,
            ).image.clamp(self.lo, self.hi)  # fmt: skip
            if self.contains(u, margin=5e-4):
                return u
        return next((u for u in others if self.contains(u, margin=5e-4)), None)


def variation(u: Tensor) -> float:
    """``TV(u)`` of one image ``[1, 1, rows, columns]``, summed in float64."""
    return float(magnitude(differences(u.double())).sum())
