"""Peers trained on the scans of ``train-phantoms``: the same cohorts in the same order, image by image."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ctrecon.training.lane_pool import LanePool
from ctrecon.training.path import ITERATIONS, REUSE
from ctrecon.training.starts import Scans, generator, scanned
from ctrecon.training.whole import Feed, TrainingData


class PeerLane:
    """Scans of one scanner with their filtered back projections; each step takes some of them at random."""

    def __init__(self, starts: Scans, batch: int, rng: np.random.Generator) -> None:
        self.starts, self.batch = starts, batch
        self._random = generator(rng, starts.truth.device)
        self._back_projected = starts.scanner.precondition(starts.data)

    def loss(self, network: nn.Module, which: int) -> Tensor:
        """Mean error in dB of the network's images, like that of a direction's; mirror images are the data's own."""
        s = self.starts
        chosen = torch.randint(s.count, (self.batch,), generator=self._random, device=s.truth.device)
        truth = s.truth[chosen]
        image = network(s.data[chosen], s.scanner.operator, self._back_projected[chosen])
        error = (image - truth).square().flatten(1).mean(1)
        return (10 * torch.log10(error / truth.square().flatten(1).mean(1) + 1e-9)).mean()


class PeerSupply:
    """Everything that feeds the training of a peer, from what ``Supply`` takes: close it when done.

    A network on the descent path meets each start in ``REUSE`` descents of ``ITERATIONS`` steps. A peer meets each as
    often, so what a step of either costs beside the network is the same share of making data.
    """

    def __init__(self, data: TrainingData, batch: int, device: torch.device, **options: Any) -> None:
        self._feed = Feed(data, batch, device, scanned, **options)
        self.pool = LanePool(
            self._feed.cohorts, PeerLane, share=1.0, lanes=self._feed.lanes, uses=REUSE * ITERATIONS,
            by_cost=self._feed.by_cost,
        )

    def close(self) -> None:
        """End the thread and the processes."""
        self._feed.close()
