"""The likelihood of the counts themselves (``ctrecon/energies/transmission.py``), for scans that keep them."""

from __future__ import annotations

import math

import torch

from ctrecon.classical.tv_solver import HuberTVSolver
from ctrecon.energies.transmission import Transmission
from ctrecon.reconstruction.needs import counts_and_white, needs
from ctrecon.reconstruction.objective import Objective, judged
from ctrecon.reconstruction.problem import Problem


@needs(counts_and_white)
def poisson(problem: Problem) -> Objective:
    """The deviance of the counts, halved; at the true image about half the number of rays.

    Raises:
        InputError: Where the scan keeps no counts and white field, or has counts below zero.
    """
    scan = problem.scan
    counts_and_white(scan)
    assert scan.counts is not None
    assert scan.white is not None
    # A ray that would count nothing without an object, and counts nothing, says nothing: a missing one.
    counts, white = (
        torch.from_numpy(values if scan.mask is None else values * scan.mask)[None, None].to(
            problem.device, torch.float64
        )
        for values in (scan.counts, scan.white)
    )
    column = HuberTVSolver(problem.operator, problem.energy.data).column
    pull = column * math.sqrt(float(counts.mean()))
    energy = Transmission(problem.operator, counts.float(), white)
    level = problem.delta.value**2 / 2 if problem.delta.norm == "whitened" else scan.usable_count / 2
    return Objective(energy=judged(problem, energy), pull=pull, level=level)
