"""Pools of problems that come in cohorts: some cohorts are in use at a time, and each gives way to a new one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ctrecon.networks.symmetries import SYMMETRIES
from ctrecon.training.starts import Scans, StartMaker


class AnyLane(Protocol):
    """A cohort in use, of which each step takes ``batch`` problems."""

    @property
    def starts(self) -> Scans: ...
    @property
    def batch(self) -> int: ...
    def loss(self, network: nn.Module, which: int) -> Tensor:
        """What to minimise for this cohort.

        Args:
            network: The one that is trained.
            which: The mirror image in which it sees the problems, from 0 to 7.

        Returns:
            A scalar.
        """
        ...


S = TypeVar("S", bound=Scans)
L = TypeVar("L", bound=AnyLane)


class LanePool(Generic[S, L]):
    """``lanes`` cohorts of ``maker`` in use; a step draws one of them.

    ``lane`` puts a cohort to use, for so many problems a step. It is used until each of its starts was used about
    ``uses`` times. A step takes ``batch`` problems, or, ``by_cost``, as many as cost what those of 164 x 164 pixels do.
    """

    def __init__(
        self, maker: StartMaker[S], lane: Callable[[S, int, np.random.Generator], L], *, share: float,
        lanes: int, uses: float, by_cost: bool,
    ) -> None:
        self.share, self._maker, self._lane_of = share, maker, lane
        self._count, self._each, self._by_cost = lanes, uses, by_cost
        self.lanes: list[L] = []
        self._left: list[float] = []

    def loss(self, network: nn.Module, batch: int, rng: np.random.Generator) -> Tensor:
        """What to minimise for the problems of one lane.

        Args:
            network: The one that is trained.
            batch: How many problems a step takes, of 164 x 164 pixels where it goes by cost.
            rng: Decides which lane, in which mirror image it is seen, and what a new cohort holds.

        Returns:
            A scalar.
        """
        k = int(rng.integers(self._count))
        if k >= len(self.lanes) and self.lanes and not self._maker.ready:
            k %= len(self.lanes)
        if k >= len(self.lanes):
            k = len(self.lanes)
            self.lanes.append(self._lane(batch, rng))
            self._left.append(self._uses(k, rng.uniform(0.2, 1.0)))
        elif self._left[k] <= 0 and self._maker.ready:
            new = self._lane(batch, rng)
            if new.starts.truth.device.type == "cuda":
                # The old starts' memory belongs to the stream that made them; this one must be done with it first.
                torch.cuda.current_stream(new.starts.truth.device).synchronize()
            self.lanes[k] = new
            self._left[k] = self._uses(k, 1.0)
        self._left[k] -= 1
        # All of one batch in the same mirror image, which any of them may be seen in later.
        return self.lanes[k].loss(network, int(rng.integers(SYMMETRIES)))

    def _lane(self, batch: int, rng: np.random.Generator) -> L:
        starts = self._maker.make(rng)
        pixels = math.prod(starts.scanner.grid.shape)
        return self._lane_of(starts, max(1, round(batch * 164**2 / pixels)) if self._by_cost else batch, rng)

    def _uses(self, k: int, share: float) -> float:
        lane = self.lanes[k]
        return max(1.0, share * self._each * lane.starts.count / lane.batch)
