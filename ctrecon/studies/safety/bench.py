"""Plants lesions in images, measures them with noise, reconstructs, and reads what is left of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ctrecon.errors import InputError
from ctrecon.studies.safety.lesions import Lesion, Place, disc, places_in
from ctrecon.studies.safety.methods import Bench
from ctrecon.studies.safety.readings import Reading, read
from ctrecon.support.progress import Progress, Report


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is planted where, and how often it is measured. Radii in pixels, noise relative to the data's norm."""

    contrasts_hu: tuple[float, ...] = (25.0, 50.0, 100.0)
    radii: tuple[float, ...] = (2.0, 4.0)
    noise: tuple[float, ...] = (0.01, 0.03)
    places: int = 4
    repeats: int = 5
    seed: int = 0

    @property
    def lesions(self) -> tuple[Lesion, ...]:
        return tuple(Lesion(c, r) for c, r in product(self.contrasts_hu, self.radii))

    def to_dict(self) -> dict[str, Any]:
        """For JSON.

        Returns:
            All fields by name.
        """
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Example:
    """One slice with its lesions and what the methods make of it, for a picture: images ``[rows, columns]``."""

    truth: Tensor
    places: Sequence[Place]
    lesion: Lesion
    noise: float
    images: dict[str, Tensor]


def roomy(truths: Tensor, count: int, plan: Plan) -> Tensor:
    """``count`` of the images ``[n, 1, rows, columns]``, evenly among those with room for all places, else of all."""
    return truths[roomiest(truths, count, plan)]


def roomiest(truths: Tensor, count: int, plan: Plan) -> list[int]:
    """The numbers of the images that ``roomy`` takes."""
    full = [
        i for i, truth in enumerate(truths)
        if len(places_in(truth[0], plan.places, max(plan.radii), np.random.default_rng(plan.seed))) == plan.places
    ]
    among = full or list(range(len(truths)))
    chosen = np.linspace(0, len(among) - 1, min(count, len(among))).round().astype(int)
    return [among[i] for i in chosen]


def run(
    bench: Bench,
    truths: Tensor,
    plan: Plan,
    *,
    batch: int = 12,
    keep: Callable[[Example], None] | None = None,
    progress: Report | None = None,
) -> Iterator[Reading]:
    """Plant lesions in images, measure them with white noise, reconstruct, and read what is left of each.

    All places of a slice carry the same lesion at once. An image with a lesion and the one without it are measured with
    the same noise.

    Args:
        bench: Scanner and methods.
        truths: ``[n, 1, rows, columns]``, 1/mm.
        plan: What is planted where, and how often it is measured.
        batch: Images that are reconstructed together.
        keep: Hears of an example of each, for pictures.
        progress: Hears of each slice.

    Yields:
        Every reading.

    Raises:
        InputError: Where no image has soft tissue to plant anything in.
    """
    widest, planted = max(plan.radii), 0
    for number, truth in enumerate(truths):
        rng = np.random.default_rng([plan.seed, number, 515_151])
        places = places_in(truth[0], plan.places, widest, rng)
        planted += len(places)
        for level in plan.noise if places else ():
            if progress is not None:
                values = {"noise": level, "places": float(len(places))}
                progress(Progress(stage="safety", unit="slice", done=number + 1, total=len(truths), values=values))
            yield from _of_slice(bench, truth[None], number, places, level, plan, batch, keep)
    if planted == 0:
        raise InputError("no image has room for lesions in soft tissue; give other slices or smaller --radius")


def _of_slice(
    bench: Bench, truth: Tensor, number: int, places: Sequence[Place], level: float, plan: Plan, batch: int,
    keep: Callable[[Example], None] | None,
) -> Iterator[Reading]:
    operator, shape = bench.problem.operator, bench.problem.grid.plane
    variants: list[Lesion | None] = [None, *plan.lesions]
    objects = torch.cat([_planted(truth, places, lesion) for lesion in variants])
    clean = operator(objects)
    sigma = level * float(clean[0].square().mean().sqrt())
    rng = np.random.default_rng([plan.seed, number, round(level * 1e6)])
    noise = sigma * torch.from_numpy(rng.standard_normal((plan.repeats, *clean.shape[1:])).astype(np.float32))
    # [variant, repeat, ...]: the same noise for every variant.
    data = (clean[:, None] + noise[None]).flatten(0, 1)
    delta = noise.double().flatten(1).norm(dim=1).repeat(len(variants))
    parts = [
        bench.reconstruct(data[i : i + batch], delta[i : i + batch]) for i in range(0, len(data), batch)
    ]
    for method in parts[0]:
        images = torch.cat([part[method] for part in parts]).view(len(variants), plan.repeats, *shape)
        for lesion, found in zip(plan.lesions, images[1:], strict=True):
            for place in places:
                recovered, area, spurious = read(found, images[0], truth[0, 0], lesion, place)
                yield Reading(
                    method=method, noise=level, lesion=lesion, slice=number, inner=place.inner(shape),
                    recovered=recovered, auc=area, spurious_hu=spurious,
                )
    if keep is not None:
        shown = len(variants) - 1
        keep(Example(
            truth=objects[shown, 0], places=places, lesion=plan.lesions[-1], noise=level,
            images={name: torch.cat([part[name] for part in parts])[shown * plan.repeats, 0] for name in parts[0]},
        ))


def _planted(truth: Tensor, places: Sequence[Place], lesion: Lesion | None) -> Tensor:
    if lesion is None:
        return truth
    shape = (truth.shape[-2], truth.shape[-1])
    where = torch.stack([disc(place, lesion.radius, shape) for place in places]).any(0)
    return truth + lesion.contrast * where
