"""The least misfit of all images in a box, and a proof of how small it can be.

FISTA (A. Beck, M. Teboulle, SIAM J. Imaging Sciences 2, 2009) with restart where the energy rises (B. O'Donoghue,
E. Candes, Found. Comput. Math. 15, 2015), one projection and one back projection an iteration. The residual of each
iterate is a dual vector: it bounds the misfit of all images in the box from below (``docs/guarantees.md``), and the
iteration ends once misfit and bound have met.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ctrecon.energies.base import inner
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import SettingError

# Projections onto the box move little between iterations; the bound costs a few sums over the image.
EVERY = 5


@dataclass(frozen=True, kw_only=True)
class BoxFit:
    """``image`` ``[1, *domain_shape]`` in the box, its ``misfit`` ``||W^(1/2) (A u - f)||``, and a lower ``bound``.

    No image in the box has a misfit below ``bound``, as far as this arithmetic goes: ``dual``, ``[1, *range_shape]``
    in whitened coordinates and float64, is the vector from which it can be proved.
    """

    image: Tensor
    misfit: float
    bound: float
    dual: Tensor
    iterations: int


def fit_in_box(
    energy: LeastSquares,
    low: float,
    high: float,
    *,
    start: Tensor | None = None,
    delta: float = 0.0,
    closeness: float = 0.005,
    most_iterations: int = 400,
) -> BoxFit:
    """Minimise ``energy`` over ``low <= u <= high`` from ``start`` (default: zero) ``[1, *domain_shape]``.

    Ends once the bound is within ``closeness`` of the misfit, or an image is within ``delta``. Raises SettingError for
    an empty box or a batch of several samples.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise SettingError(f"the box must be finite, low <= high, got {low} and {high}")
    if energy.data.shape[0] != 1:
        raise SettingError(f"one sample at a time fits into the box, got {energy.data.shape[0]}")
    operator, f, w = energy.operator, energy.data, energy.weights
    with torch.no_grad():
        x = f.new_zeros((1, *operator.domain_shape)) if start is None else start.to(f)
        x = x.clamp(low, high)
        best = _Dual(energy, low, high)
        lipschitz = 1.1 * _norm(energy) ** 2
        image = operator(x)
        value = _value(image - f, w)
        last_x, last_image, t = x, image, 1.0
        k = 0
        for k in range(1, most_iterations + 1):
            next_t = (1 + math.sqrt(1 + 4 * t * t)) / 2
            beta = (t - 1) / next_t
            z, z_image = x + beta * (x - last_x), image + beta * (image - last_image)
            residual = z_image - f
            g = operator.adjoint(energy.weighted(residual))
            if (k - 1) % EVERY == 0 or k == most_iterations:
                best.try_residual(residual, g)
                if math.sqrt(2 * value) <= max(best.bound / (1 - closeness), delta):
                    break
            new = (z - g / lipschitz).clamp(low, high)
            new_image = operator(new)
            new_value = _value(new_image - f, w)
            if new_value > value:
                # From here without momentum; if that was without momentum, the step was too long.
                lipschitz *= 1.5 if beta == 0 else 1.0
                last_x, last_image, t = x, image, 1.0
                continue
            last_x, last_image, x, image, value, t = x, image, new, new_image, new_value, next_t
    return BoxFit(image=x, misfit=math.sqrt(2 * value), bound=best.bound, dual=best.dual, iterations=k)


class _Dual:
    """The best bound so far. For ``y`` and ``s = A^T W^(1/2) y`` it is ``(<y, W^(1/2) f> - max <s, u>) / ||y||``."""

    def __init__(self, energy: LeastSquares, low: float, high: float) -> None:
        self.low, self.high = low, high
        root = torch.ones_like(energy.data) if energy.weights is None else energy.weights.sqrt()
        self.root, self.f = root.double(), (root * energy.data).double()
        # Adding to y a multiple of the same weight for all rays lowers s everywhere: what is left above zero by a fit
        # that is not finished costs its height once, not its sum times the upper end of the box.
        self.even = self.root
        self.even_image = energy.operator.adjoint(root * root).double()
        self.bound, self.dual = 0.0, torch.zeros_like(self.f)

    def try_residual(self, residual: Tensor, gradient: Tensor) -> None:
        y, s = -self.root * residual.double(), -gradient.double()
        terms = [float(inner(a, b)) for a, b in
                 ((y, self.f), (self.even, self.f), (y, y), (y, self.even), (self.even, self.even))]  # fmt: skip
        yf, ef, yy, ye, ee = terms

        def bound(t: float) -> float:
            moved = s - t * self.even_image
            most = float(torch.maximum(self.low * moved, self.high * moved).sum())
            length = math.sqrt(max(yy - 2 * t * ye + t * t * ee, 0.0))
            return (yf - t * ef - most) / length if length > 0 else 0.0

        seen = self.even_image > 0
        highest = float((s[seen] / self.even_image[seen]).max()) if bool(seen.any()) else 0.0
        t = _highest(bound, max(highest, 0.0))
        if bound(t) > self.bound:
            self.bound, self.dual = bound(t), y - t * self.even


def _highest(function: object, end: float) -> float:
    """Where a function of [0, end] that first rises and then falls is highest, by golden sections."""
    assert callable(function)
    ratio = (math.sqrt(5) - 1) / 2
    low, high = 0.0, end
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = function(a), function(b)
    for _ in range(40):
        if at_a >= at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = function(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = function(b)
    return max((0.0, (low + high) / 2, end), key=function)


def _value(residual: Tensor, weights: Tensor | None) -> float:
    return 0.5 * float(inner(residual, residual if weights is None else weights * residual))


def _norm(energy: LeastSquares) -> float:
    """``||W^(1/2) A||`` from below, by 20 power iterations; without weights the operator knows it already."""
    if energy.weights is None:
        return energy.operator.norm()
    x = torch.rand((1, *energy.operator.domain_shape), generator=torch.Generator().manual_seed(0)).to(energy.data)
    norm = 0.0
    for _ in range(20):
        x = x / torch.linalg.vector_norm(x)
        x = energy.operator.adjoint(energy.weights * energy.operator(x))
        norm = float(torch.linalg.vector_norm(x)) ** 0.5
        if norm == 0.0:
            break
    return norm
