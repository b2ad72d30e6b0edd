"""Filtered back projection with the smoothest filter that meets delta (``ctrecon/classical/fbp.py``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch

from ctrecon.classical.fbp import SMOOTHEST_FIRST, Window
from ctrecon.classical.filled import refilled
from ctrecon.classical.inversion import inversion
from ctrecon.energies.base import inner
from ctrecon.reconstruction.methods._following import ROUNDING, Following
from ctrecon.reconstruction.needs import at_once, inversion_formula, needs
from ctrecon.reconstruction.problem import Outcome, Problem, Watch, kept
from ctrecon.support.checkpoint import NOWHERE, Checkpoint

PLACE = 90
TITLE = "filtered back projection"
VOLUMES_HELD = 6.0


def several(problems: Sequence[Problem], *, window: Window | None = None) -> list[Outcome]:
    """``filtered_back_projection`` of problems that share an operator, without missing rays: one image as the other."""
    first = problems[0]
    assert first.scan.geometry is not None
    assert first.grid is not None
    inverse = inversion(first.scan.geometry, first.grid)
    paths = [Following(problem, None) for problem in problems]
    best = [problem.start for problem in problems]
    least, reasons = [math.inf] * len(problems), [""] * len(problems)
    going = list(range(len(problems)))
    for name, cutoff in SMOOTHEST_FIRST if window is None else ((window, 1.0),):
        images = inverse.with_filter(name, cutoff)(torch.cat([problems[k].energy.data for k in going]))
        residuals = first.operator(images) - torch.cat([problems[k].energy.data for k in going])
        for image, r, k in zip(images[:, None], residuals[:, None], tuple(going), strict=True):
            residual = inner(r, problems[k].energy.weighted(r)).sqrt()
            paths[k].add(residual)
            if float(residual) < least[k]:
                best[k], least[k], reasons[k] = image, float(residual), _said(name, cutoff)
            if least[k] <= problems[k].delta.value * (1 - ROUNDING):
                going.remove(k)
        if not going:
            break
    return [path.outcome(image, reason) for path, image, reason in zip(paths, best, reasons, strict=True)]


def _said(name: str, cutoff: float) -> str:
    return f"filter {name}" + ("" if cutoff == 1 else f" up to {cutoff:.0%} of the Nyquist frequency")


@at_once(several)
@needs(inversion_formula)
def fbp(
    problem: Problem, *, window: Window | None = None, watch: Watch | None = None, checkpoint: Checkpoint = NOWHERE
) -> Outcome:
    """FBP with the smoothest filter of a known family that meets delta; each filter tried is one "iteration".

    Where none meets it, the one of least residual. Missing rays are filled by projections of a first image.

    Args:
        problem: What is to be solved; needs a geometry with an orbit.
        window: Fixes the filter, at full bandwidth.
        watch: Hears of every filter.
        checkpoint: Keeps what it goes on from.

    Returns:
        The image ``[rows, columns]``, which filter it is of, and the residuals of all that were tried.

    Raises:
        GeometryError: For a scan without an inversion formula.
    """
    inversion_formula(problem.scan)
    assert problem.scan.geometry is not None
    assert problem.grid is not None
    earlier = checkpoint.recall(problem.device) or {}
    path = Following(problem, watch, earlier.get("history"))
    filters = SMOOTHEST_FIRST if window is None else ((window, 1.0),)
    inverse = inversion(problem.scan.geometry, problem.grid, cells_cut_off=problem.scan.cells_cut_off)
    data, mask = problem.energy.data, problem.scan.mask
    if mask is not None:
        usable = torch.from_numpy(mask)[None, None].to(problem.device)
        data = refilled(problem.operator, inverse.with_filter("hann"), data, usable)
    best, least, reason = earlier.get("best", problem.start), earlier.get("least", math.inf), earlier.get("reason", "")
    for name, cutoff in filters[len(path.history) - 1 :]:
        image = inverse.with_filter(name, cutoff)(data)
        residual = problem.energy.at(image).discrepancy
        assert residual is not None
        path.add(residual)
        if float(residual) < least:
            best, least = image, float(residual)
            reason = _said(name, cutoff)
        if least <= problem.delta.value * (1 - ROUNDING):
            break
        checkpoint.offer(partial(kept, path.history, best=best, least=least, reason=reason))
    return path.outcome(best, reason)
