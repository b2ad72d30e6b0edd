"""A region's certified range as a function of kappa, and the largest kappa up to which its sign is certain.

With fixed dual vectors the bound on either end is linear in kappa: it falls by ``max_j |p_j|`` times what kappa grows.
Each pair of vectors proves such a line, and the best of them at each kappa is the curve. The least ``<c, u>`` is convex
in kappa and lies above these lines, so Newton's method from below finds the kappa at which it is 0, and each of its
steps is proved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ctrecon.auditing.assumptions import Assumptions
from ctrecon.auditing.evidence import Evidence
from ctrecon.auditing.primal_dual import smallest
from ctrecon.auditing.regions import Region
from ctrecon.certificates import verify
from ctrecon.certificates.interval import Dual, prove_end
from ctrecon.support.arrays import Array

STEPS, CLOSE = 4, 0.01
"""Of Newton's method: at most so many, and none where kappa grows by less than this share."""
MOST_ITERATIONS = 800
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Line:
    """``<c, u> >= bound - slope (k - kappa)`` for all images within ``TV <= k``, whatever ``k``; proved."""

    kappa: float
    bound: float
    slope: float

    def at(self, kappa: float) -> float:
        """The bound at another roughness.

        Args:
            kappa: Bound on TV, in the image's unit.

        Returns:
            What ``<c, u>`` is at least for all images with ``TV <= kappa``, rounding taken off.
        """
        fall = self.slope * (kappa - self.kappa)
        return self.bound - fall - ROUNDING * abs(fall)

    @property
    def root(self) -> float:
        """The kappa at which it is 0; of one that is level, on which side of 0 it stays."""
        if self.slope > 0:
            return self.kappa + (1 - ROUNDING) * self.bound / self.slope
        return math.inf if self.bound > 0 else -math.inf


@dataclass(frozen=True, kw_only=True)
class Curve:
    """``sign`` is that of the contrast which is asked about; ``towards`` are lines below ``sign <c, u>``, ``away``
    lines below ``-sign <c, u>``.
    """

    sign: int
    towards: tuple[Line, ...]
    away: tuple[Line, ...]

    def range_at(self, kappa: float) -> tuple[float, float]:
        """The proved range of ``<c, u>`` over all images that explain the scan with ``TV <= kappa``.

        Args:
            kappa: Bound on TV, in the image's unit.

        Returns:
            Lower and upper end, in the image's unit.
        """
        near = max(line.at(kappa) for line in self.towards)
        far = max(line.at(kappa) for line in self.away)
        return (near, -far) if self.sign > 0 else (far, -near)

    @property
    def certain_up_to(self) -> float:
        """The largest kappa up to which the sign is proved; may be below the TV of any image that explains the scan."""
        return max(line.root for line in self.towards)


class Asked(Protocol):
    """What the curve needs of an audit."""

    @property
    def evidence(self) -> Evidence: ...
    @property
    def assumptions(self) -> Assumptions: ...
    @property
    def stated(self) -> verify.Problem: ...
    @property
    def inside(self) -> Tensor | None: ...
    @property
    def start(self) -> Tensor: ...
    @property
    def least_roughness(self) -> float: ...


def trace(
    audit: Asked, region: Region, ends: Sequence[Dual], *, most_iterations: int = MOST_ITERATIONS
) -> Curve:
    """The curve through the two ``ends`` found at the audit's own kappa, and where its sign changes.

    ``ends`` are the duals of the lower and the upper end; each step of Newton's method takes ``most_iterations``.
    """
    kappa, c = audit.assumptions.kappa, region.functional
    lower, upper = (_line(audit, kappa, sign * c, dual) for sign, dual in zip((1, -1), ends, strict=True))
    sign = 1 if lower.bound - upper.bound >= 0 else -1  # of the middle of the range
    towards, away, dual = (lower, upper, ends[0]) if sign > 0 else (upper, lower, ends[1])
    lines, least = [towards], audit.least_roughness
    for _ in range(STEPS):
        # Where nothing is proved for images as smooth as the smoothest at hand, that is asked of them first: a line
        # from a large kappa says nothing of small ones.
        at = max(least, *(line.root for line in lines))
        if not 0 < at < math.inf or any(line.kappa == at for line in lines):
            break
        dual = _solve(audit, at, sign * c, dual, most_iterations)
        lines.append(_line(audit, at, sign * c, dual))
        if lines[-1].root <= at * (1 + CLOSE):
            break
    return Curve(sign=sign, towards=tuple(lines), away=(away,))


def _line(audit: Asked, kappa: float, c: Array, dual: Dual) -> Line:
    bound = prove_end(audit.stated, audit.evidence.delta, kappa, c, dual)
    return Line(kappa=kappa, bound=bound, slope=float(np.sqrt(np.square(dual.p).sum(0).max())))


def _solve(audit: Asked, kappa: float, c: Array, begin: Dual, most_iterations: int) -> Dual:
    """The duals of the least ``<c, u>`` at another kappa, starting at ``begin``."""
    images = audit.evidence.image_set(kappa=kappa, lo=audit.assumptions.lo, hi=audit.assumptions.hi)
    inside = audit.inside if audit.inside is not None and images.contains(audit.inside) else None
    size = abs(float((c * audit.evidence.image).sum())) + 1e-300

    def finished(bound: Tensor, found: Tensor) -> Tensor:
        return found - bound <= CLOSE * size

    duals = (torch.from_numpy(begin.y)[None, None].to(images.data), torch.from_numpy(begin.p)[None].to(images.data))
    ends = smallest(
        images, torch.from_numpy(c)[None, None].to(images.data), finished=finished, inside=inside, start=audit.start,
        duals=duals, most_iterations=most_iterations,
    )  # fmt: skip
    return Dual(y=ends.y[0, 0].double().numpy(), p=ends.p[0].double().numpy())
