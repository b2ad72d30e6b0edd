"""The least misfit of all images in a box, and a proof of how small it can be.

A projected quasi-Newton method (two-metric projection: D. P. Bertsekas, SIAM J. Control Optim. 20, 1982; L-BFGS:
J. Nocedal, Math. Comput. 35, 1980) around the model of ``face.py``, one projection and one back projection an
iteration.

Each residual is a dual vector: it bounds the misfit of all images in the box from below (``docs/guarantees.md``), and a
mixture of the last ones (``energies/box_bound.py``) does so much better. The misfit is close to its minimum after some
twenty iterations; it is the bound that takes longer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ctrecon.classical.face import FaceModel
from ctrecon.classical.quasi_newton import CirculantModel, Memory
from ctrecon.energies.base import inner
from ctrecon.energies.box_bound import BoxBound, Mixture
from ctrecon.energies.least_squares import LeastSquares

MEMORY = 20
# The bound costs about as much as a projection.
EVERY = 5
HALVINGS = 6


@dataclass(frozen=True, kw_only=True)
class Proving:
    """How far a fit is: no image in the box has a misfit below ``bound``, and one has ``misfit``."""

    iteration: int
    misfit: float
    bound: float


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
    closeness: float = 0.01,
    most_iterations: int = 100,
    watch: Callable[[Proving], None] | None = None,
) -> BoxFit:
    """Minimise ``E(u) = 1/2 ||W^(1/2) (A u - f)||^2`` over ``low <= u <= high``, with a proof of how small it can be.

    Ends once the bound is within ``closeness`` of the misfit, or an image is within ``delta``.

    Args:
        energy: Of one sample.
        low: The box's lower end, in units of the image.
        high: Its upper end.
        start: ``[1, 1, rows, columns]``; None for zero.
        delta: A misfit that is small enough.
        closeness: How near the bound must come, relative to the misfit.
        most_iterations: At most.
        watch: Hears of each new bound.

    Returns:
        The image, its misfit, the bound and the dual vector that proves it.

    Raises:
        SettingError: For an empty box, or several samples.
        OperatorError: For an operator that is not one on images ``(1, rows, columns)``.
    """
    operator, f = energy.operator, energy.data
    with torch.no_grad():
        bound_of = BoxBound(energy, low, high)
        mixture = Mixture(bound_of)
        bound, dual = 0.0, torch.zeros_like(f, dtype=torch.float64)
        u = f.new_zeros((1, *operator.domain_shape)) if start is None else start.to(f)
        u = u.clamp(low, high)
        r = operator(u) - f
        steps = _Steps(energy, low, high)
        for k in range(most_iterations + 1):
            g = operator.adjoint(energy.weighted(r))
            mixture.add(r, g)
            misfit = _norm(energy, r)
            last = k == most_iterations
            direction = None if misfit <= delta else steps.direction(u, g)
            if k % EVERY == 0 or last or direction is None:
                bound, dual = max((bound, dual), mixture.best(), key=lambda found: found[0])
                if watch is not None:
                    watch(Proving(iteration=k, misfit=misfit, bound=bound))
            if last or direction is None or bound >= (1 - closeness) * misfit:
                break
            image = operator(direction)
            t = steps.length(u, direction, float(inner(energy.weighted(r), image)), _norm(energy, image) ** 2)
            u, r = (u + t * direction).clamp_(low, high), r + t * image
            steps.note(g, t * direction)
        # Many steps' rounding is in the residual that was carried along.
        misfit = _norm(energy, operator(u) - f)
    return BoxFit(image=u, misfit=misfit, bound=bound, dual=dual, iterations=k)


class _Steps:
    """Where to go from an image in the box, and how far."""

    def __init__(self, energy: LeastSquares, low: float, high: float) -> None:
        self._low, self._high = low, high
        scale = 1.0 if energy.weights is None else float(energy.weights.double().mean())
        largest = energy.operator.norm() ** 2
        model = CirculantModel(energy.operator, energy.data[:0])
        self._model = FaceModel(model, max(scale, 1e-30), max(largest, 1e-30))
        self._gradient_step = 1 / max(scale * largest, 1e-30)
        self._memory = Memory(MEMORY)
        self._last: tuple[Tensor, Tensor] | None = None

    def direction(self, u: Tensor, g: Tensor) -> Tensor | None:
        """Downhill from ``u`` with gradient ``g``, ``u + s`` in the box; None where there is nowhere to go."""
        if self._last is not None:
            self._memory.add(self._last[1], g - self._last[0])
        held = ((u <= self._low) & (g > 0)) | ((u >= self._high) & (g < 0))
        free = (~held).to(g)
        d = -self._memory.solve(g, free, lambda q: self._model.solve(q, free))
        expected, t = float(inner(g, d)), 1.0
        for _ in range(HALVINGS if expected < 0 else 0):
            s = (u + t * d).clamp_(self._low, self._high) - u
            # The projection may turn a way that leads down into one that does not, but not a short one.
            if float(inner(g, s)) < 0.1 * t * expected:
                return s
            t /= 2
        self._memory = Memory(MEMORY)
        s = (u - self._gradient_step * g).clamp_(self._low, self._high) - u
        return s if float(inner(g, s)) < 0 else None

    def length(self, u: Tensor, s: Tensor, slope: float, curvature: float) -> float:
        """The best multiple of ``s`` that stays in the box, by slope and curvature of the energy along it."""
        room = torch.where(s > 0, self._high - u, u - self._low) / s.abs().clamp_min(torch.finfo(s.dtype).tiny)
        most = min(max(1.0, float(room[s != 0].min())), 10.0)
        return min(max(-slope / curvature, 0.0), most) if curvature > 0 else 0.0

    def note(self, g: Tensor, step: Tensor) -> None:
        """The step taken from where the gradient was ``g``."""
        self._last = g, step


def _norm(energy: LeastSquares, residual: Tensor) -> float:
    return math.sqrt(float(inner(residual, energy.weighted(residual))))
