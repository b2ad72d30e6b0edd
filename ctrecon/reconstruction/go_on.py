"""Where solver and checker do not project alike: the descent goes on from the residual that the checker finds.

ASTRA's projector on a GPU and the checker's Joseph differ by a part in a thousand; an image that meets delta by the one
may miss it by the other. With ``A`` the solver's operator, ``B`` the checker's and ``u`` the image, the data are
corrected to ``f' = f + A u - B u``, so that ``A v - f'`` is the checker's residual at ``v = u`` and off by
``(A - B)(v - u)`` nearby, the small difference times the small step (deferred correction: H. J. Stetter, Numer. Math.
29, 1978). A few such turns leave nothing of it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from ctrecon.certificates import verify
from ctrecon.certificates.parts import as_checked, operator_claim
from ctrecon.descent.descend import descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.descent.stopping import Discrepancy, Plateau
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.reconstruction.methods._following import followed
from ctrecon.reconstruction.problem import IterationRecord, Outcome, Problem
from ctrecon.support.arrays import Array

MOST_TURNS = 5
MOST_ITERATIONS = 50
# A method that met delta by its own operator is this much below it (``following.ROUNDING``).
_MET = 2e-6


def met_by_the_solver(problem: Problem, image: Array) -> bool:
    """Whether the image meets delta as far as the solver's own operator goes."""
    found = problem.energy.at(torch.from_numpy(image)[None, None].to(problem.device)).discrepancy
    assert found is not None
    return float(found) <= problem.delta.value * (1 - _MET)


def go_on(problem: Problem, outcome: Outcome, *, turn: int) -> Outcome:
    """The outcome after a descent on the corrected data, from its image until delta is met or nothing more is gained.

    ``turn``, from 1, grows the room that is left below delta for the rounding of the proof.
    """
    u = torch.from_numpy(outcome.image)[None, None].to(problem.device)
    data, own = problem.energy.data, problem.operator(u)[0, 0].double().cpu().numpy()
    corrected = problem.scan.sinogram + (own - _checked(problem, outcome.image))
    energy = LeastSquares(problem.operator, torch.from_numpy(corrected)[None, None].to(data), problem.energy.weights)
    rules = (Discrepancy(problem.delta.value, margin=1e-5 * 4 ** (turn - 1)), Plateau(1e-4))
    found = followed(
        lambda state: descend(
            energy, NegativeGradient(), u, stop=rules, most_iterations=MOST_ITERATIONS, state=state
        ), None, problem.device,
    )  # fmt: skip
    before = outcome.history[-1].iteration if outcome.history else 0
    more = tuple(
        IterationRecord(before + one.iteration, one.energy, one.residual) for one in found.history if one.iteration
    )
    return replace(outcome, image=found.image, history=outcome.history + more)


def _checked(problem: Problem, image: Array) -> Array:
    """``B u`` by the checker's operator, in the shape of the sinogram, float64."""
    scan = problem.scan
    operator, entries = operator_claim(scan.geometry, scan.grid, scan.matrix)
    matrix = as_checked(operator, entries, list(image.shape), list(scan.sinogram.shape))
    values: Array = np.asarray(verify.apply(operator, image, matrix)[0]).reshape(scan.sinogram.shape)
    return values
