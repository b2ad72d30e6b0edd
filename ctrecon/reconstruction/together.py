"""Several slices of one geometry at once: one operator, the data in the batch axis, one pass of the checker for all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ctrecon.certificates.parts import operator_claim
from ctrecon.certificates.together import Product, products
from ctrecon.measurement.scan import Scan
from ctrecon.reconstruction.conclude import Conclusion, conclude
from ctrecon.reconstruction.methods import load_method
from ctrecon.reconstruction.problem import Outcome, Problem
from ctrecon.reconstruction.run import Clock, Once, Saying, doubted, keywords, ready
from ctrecon.reconstruction.settings import Settings
from ctrecon.support.progress import Report

_PIXELS, _MOST = 1 << 22, 16
"""So many pixels ride in one batch, and so many slices: more hardly pays, and memory is to stay small."""


def slices_together(method: str, pixels: int, *, shared: bool) -> int:
    """How many slices of ``pixels`` each make a batch; those that differ in their geometry go one by one."""
    return max(1, min(_MOST, _PIXELS // pixels)) if shared else 1


def run_together(
    scans: Sequence[Scan], settings: Settings, once: Once, *, items: Sequence[str], look: int | None = None,
    progress: Report | None = None, shared: bool = True,
) -> list[Conclusion]:
    """Reconstruct slices and say what is proved of each.

    Args:
        scans: Of one geometry and grid; each is ready, as for ``run``.
        settings: Of all.
        once: Kept from batch to batch.
        items: What each is called, for ``progress``.
        look: Which of them is looked at for what is wrong with the scan though it is certified; None for none.
        progress: Hears of every iteration of those that go one by one.
        shared: Whether the operator serves more than one slice.

    Returns:
        One for each.

    Raises:
        CtreconError: As ``run``.
    """
    clock = Clock(time.monotonic())
    sayings = [Saying(progress, item) for item in items]
    problems = [
        ready(scan, settings, once, uses="many" if shared else "few", saying=saying, clock=clock)
        for scan, saying in zip(scans, sayings, strict=True)
    ]
    method = load_method(settings.method)
    outcomes = _solve(problems, settings, method, once, sayings)
    clock.note("reconstruct")
    found = []
    projected = _projected(problems, outcomes)
    for k, (problem, outcome, product) in enumerate(zip(problems, outcomes, projected, strict=True)):
        concluded = conclude(
            problem, outcome, began=clock.began, method=settings.method, timings=clock.seconds, product=product,
            watch=partial(sayings[k].proved, problem.delta.value),
        )  # fmt: skip
        found.append(doubted(concluded, settings, sayings[k], look=k == look))
    return found


def _solve(
    problems: Sequence[Problem], settings: Settings, method: Callable[..., Outcome], once: Once,
    sayings: Sequence[Saying],
) -> list[Outcome]:
    together: Callable[..., list[Outcome]] | None = getattr(method, "together", None)
    if together is not None and len(problems) > 1 and all(problem.scan.mask is None for problem in problems):
        given: dict[str, Any] = keywords(settings, method, once, problems[0])
        return together(problems, **given)
    return [
        method(
            problem, **keywords(settings, method, once, problem),
            watch=partial(saying.iterated, problem.delta.value),
        )
        for problem, saying in zip(problems, sayings, strict=True)
    ]


def _projected(problems: Sequence[Problem], outcomes: Sequence[Outcome]) -> list[Product | None]:
    scan = problems[0].scan
    if len(problems) == 1 or scan.matrix is not None or scan.in_space:
        return [None] * len(problems)
    operator, _ = operator_claim(scan.geometry, scan.grid, None)
    return list(products(operator, [outcome.image for outcome in outcomes]))
