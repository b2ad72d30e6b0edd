"""That ``--minutes`` is the time of the whole command: scores at the end and now and then have their share of it."""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn

    from ctrecon.training.loop import Trainer, TrainingPlan
    from ctrecon.training.processes import Processes

T = TypeVar("T")


def less_scoring(
    how: TrainingPlan, score: Callable[[], T], *, together: Processes | None = None, device: torch.device | None = None
) -> tuple[TrainingPlan, float, T | None]:
    """The plan less the time that the scores at the end take, found by scoring once before.

    Of several processes the first scores, and all get the same plan: they must come to the end at the same step.

    Returns:
        The plan, the seconds of one scoring, and the scores, where this process made them. Without minutes nothing is
        scored and the plan stays.

    Raises:
        SettingError: Where scoring leaves less than a third of the minutes.
    """
    from ctrecon.errors import SettingError

    if how.minutes is None:
        return how, 0.0, None
    found, seconds = None, 0.0
    if together is None or together.leads:
        began = time.monotonic()
        found = score()
        seconds = time.monotonic() - began
    if together is not None and device is not None:
        seconds = together.count * together.mean(seconds, device)
    left = how.minutes - seconds / 60
    if left <= how.minutes / 3:
        raise SettingError(
            f"scoring takes {seconds:.0f} s, twice, of the {how.minutes:g} minutes given; give more --minutes or a "
            "smaller --validation (0 for none)"
        )
    return replace(how, minutes=left), seconds, found


class Validation:
    """Scores of the averaged weights every ``minutes`` of training; ``measure`` gives them by name for a network.

    ``takes`` is how many seconds that is expected to take: what would not be ready within the training's minutes is not
    begun, for the scores at the end follow at once.
    """

    def __init__(self, measure: Callable[[nn.Module], dict[str, float]], minutes: float, *, takes: float = 0.0) -> None:
        self._measure, self._every, self._next, self._takes = measure, 60 * minutes, 60 * minutes, takes

    def is_due(self, trainer: Trainer) -> bool:
        return trainer.seconds >= self._next and self.fits(trainer)

    def fits(self, trainer: Trainer) -> bool:
        """Whether a measurement is ready before the training's time is up."""
        minutes = trainer.plan.minutes
        return minutes is None or trainer.seconds + self._takes <= 60 * minutes

    def scores(self, trainer: Trainer) -> dict[str, float]:
        """Measure a copy that holds the averaged weights; the training itself does not notice."""
        began = time.monotonic()
        while self._next <= trainer.seconds:
            self._next += self._every
        asked = copy.deepcopy(trainer.network).eval().requires_grad_(False)
        asked.load_state_dict(trainer.averaged)
        found = self._measure(asked)
        self._takes = max(self._takes, time.monotonic() - began)
        return found
