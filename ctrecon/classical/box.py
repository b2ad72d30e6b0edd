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
from ctrecon.energies.box_bound import BoxBound
from ctrecon.energies.least_squares import LeastSquares

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
    operator, f, w = energy.operator, energy.data, energy.weights
    with torch.no_grad():
        x = f.new_zeros((1, *operator.domain_shape)) if start is None else start.to(f)
        x = x.clamp(low, high)
        bound_of = BoxBound(energy, low, high)
        bound, dual = 0.0, torch.zeros_like(f, dtype=torch.float64)
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
                bound, dual = max((bound, dual), bound_of(residual, g, evaluations=40), key=lambda found: found[0])
                if math.sqrt(2 * value) <= max(bound / (1 - closeness), delta):
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
    return BoxFit(image=x, misfit=math.sqrt(2 * value), bound=bound, dual=dual, iterations=k)


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
