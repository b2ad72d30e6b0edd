"""How rough the truth is beside images that explain its scan: TV(truth) over TV(image), for many simulated scans.

An audit assumes that the object is no rougher than kappa. Its default is a factor times the TV of the smoothest image
(``auditing/roughness.py``), and the factor is what is measured here: that which 95% of truths meet. The truths are
exact phantoms' pixel means, the data exact line integrals with noise, so the error of the grid is in it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ctrecon.auditing.image_set import variation
from ctrecon.auditing.roughness import allowance, fall_of_spectrum, smoothest
from ctrecon.measurement.delta import Delta, Norm
from ctrecon.measurement.object_spectrum import LIKELY
from ctrecon.phantoms import FAMILIES, Family, Walnut
from ctrecon.reconstruction.methods.energy import energy
from ctrecon.reconstruction.problem import prepare
from ctrecon.simulation.simulate import simulate, standard_scanner
from ctrecon.support.statistics import shares

# As a share of ||f||, or photons a ray.
NOISES = (0.002, 0.005, 0.01, 0.03, 1e5, 1e4)
# The first are those that the factor was chosen on.
KINDS: dict[str, tuple[Family, ...]] = {"known": FAMILIES, "new": (Walnut(),), "all": (*FAMILIES, Walnut())}
SIZES, VIEWS, BEAMS = (64, 128), (30, 60, 120), ("fan", "parallel")
# What --delta auto gives is a little above the true residual.
DELTAS = (1.0, 1.1)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One simulated scan. ``noise`` below 1 is a share of the data, else photons a ray."""

    family: str
    beam: str
    size: int
    views: int
    noise: float
    seed: int

    @property
    def key(self) -> str:
        return f"{self.family} {self.beam} {self.size} {self.views} {self.noise:g} {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Rough:
    """What one scan gave. ``delta`` is the true residual in the scan's ``norm``, ``share`` that over the data's norm.

    ``smooth`` are TV(truth) / TV(smoothest image) at the ``DELTAS`` times delta, ``learned`` the same of the learned
    image at delta. ``exponent``: of the object's spectrum; earlier studies did not write it down.
    """

    key: str
    family: str
    size: int
    views: int
    noise: float
    norm: Norm
    share: float
    smooth: tuple[float, ...]
    learned: float
    exponent: float = LIKELY

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def cases(seeds: int, *, first_seed: int = 0, families: str = "known") -> Iterator[Case]:
    """All combinations, seed by seed, so that the first part of them is a study already. Beams take turns."""
    numbers = range(first_seed, first_seed + seeds)
    for seed, noise, views, size, family in itertools.product(numbers, NOISES, VIEWS, SIZES, KINDS[families]):
        beam = BEAMS[(seed + NOISES.index(noise) + VIEWS.index(views)) % len(BEAMS)]
        yield Case(family=family.name, beam=beam, size=size, views=views, noise=noise, seed=seed)


def measure(case: Case, network: nn.Module) -> Rough:
    """Simulate, reconstruct, and compare."""
    family = next(family for family in KINDS["all"] if family.name == case.family)
    geometry, grid = standard_scanner(case.beam, case.size, case.views)
    counted = case.noise >= 1
    kind = {"photons": case.noise} if counted else {"relative_noise": case.noise}
    made = simulate(family, geometry, grid, seed=1000 + case.seed, **kind)
    norm: Norm = "whitened" if counted else "2-norm"
    delta = made.delta if made.whitened_delta is None else made.whitened_delta
    problem = prepare(made.scan, Delta(value=delta, norm=norm, how="true"), device="cpu")
    truth = variation(torch.from_numpy(made.truth)[None, None])
    weights = problem.energy.weights
    smooth = tuple(
        truth / variation(smoothest(problem.operator, problem.energy.data, times * delta, weights=weights))
        for times in DELTAS
    )
    learned = energy(problem, prior=network).image
    root = 1.0 if made.scan.variance is None else 1 / np.sqrt(made.scan.variance)
    return Rough(
        key=case.key, family=case.family, size=case.size, views=case.views, noise=case.noise, norm=norm,
        share=delta / float(np.linalg.norm(root * made.scan.sinogram)), smooth=smooth,
        learned=truth / variation(torch.from_numpy(learned)[None, None]),
        exponent=fall_of_spectrum(
            made.scan.sinogram, geometry, grid, delta, None if made.scan.variance is None else 1 / made.scan.variance
        ),
    )  # fmt: skip


def within(ratios: Sequence[float], factor: float) -> float:
    """The share of scans whose truth is no rougher than ``factor`` times the image."""
    return sum(ratio <= factor for ratio in ratios) / len(ratios)


def met(row: Rough, *, learned: bool, times: int = 0) -> bool:
    """Whether the truth is within the default kappa: of the learned image, or of the smoothest at ``DELTAS[times]``."""
    share = row.share if learned else DELTAS[times] * row.share
    factor = allowance(share, views=row.views, side=row.size, learned=learned, exponent=row.exponent)
    return (row.learned if learned else row.smooth[times]) <= factor


def table(rows: Sequence[Rough]) -> list[str]:
    """How many truths meet the default kappa, in all and by family, with 95% intervals."""
    ways: tuple[tuple[str, dict[str, Any]], ...] = (
        ("learned", {"learned": True}), ("smoothest, true delta", {"learned": False}),
        ("smoothest, 1.1 times it", {"learned": False, "times": 1}),
    )  # fmt: skip
    lines = []
    for name, way in ways:
        lines.append(f"{name}: {shares([met(row, **way) for row in rows])} truths meet the default kappa")
        families = dict.fromkeys(row.family for row in rows)
        parts = [f"{family} {shares([met(row, **way) for row in rows if row.family == family])}" for family in families]
        lines.append(f"  {', '.join(parts)}")
    return lines
