"""The whole supply of a CT training: data sets in, a pool out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch

from ctrecon.simulation.scanners import Scanner
from ctrecon.support.arrays import Float32Array
from ctrecon.training.cohorts import CohortPlan, Cohorts, Scanning
from ctrecon.training.held_images import HeldImages, ImageGroup
from ctrecon.training.noise import ScanNoise
from ctrecon.training.objects import HeldObject
from ctrecon.training.path import REUSE, PathPool
from ctrecon.training.phantom_supply import PhantomSupply, Sampler
from ctrecon.training.starts import Scans, measured


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What to train on: phantoms by ``samplers``, ``objects`` in 1/mm (CT slices by patient), and ``pictures``.

    The shares are those of phantoms, objects and pictures among all that is drawn; of what is empty it is none.
    """

    samplers: Sequence[Sampler]
    objects: Sequence[HeldObject] = ()
    pictures: Sequence[Float32Array] = ()
    shares: tuple[float, float, float] = field(default=(0.32, 0.5, 0.18))

    @property
    def phantom_share(self) -> float:
        given = (True, bool(self.objects), bool(self.pictures))
        return self.shares[0] / sum(share for share, there in zip(self.shares, given, strict=True) if there)

    def groups(self) -> list[ImageGroup]:
        """Images to hold: objects, chosen one by one, and pictures.

        Returns:
            A group for each of the two that is there, with its share.
        """
        groups = []
        if self.objects:
            cut = tuple(i for i, one in enumerate(self.objects) if one.truncated)
            groups.append(ImageGroup([one.slices for one in self.objects], self.shares[1], truncated=cut))
        if self.pictures:
            groups.append(ImageGroup([[image] for image in self.pictures], self.shares[2], (0.4, 1.0), 0.8))
        return groups


S = TypeVar("S", bound=Scans)


class Feed(Generic[S]):
    """Cohorts of problems, made by ``scanning``, for a training on some device: close it when done.

    On a GPU a thread makes cohorts ``ahead`` and there are many ``lanes``; on a processor there are few, and cohorts
    are made when they are needed. ``workers`` processes draw phantoms. ``starts`` of 164 x 164 pixels make a cohort.
    ``patient`` and ``only`` as in ``Cohorts``. What cohort n holds, data and seed decide, whatever is trained on it.
    """

    def __init__(
        self, data: TrainingData, batch: int, device: torch.device, scanning: Scanning[S], *, seed: int = 0,
        workers: int = 0, patient: bool = True, only: Sequence[Scanner] = (), noise: ScanNoise | None = None,
        starts: int | None = None, ahead: int | None = None,
    ) -> None:
        on_gpu = device.type == "cuda"
        plan = CohortPlan(
            seed=seed, count=starts or (max(256, 2 * batch) if on_gpu else 6 * batch), phantoms=data.phantom_share,
            slots=24 if on_gpu else 10,
        )  # fmt: skip
        groups = data.groups()
        self.lanes, self.by_cost = 16 if on_gpu else 5, not only
        self._phantoms = PhantomSupply(data.samplers, workers)
        self.cohorts = Cohorts(
            plan, HeldImages(groups, device) if groups else None, self._phantoms, noise or ScanNoise(), scanning,
            device, ahead=(2 if on_gpu else 0) if ahead is None else ahead, patient=patient, only=only,
        )  # fmt: skip

    def close(self) -> None:
        """End the thread and the processes."""
        self.cohorts.close()
        self._phantoms.close()


class Supply:
    """Everything that feeds a training on the descent path: close it when done.

    Each start is used about ``reuse`` times; the rest as ``Feed`` has it.
    """

    def __init__(
        self, data: TrainingData, batch: int, device: torch.device, *, seed: int = 0, workers: int = 0,
        patient: bool = True, only: Sequence[Scanner] = (), noise: ScanNoise | None = None, reuse: float | None = None,
        starts: int | None = None, ahead: int | None = None,
    ) -> None:
        self._feed = Feed(
            data, batch, device, measured, seed=seed, workers=workers, patient=patient, only=only, noise=noise,
            starts=starts, ahead=ahead,
        )  # fmt: skip
        self.pool = PathPool(
            self._feed.cohorts, lanes=self._feed.lanes, reuse=reuse or REUSE, by_cost=self._feed.by_cost
        )

    @property
    def made(self) -> int:
        """How many cohorts were begun."""
        return self._feed.cohorts.number

    def close(self) -> None:
        """End the thread and the processes."""
        self._feed.close()
