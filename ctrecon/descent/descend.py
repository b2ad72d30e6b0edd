"""Algorithm 1 of "Controlling Neural Networks via Energy Dissipation", as a generator.

Every iterate is handed out; progress bars, histories, films and tests all consume the same stream. Whatever the
direction proposes, the energy never rises: the proposal is bent into a set of descent directions, a step search finds
a step with lower energy, and a step that would not lower the computed energy is not taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from torch import Tensor

from ctrecon.descent.directions import Direction
from ctrecon.descent.dissipation import DissipationSet, HalfSpace, Parted, part
from ctrecon.descent.proposal import Kept, proposal
from ctrecon.descent.step import StepSearch, Subspace
from ctrecon.descent.stopping import Reason, StopRule
from ctrecon.energies.base import Energy, Point, Ray, inner, scaled
from ctrecon.errors import SettingError

# The share of steepest descent that every direction must keep, relative to 1 / L.
DEFAULT_ZETA = 0.1
# Of E, what rounding on the way may leave at the end.
END_DOUBT = 1e-5


@dataclass(frozen=True)
class Iterate:
    """One state of the descent. Tensors are per sample.

    ``descent`` is ``<d, -grad E>`` of the bent direction that led here, ``refused`` marks samples whose proposal was
    not finite and was replaced by the negative gradient; both are zero at the start. ``reasons`` holds, for each
    sample, why it ended, or None while it goes on. ``energies``: E of all iterates so far, this one's the last.
    """

    k: int
    point: Point
    descent: Tensor
    refused: Tensor
    reasons: tuple[Reason | None, ...]
    energies: tuple[Tensor, ...] = ()

    @property
    def state(self) -> dict[str, Any]:
        """What the descent goes on from here, with the same numbers (``ctrecon/support/checkpoint.py``)."""
        ended = [None if reason is None else reason.value for reason in self.reasons]
        return {
            "k": self.k, "point": self.point.state, "descent": self.descent, "refused": self.refused,
            "reasons": ended, "energies": list(self.energies),
        }  # fmt: skip

    @property
    def u(self) -> Tensor:
        return self.point.u

    @property
    def finished(self) -> bool:
        return all(reason is not None for reason in self.reasons)


def default_set(energy: Energy, u: Tensor) -> HalfSpace:
    """The half-space (8), relative to the energy: ``<d, g> >= 0.1 |g|^2 / L``; L about ``u`` where none is stated."""
    lipschitz = energy.lipschitz_at(u)
    return HalfSpace(DEFAULT_ZETA / lipschitz if lipschitz > 0 else DEFAULT_ZETA)


@torch.no_grad()  # around a generator: the caller's own mode stands between two iterates
def descend(
    energy: Energy,
    direction: Direction,
    start: Tensor,
    *,
    dissipation: DissipationSet | None = None,
    step: StepSearch | None = None,
    stop: tuple[StopRule, ...] = (),
    least_iterations: int = 0,
    most_iterations: int = 100,
    state: Mapping[str, Any] | None = None,
) -> Iterator[Iterate]:
    """Descend an energy along proposed directions: Algorithm 1 of the paper, a generator of iterates.

    Each proposal is bent into the set ``dissipation`` of true descent directions, ``step`` finds how far to go, and E
    falls whatever was proposed. A sample that ended stays where it is.

    Args:
        energy: E, of ``[batch, channel, *spatial]``.
        direction: Proposes where to go: from a point to a tensor like ``point.u``.
        start: ``[batch, channel, *spatial]``.
        dissipation: The set; by default that of the energy.
        step: How far to go; by default the best of the subspace.
        stop: Rules that end a sample. One that holds at the start ends it there, afterwards not before
            ``least_iterations``, unless E falls no further.
        least_iterations: That many at least.
        most_iterations: At most.
        state: Of an iterate of the same descent, which is then the first that is handed out.

    Yields:
        The start and each iterate after it; the last one is ``finished``.

    Raises:
        SettingError: For a start that is not finite, a direction that returns something else than a tensor like
            ``point.u``, or who writes into a point.
    """
    if most_iterations < 0:
        raise SettingError(f"most_iterations must be >= 0, got {most_iterations}")
    if not isinstance(start, Tensor) or not start.is_floating_point():
        kind = start.dtype if isinstance(start, Tensor) else type(start).__name__
        raise SettingError(f"the start must be a floating point tensor like the image, got {kind}; use torch.as_tensor")
    if not bool(torch.isfinite(start).all()):
        raise SettingError("the start holds values that are not finite")
    dissipation = default_set(energy, start) if dissipation is None else dissipation
    step = Subspace() if step is None else step
    point = energy.at(start.detach().clone()) if state is None else energy.resumed(state["point"])
    if not bool(torch.isfinite(point.value).all()):
        raise SettingError(f"the energy is not finite at the start: {point.value.tolist()}; start nearer to the data")
    if state is None:
        reasons: list[Reason | None] = [None] * start.shape[0]
        descent = torch.zeros(start.shape[0], dtype=torch.float64, device=start.device)
        refused = torch.zeros(start.shape[0], dtype=torch.bool, device=start.device)
        begun, energies = 0, [point.value]
        _apply_rules(stop, point, energies, reasons)
    else:
        reasons = [None if reason is None else Reason(reason) for reason in state["reasons"]]
        begun, descent, refused, energies = (state[name] for name in ("k", "descent", "refused", "energies"))
    for k in count(begun):
        if k == most_iterations:
            reasons = [reason or Reason.BUDGET for reason in reasons]
        kept = Kept(point, "u", "residual", "last_step")
        yield Iterate(k, point, descent, refused, tuple(reasons), tuple(energies))
        kept.check("the loop over the iterates")
        going = torch.tensor([reason is None for reason in reasons], device=start.device)
        if not bool(going.any()):
            return
        ray, d, refused = _bent_ray(point, direction, dissipation, with_last_step=step.wants_last_step)
        descent = -(ray.slope * d).sum(1)
        tau = step(ray, d)
        for rule in stop:
            tau = rule.shorten(ray, tau, d)
        tau = torch.where(going[:, None] & torch.isfinite(tau).all(1, keepdim=True), tau, torch.zeros_like(tau))
        before = point.value
        point, fell = _move(point, ray, tau)
        for i, reason in enumerate(reasons):
            if reason is None and not fell[i]:
                reasons[i] = Reason.STATIONARY if descent[i] <= 0 else Reason.STALLED
        energies = [*energies, point.value]
        _apply_rules(stop, point, energies, reasons, early=k + 1 < least_iterations)
        ended = torch.tensor([reason is not None or k + 1 == most_iterations for reason in reasons]).to(going)
        point = _as_it_is(point, ended & going, before)


def _apply_rules(
    stop: tuple[StopRule, ...], point: Point, energies: Sequence[Tensor], reasons: list[Reason | None], *,
    early: bool = False,
) -> None:
    for rule in stop:
        for i, done in enumerate(rule.met(point, energies).tolist()):
            # A rule met at the last moment is the better news than a stall.
            over = (Reason.STALLED, Reason.STATIONARY)
            if done and reasons[i] in (over if early else (None, *over)):
                reasons[i] = rule.reason


def _bent_ray(
    point: Point, direction: Direction, dissipation: DissipationSet, *, with_last_step: bool
) -> tuple[Ray, Tensor, Tensor]:
    """The ray over (proposal beside g, g = -grad E[, last step]) and the bent direction's coefficients on it.

    Where no sample has anything beside g, as in steepest descent, the ray saves a projection and does without.
    """
    g = -point.gradient
    z = proposal(direction, point)
    # A proposal whose length squared overflows is replaced openly, and counted.
    finite = torch.isfinite(z).flatten(1).all(1) & (z.abs().flatten(1).amax(1) < torch.finfo(g.dtype).max ** 0.4)
    z = torch.where(finite.view(-1, *(1,) * (z.ndim - 1)), z, g)
    wide, eta = part(z, g)
    size = _power_of_two(wide, g)
    beside = scaled(size, wide).to(g)
    last = (point.last_step,) if with_last_step and point.last_step is not None else ()
    directions = (beside, g, *last) if bool(beside.any()) else (g, *last)
    ray = point.along(*directions)
    at_g = len(directions) - len(last) - 1
    descent = -ray.slope[:, : at_g + 1]
    descent_beside = descent[:, 0] / size if at_g else torch.zeros_like(eta)
    parted = Parted(eta, inner(wide, wide), inner(g, g), descent_beside, descent[:, at_g])
    coefficients = dissipation.coefficients(parted)
    d = torch.zeros(z.shape[0], len(directions), dtype=torch.float64, device=z.device)
    d[:, at_g] = coefficients[:, 1]
    if at_g:
        d[:, 0] = coefficients[:, 0] / size
    return ray, d, ~finite


def _power_of_two(beside: Tensor, g: Tensor) -> Tensor:
    """What makes ``beside`` about as large as ``g``, exactly: products of the two neither over- nor underflow."""
    ours, theirs = (one.abs().flatten(1).amax(1).double() for one in (beside, g))
    exponents = torch.where((ours > 0) & (theirs > 0), torch.log2(theirs) - torch.log2(ours), torch.zeros_like(ours))
    return torch.exp2(exponents.nan_to_num(0).round().clamp(-900, 900))


def _move(point: Point, ray: Ray, tau: Tensor) -> tuple[Point, list[bool]]:
    """Take the step where the energy at the new point is lower; elsewhere stay.

    Where it is lower by less than rounding may have added to it on the way, both ends are computed anew.
    """
    moved = ray.move(tau)
    fall = point.value - moved.value
    fell = torch.isfinite(moved.value) & (fall > 0)
    # Written so that a doubt beyond all numbers is one.
    unsure = (tau != 0).any(1) & torch.isfinite(moved.value) & ~(fall.abs() > point.doubt + moved.doubt)
    if bool(unsure.any()):
        anew = moved.fresh()
        lower = torch.isfinite(anew.value) & (anew.value < torch.minimum(point.value, point.fresh().value))
        fell = torch.where(unsure, lower, fell)
    if not bool(fell.all()):
        moved = ray.move(torch.where(fell[:, None], tau, torch.zeros_like(tau)))
    which = unsure & fell
    return moved.fresh(which) if bool(which.any()) else moved, fell.tolist()


def _as_it_is(point: Point, ended: Tensor, before: Tensor) -> Point:
    """What ends is handed out with the energy and the residual that its image has, not those kept along the way.

    Not where that is no lower than ``before``: there all that is left of E is rounding.
    """
    loose = ended & (point.doubt > END_DOUBT * point.value)
    if not bool(loose.any()):
        return point
    return point.fresh(loose & (point.fresh().value <= before))
