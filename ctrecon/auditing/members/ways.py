"""The ways by which members are made, as different from each other as they can be, in a fixed order.

Methods agree too easily: what several of them choose need not be what the data say. So some members are pushed away
from the certified image, and those towards a place begin where the members before them differ most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, islice

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from ctrecon.auditing.members.ground import Ground
from ctrecon.auditing.members.pushing import along, back_from, least_seen, smooth_field, span
from ctrecon.auditing.members.spread import Spot, spots
from ctrecon.auditing.regions import Ring
from ctrecon.auditing.tiles import default_radius
from ctrecon.classical.tv_solver import HuberTVSolver
from ctrecon.descent.stopping import Plateau
from ctrecon.networks.looks import look_and_descend
from ctrecon.networks.pretrained import load_ct_network
from ctrecon.networks.slices import fitted
from ctrecon.networks.symmetries import SYMMETRIES
from ctrecon.reconstruction.methods._following import followed
from ctrecon.reconstruction.methods.cgls import cgls
from ctrecon.reconstruction.methods.energy import ITERATIONS
from ctrecon.support.arrays import Array

LIGHTER = 4.0
"""The second weight of Huber-TV is by this much smaller than the largest that meets delta."""
# About what the network is asked: a mirror image that exchanges rows and columns differs most from the usual look.
ORIENTATIONS = (0, 5, 2, 7, 4, 1, 6, 3)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a way starts from: the scan, the images so far (the certified one first), discs, its own random numbers."""

    ground: Ground
    images: Sequence[Array]
    radius: float | None
    ring: Ring
    rng: np.random.Generator


@dataclass(frozen=True, kw_only=True)
class Way:
    """A ``name`` for lists, and how an image ``[rows, columns]`` comes about by it, with a sentence on how."""

    name: str
    make: Callable[[Asked], tuple[Array, str]]


def ways(most: int) -> list[Way]:
    """The first ``most`` of them: any first few are of different kinds."""
    return list(islice(_ways(), most))


def _ways() -> Iterator[Way]:
    looks = (_network("ct-default", which) for which in ORIENTATIONS)
    yield Way(name="huber-tv", make=_smoothest)
    yield next(looks)
    yield from _pushes(1)
    yield _network("dncnn17", 0)
    yield Way(name="cgls", make=_cgls)
    yield Way(name=f"huber-tv, weight / {LIGHTER:g}", make=_lighter)
    for k in count(2):
        yield from islice(looks, 1)
        yield from _pushes(k)


def _pushes(k: int) -> Iterator[Way]:
    yield Way(name=f"random start {k}", make=partial(_from_field, k))
    for sign, word in ((1, "up"), (-1, "down")):
        yield Way(name=f"pushed {word} {k}", make=partial(_towards, k, sign))


def _network(weights: str, which: int) -> Way:
    return Way(name=f"{weights}, look {which + 1} of {SYMMETRIES}", make=partial(_looked, weights, which))


def _looked(weights: str, which: int, asked: Asked) -> tuple[Array, str]:
    ground, problem = asked.ground, asked.ground.problem
    network = fitted(load_ct_network(weights)[0], len(problem.shape)).to(problem.device)
    found = followed(
        lambda state: look_and_descend(
            network, problem.energy, problem.precondition, ground.smooth, ground.delta, looks=1, among=(which,),
            most_iterations=ITERATIONS, stop=(Plateau(0.01),), state=state,
        ),
        None, problem.device,
    )  # fmt: skip
    return found.image, f"the directions of {weights}, which is asked about one mirror image alone"


def _smoothest(asked: Asked) -> tuple[Array, str]:
    return _image(asked.ground.smoothest.image), "Huber-TV with the largest weight that meets delta"


def _lighter(asked: Asked) -> tuple[Array, str]:
    problem, strong = asked.ground.problem, asked.ground.smoothest
    found = HuberTVSolver(problem.operator, problem.energy.data).solve(
        problem.energy.data, alpha=strong.alpha / LIGHTER, epsilon=strong.epsilon, weights=problem.energy.weights,
        start=strong.image, tolerance=1e-3,
    )  # fmt: skip
    return _image(found.image), "Huber-TV with a smaller weight"


def _cgls(asked: Asked) -> tuple[Array, str]:
    return cgls(asked.ground.problem).image, "conjugate gradients from zero, stopped at delta"


def _from_field(k: int, asked: Asked) -> tuple[Array, str]:
    shape = (int(asked.images[0].shape[0]), int(asked.images[0].shape[1]))
    image = back_from(asked.ground, span(asked.ground) * smooth_field(shape, asked.rng))
    return _image(image), "this image plus a smooth random field, taken back until delta is met"


def _towards(k: int, sign: int, asked: Asked) -> tuple[Array, str]:
    """The k-th of the discs whose contrasts differ most, of those that do not overlap."""
    shape = (int(asked.images[0].shape[0]), int(asked.images[0].shape[1]))
    radius = default_radius(shape) if asked.radius is None else asked.radius
    ordered = list(spots(asked.images, radius=radius, ring=asked.ring))
    chosen: list[Spot] = []
    while ordered and len(chosen) < k:
        chosen.append(ordered.pop(0))
        last = chosen[-1]
        ordered = [one for one in ordered if np.hypot(one.column - last.column, one.row - last.row) > 4 * radius]
    place = chosen[-1]
    # Without the functional's sharp edges, which few pixels wide would carry most of the change.
    asks = ndimage.gaussian_filter(place.region.functional, radius / 3)
    image = along(asked.ground, sign * least_seen(asked.ground, asks))
    brighter = "brighter" if sign > 0 else "darker"
    return _image(image), (
        f"this image with less misfit, made {brighter} at column {place.column:.4g}, row {place.row:.4g}, in the way "
        "that the data see least, as far as delta allows"
    )


def _image(image: Tensor) -> Array:
    return np.ascontiguousarray(image[0, 0].detach().to("cpu", torch.float32).numpy())
