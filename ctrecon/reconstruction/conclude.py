"""What is proved of a finished image, from the image alone: the only place that says "certified"."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch

from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified, certify
from ctrecon.certificates.infeasible import InfeasibleCertificate, exclude
from ctrecon.certificates.together import Product
from ctrecon.certificates.worth import Worth, worth_of
from ctrecon.classical.box import Proving, fit_in_box
from ctrecon.descent.stopping import Reason
from ctrecon.diagnosis.below_zero import below_zero
from ctrecon.diagnosis.diagnose import Diagnosis
from ctrecon.diagnosis.structure import Structure, structure_of
from ctrecon.reconstruction.go_on import MOST_TURNS, go_on, met_by_the_solver
from ctrecon.reconstruction.problem import Outcome, Problem
from ctrecon.reconstruction.settings import Settings
from ctrecon.reconstruction.step_down import MOST_STEPS, step_down
from ctrecon.support.arrays import Array


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
class Conclusion:
    """An image with its evidence: ``certificate`` where it meets delta, else ``missed``; the true ``residual``.

    ``method`` is its name as a person knows it, ``timings`` are seconds by what was done, ``settings`` what was asked
    for where it came about by them, ``doubts`` what seems wrong with the scan, where something does, ``structure`` what
    the residual shows beside noise; None where it is too small to be tested.
    """

    problem: Problem
    outcome: Outcome
    certificate: FeasibleCertificate | None
    missed: Missed | None
    residual: float
    seconds: float = field(default=0.0)
    method: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    settings: Settings | None = None
    doubts: Diagnosis | None = None
    structure: Structure | None = None

    @property
    def image(self) -> Array:
        return self.outcome.image

    @property
    def certified(self) -> bool:
        return self.certificate is not None

    @cached_property
    def worth(self) -> Worth | None:
        """What the certificate says is worth, that of the image or that no image meets delta; None without one."""
        made = self.certificate or (None if self.missed is None else self.missed.certificate)
        return None if made is None else worth_of(made)

    @cached_property
    def below_zero(self) -> str | None:
        """What is wrong with a certified image of attenuation that reaches far below 0; None where nothing is."""
        attenuation = self.problem.scan.matrix is None
        return below_zero(self.image) if self.certified and attenuation else None

    @property
    def iterations(self) -> int:
        return self.outcome.history[-1].iteration if self.outcome.history else 0


def conclude(
    problem: Problem,
    outcome: Outcome,
    *,
    source: str | None = None,
    began: float | None = None,
    method: str = "",
    timings: Mapping[str, float] | None = None,
    watch: Callable[[Proving], None] | None = None,
    product: Product | None = None,
) -> Conclusion:
    """Prove, in float64 and from the image alone, whether it explains the data to within delta.

    An image that meets delta by the solver's operator alone goes on down until the checker agrees (``go_on.py``).
    If it does not, look for the proof that no image in the box does, from the image that fits best within it.

    Args:
        problem: What was to be solved.
        outcome: What a method made of it.
        source: Path of the input file, whose hash the certificate notes.
        began: A ``time.monotonic()`` from which ``seconds`` count.
        method: Its name, for the history.
        timings: Seconds by what was done, for the history.
        watch: Hears how far the search for that proof is.
        product: The checker's ``A u``, where it was computed for many images at once.

    Returns:
        The image with its certificate, or with what is known of all images.

    Raises:
        InputError: For a problem beyond the checker.
    """
    now, found = time.monotonic(), _certify(problem, outcome.image, source, product)
    outcome, found = _by_the_checker(problem, outcome, found, source)
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
    return Conclusion(
        problem=problem,
        outcome=outcome,
        certificate=None if isinstance(found, NotCertified) else found,
        missed=missed,
        residual=found.residual,
        seconds=0.0 if began is None else time.monotonic() - began,
        method=method,
        timings={**(timings or {}), "certificate": time.monotonic() - now},
        structure=_structure(problem, outcome.image),
    )


def _structure(problem: Problem, image: Array) -> Structure | None:
    u = torch.from_numpy(image)[None, None].to(problem.device)
    explained: Array = problem.operator(u)[0, 0].cpu().numpy()
    return structure_of(problem.scan.sinogram, explained, problem.weights)


def _by_the_checker(
    problem: Problem, outcome: Outcome, found: FeasibleCertificate | NotCertified, source: str | None
) -> tuple[Outcome, FeasibleCertificate | NotCertified]:
    """Where the image meets delta by the solver's operator and misses it by the checker's: the descent goes on."""
    delta = problem.delta.value
    if not isinstance(found, NotCertified) or found.residual <= delta or not met_by_the_solver(problem, outcome.image):
        return outcome, found
    for turn in range(1, MOST_TURNS + 1):
        tried = go_on(problem, outcome, turn=turn)
        again = _certify(problem, tried.image, source)
        if isinstance(again, NotCertified) and again.residual >= found.residual:
            break
        outcome, found = tried, again
        if not isinstance(found, NotCertified) or found.residual <= delta:
            break
    return outcome, found


def _certify(
    problem: Problem, image: Array, source: str | None, product: Product | None = None
) -> FeasibleCertificate | NotCertified:
    scan = problem.scan
    return certify(
        image, scan.sinogram, scan.geometry, scan.grid, problem.delta.value, weights=problem.weights,
        matrix=scan.matrix, length_unit=scan.length_unit, source=source, product=product,
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
