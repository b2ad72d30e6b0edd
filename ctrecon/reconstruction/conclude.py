"""A sinogram in, a certified image out: this file only puts the parts together.

``prepare`` (``problem.py``) turns a scan into a problem (operator, energy, delta), a method turns the problem into an
image, and ``conclude`` proves what is true of that image, from the image alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified, certify
from ctrecon.certificates.infeasible import InfeasibleCertificate, exclude
from ctrecon.classical.box import Proving, fit_in_box
from ctrecon.classical.cgls import cgls
from ctrecon.classical.fbp import SMOOTHEST_FIRST, FilteredBackProjection, Window
from ctrecon.classical.smooth import smooth_image
from ctrecon.classical.tv import tv_at_discrepancy
from ctrecon.classical.tv_solver import HuberTVSolver
from ctrecon.descent.descend import Iterate, descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.descent.step import Armijo
from ctrecon.descent.stopping import Discrepancy, Plateau, Reason
from ctrecon.errors import InputError
from ctrecon.networks.looks import LOOKS, look_and_descend
from ctrecon.reconstruction.problem import IterationRecord, Outcome, Problem, Watch
from ctrecon.reconstruction.step_down import MOST_STEPS, step_down
from ctrecon.support.arrays import Array

# Methods aim this much below delta, so that what float32 found still holds when float64 checks it.
ROUNDING = 1e-5

_BOX_WORK = 1 << 31  # rays x image lines x iterations


@dataclass(frozen=True, kw_only=True)
class Missed:
    """What is known of all images where one misses delta.

    None with ``0 <= u <= most_attenuation`` has a residual below ``lower_bound``, so no smaller delta can be met;
    ``certificate`` proves it where delta itself is smaller. ``best_residual`` is the smallest that was found within
    that box.
    """

    lower_bound: float
    best_residual: float
    most_attenuation: float
    certificate: InfeasibleCertificate | None


@dataclass(frozen=True, kw_only=True)
class Reconstruction:
    """An image with its evidence: ``certificate`` where it meets delta, else ``missed``; the true ``residual``.

    ``method`` is its name as a person knows it, ``timings`` are seconds by what was done.
    """

    problem: Problem
    outcome: Outcome
    certificate: FeasibleCertificate | None
    missed: Missed | None
    residual: float
    seconds: float = field(default=0.0)
    method: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def image(self) -> Array:
        return self.outcome.image

    @property
    def certified(self) -> bool:
        return self.certificate is not None

    @property
    def iterations(self) -> int:
        return self.outcome.history[-1].iteration if self.outcome.history else 0


def energy_dissipation(
    problem: Problem, network: nn.Module, *, looks: int = LOOKS, most_iterations: int = 30, watch: Watch | None = None
) -> Outcome:
    """The learned method: the network's directions, dissipated, until delta is certified.

    Each iteration is one pass of ``network``, a look at another mirror image; ``looks`` of them at least
    (``networks/looks.py``).
    """
    energy, operator = problem.energy, problem.operator
    delta = torch.full((1,), problem.delta.value, dtype=torch.float64, device=problem.device)
    smooth = smooth_image(HuberTVSolver(operator, energy.data), energy.data, delta, energy.weights)
    path = look_and_descend(
        network.to(problem.device), energy, problem.precondition, smooth, delta, looks=looks,
        most_iterations=most_iterations, stop=(Plateau(0.01),),
    )
    return _followed(path, watch)


def gradient_descent(problem: Problem, *, most_iterations: int = 2000, watch: Watch | None = None) -> Outcome:
    """Steepest descent with backtracking, as in the paper's comparisons; stops at delta."""
    length = 1 / problem.energy.lipschitz

    class Scaled(NegativeGradient):
        def __call__(self, point: object) -> Tensor:
            # In units where tau = 1 is a sensible first try; backtracking starts there.
            return 2 * length * super().__call__(point)  # type: ignore[arg-type]

    stop = (Discrepancy(problem.delta.value), Plateau(1e-4))
    path = descend(
        problem.energy, Scaled(), problem.start, step=Armijo(), stop=stop, most_iterations=most_iterations
    )
    return _followed(path, watch)


def _followed(path: Iterator[Iterate], watch: Watch | None) -> Outcome:
    """The end of a descent. No proof that nothing in the box meets delta ends one: its images may leave the box."""
    history: list[IterationRecord] = []
    last: Iterate | None = None
    for last in path:
        residual = last.point.discrepancy
        assert residual is not None
        history.append(IterationRecord(last.k, float(last.point.value), float(residual)))
        if watch is not None:
            watch(history[-1])
    assert last is not None
    reason = last.reasons[0] or Reason.BUDGET
    return Outcome(image=_image(last.u), reason=reason.value, history=tuple(history))


def conjugate_gradients(problem: Problem, *, most_iterations: int = 500, watch: Watch | None = None) -> Outcome:
    """CGLS, stopped at delta."""
    path = _Path(problem, watch)
    result = cgls(
        problem.operator,
        problem.energy.data,
        most_iterations=most_iterations,
        delta=problem.delta.value * (1 - ROUNDING),
        weights=problem.energy.weights,
        watch=path.add,
    )
    return path.outcome(result.image, result.reason[0])


def huber_tv(problem: Problem, *, watch: Watch | None = None) -> Outcome:
    """Huber-TV with non-negativity, its weight chosen so that the residual meets delta (Morozov).

    The history runs through the trials of all weights, so its residual need not fall.
    """
    path = _Path(problem, watch)
    result = tv_at_discrepancy(
        problem.operator,
        problem.energy.data,
        problem.delta.value * (1 - ROUNDING),
        weights=problem.energy.weights,
        watch=path.add,
    )
    return path.outcome(result.image, result.reason[0])


def filtered_back_projection(
    problem: Problem, *, window: Window | None = None, watch: Watch | None = None
) -> Outcome:
    """FBP with the smoothest filter of a known family that meets delta; each filter tried is one "iteration".

    Where none meets it, the one of least residual. ``window`` fixes the filter, at full bandwidth. Needs a geometry.
    """
    if problem.scan.geometry is None or problem.grid is None:
        raise InputError(f"{problem.scan.source} has no geometry, which FBP needs; use another --method")
    path = _Path(problem, watch)
    filters = SMOOTHEST_FIRST if window is None else ((window, 1.0),)
    best, least = problem.start, math.inf
    reason = ""
    for name, cutoff in filters:
        inverse = FilteredBackProjection(problem.scan.geometry, problem.grid, window=name, cutoff=cutoff)
        image = inverse(problem.energy.data)
        residual = problem.energy.at(image).discrepancy
        assert residual is not None
        path.add(residual)
        if float(residual) < least:
            best, least = image, float(residual)
            reason = f"filter {name}" + ("" if cutoff == 1 else f" up to {cutoff:.0%} of the Nyquist frequency")
        if least <= problem.delta.value * (1 - ROUNDING):
            break
    return path.outcome(best, reason)


class _Path:
    """The history of a classical method, from the discrepancies it reports."""

    def __init__(self, problem: Problem, watch: Watch | None) -> None:
        self.problem, self.watch = problem, watch
        self.history: list[IterationRecord] = []
        self._note(self._at(0, problem.start))

    def add(self, discrepancy: Tensor) -> None:
        residual = float(discrepancy[0])
        self._note(IterationRecord(len(self.history), 0.5 * residual**2, residual))

    def outcome(self, image: Tensor, reason: str) -> Outcome:
        """The last entry is recomputed from the image, which may be an earlier one."""
        last = self.history.pop() if len(self.history) > 1 else None
        found = self._at(1 if last is None else last.iteration, image)
        if last is None or not math.isclose(last.residual, found.residual, rel_tol=1e-4):
            self._note(found)
        else:
            self.history.append(found)
        return Outcome(image=_image(image), reason=reason, history=tuple(self.history))

    def _at(self, iteration: int, image: Tensor) -> IterationRecord:
        point = self.problem.energy.at(image)
        assert point.discrepancy is not None
        return IterationRecord(iteration, float(point.value), float(point.discrepancy))

    def _note(self, progress: IterationRecord) -> None:
        self.history.append(progress)
        if self.watch is not None:
            self.watch(progress)


def _image(u: Tensor) -> Array:
    return np.ascontiguousarray(u[0, 0].detach().cpu().numpy(), dtype=np.float32)


def conclude(
    problem: Problem,
    outcome: Outcome,
    *,
    source: str | None = None,
    began: float | None = None,
    method: str = "",
    timings: Mapping[str, float] | None = None,
    watch: Callable[[Proving], None] | None = None,
) -> Reconstruction:
    """Prove, in float64 and from the image alone, whether it explains the data to within delta.

    If it does not, look for the proof that no image in the box does, from the image that fits best within it.
    ``source`` is the path of the input file, whose hash the certificate notes; ``began`` a ``time.monotonic()``.
    ``method`` and ``timings`` (seconds by what was done) are passed on, for the history. ``watch`` hears how far that
    search is.
    """
    now, found = time.monotonic(), _certify(problem, outcome.image, source)
    # Where the image meets delta and only the rounding of the proof is in the way: a step further down makes room.
    for attempt in range(1, MOST_STEPS + 1):
        if not isinstance(found, NotCertified) or found.residual > problem.delta.value:
            break
        lower = step_down(problem, outcome.image, found, attempt=attempt)
        if lower is None:
            break
        outcome, found = replace(outcome, image=lower), _certify(problem, lower, source)
    missed = _missed(problem, outcome, source, watch) if isinstance(found, NotCertified) else None
    if missed is not None and missed.certificate is not None:
        outcome = replace(outcome, reason=Reason.INFEASIBLE.value)
    return Reconstruction(
        problem=problem,
        outcome=outcome,
        certificate=None if isinstance(found, NotCertified) else found,
        missed=missed,
        residual=found.residual,
        seconds=0.0 if began is None else time.monotonic() - began,
        method=method,
        timings={**(timings or {}), "certificate": time.monotonic() - now},
    )


def _certify(problem: Problem, image: Array, source: str | None) -> FeasibleCertificate | NotCertified:
    scan = problem.scan
    return certify(
        image, scan.sinogram, scan.geometry, scan.grid, problem.delta.value, weights=problem.weights,
        matrix=scan.matrix, source=source,
    )


def _missed(
    problem: Problem, outcome: Outcome, source: str | None, watch: Callable[[Proving], None] | None
) -> Missed:
    scan, most = problem.scan, problem.most_attenuation
    start = torch.from_numpy(outcome.image)[None, None].to(problem.device)
    fit = fit_in_box(problem.energy, 0.0, most, start=start, delta=problem.delta.value, watch=watch)
    found = exclude(
        fit.dual[0, 0].cpu().numpy(),
        scan.sinogram,
        scan.geometry,
        scan.grid,
        problem.delta.value,
        lo=0.0,
        hi=most,
        shape=problem.shape,
        weights=problem.weights,
        matrix=scan.matrix,
        source=source,
    )
    return Missed(
        lower_bound=found.lower_bound,
        best_residual=fit.misfit,
        most_attenuation=most,
        certificate=found if isinstance(found, InfeasibleCertificate) else None,
    )
