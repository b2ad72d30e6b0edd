"""Volumes: the learned method at its certified stop beside Huber-TV in space with the best weight for each object.

Bodies with exact line integrals before a cone beam, or stacked slices of CT objects, projected on voxels half as wide
as those of the volume. Delta is the true residual, as in the comparisons of images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ctrecon.classical.oracle import best_huber_tv
from ctrecon.networks.pretrained import load_ct_network
from ctrecon.phantoms.bodies import BODIES
from ctrecon.simulation.scanners import Scanner
from ctrecon.simulation.scanners_in_space import cone_scanner
from ctrecon.support.statistics import estimate
from ctrecon.training.data import central_disc
from ctrecon.training.evaluate import score
from ctrecon.training.objects import HeldObject
from ctrecon.training.volumes import draw_body

ORACLE = "huber-tv"
NOISES = (0.005, 0.01, 0.03)
# Far from the seeds of trainings.
FIRST_SEED = 983_000
# Slices of an object, at least: of fewer there is no volume to speak of.
LEAST_SLICES = 8


@dataclass(frozen=True, kw_only=True)
class Case:
    """One body seen by a cone of so many ``views``, as a cube of ``size`` voxels, by ``ORACLE`` or weights' name.

    ``family`` is a body's or, with ``number`` 0, an object's name, which is as many slices high as it has.
    """

    family: str
    number: int
    noise: float
    size: int
    views: int
    method: str

    @property
    def key(self) -> str:
        return f"{self.family} {self.number} {self.noise:g} {self.size} {self.views} {self.method}"


@dataclass(frozen=True, kw_only=True)
class Found:
    """PSNR in dB, and whether the volume is certified; an oracle's need not be."""

    key: str
    family: str
    number: int
    noise: float
    method: str
    psnr: float
    certified: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def cases(
    count: int, size: int, views: int, methods: Sequence[str], objects: Sequence[HeldObject] = ()
) -> list[Case]:
    """``count`` bodies of each family at each noise by each method; or, where there are some, ``objects``.

    Args:
        count: Bodies a family.
        size: Voxels along a side.
        views: Of the cone.
        methods: Weights' names or files.
        objects: In the place of bodies; those of fewer than eight slices are left out.

    Returns:
        Body by body, the oracle first.
    """
    bodies = [(family.name, number) for number in range(count) for family in BODIES]
    if objects:
        bodies = [(one.name, 0) for one in objects if len(one.slices) >= LEAST_SLICES]
    return [
        Case(family=name, number=number, noise=noise, size=size, views=views, method=method)
        for name, number in bodies for noise in NOISES for method in (ORACLE, *methods)
    ]  # fmt: skip


def measure(case: Case, objects: Mapping[str, HeldObject] | None = None) -> Found:
    """One case.

    Args:
        case: What is scanned, and how it is reconstructed.
        objects: By name, where the case is of one.

    Returns:
        Its score.
    """
    if objects:
        scanner, truth, clean = stacked(objects[case.family], case.size, case.views)
    else:
        scanner, truth, clean = _drawn(case.family, case.number, case.size, case.views)
    generator = torch.Generator().manual_seed(FIRST_SEED + case.number)
    noise = torch.randn(clean.shape, generator=generator)
    data = clean + noise * (case.noise * clean.norm() / noise.norm())
    if case.method == ORACLE:
        sigma = (data - clean).double().square().mean().sqrt()[None]
        found = best_huber_tv(
            scanner.operator, data, truth, sigma=sigma, alphas=(0.35, 0.7, 1.4), epsilons=(0.001, 0.004),
            tolerance=3e-3, refined=1e-3, widen=4,
        )  # fmt: skip
        psnr, certified = float(found.psnr), False
    else:
        scored = score(load_ct_network(case.method)[0], scanner, truth, data)
        psnr, certified = float(scored.psnr), bool(scored.certified.all())
    return Found(
        key=case.key, family=case.family, number=case.number, noise=case.noise, method=case.method,
        psnr=round(psnr, 3), certified=certified,
    )  # fmt: skip


@lru_cache(maxsize=1)
def _drawn(name: str, number: int, size: int, views: int) -> tuple[Scanner, Tensor, Tensor]:
    """Scanner, truth and exact data; the next case is mostly of the same body."""
    scanner = cone_scanner(size, views)
    family = next(one for one in BODIES if one.name == name)
    return scanner, *draw_body(family.sample, np.random.default_rng([FIRST_SEED, number]), scanner)


def stacked(one: HeldObject, size: int, views: int) -> tuple[Scanner, Tensor, Tensor]:
    """An object's slices, each as thick as a voxel is wide, cut to the disc that the cone sees.

    Args:
        one: The object.
        size: Voxels across.
        views: Of the cone.

    Returns:
        The scanner, the volume ``[1, 1, slices, size, size]`` and its data, projected on voxels half as wide.
    """
    scanner = cone_scanner(size, views, slices=len(one.slices))
    fine = torch.stack([_square(torch.from_numpy(image), 2 * size) for image in one.slices])[None, None]
    halves = replace(scanner.grid, rows=2 * size, columns=2 * size, pixel_mm=0.5)
    truth = functional.avg_pool3d(fine, (1, 2, 2))
    return scanner, truth, Scanner(scanner.geometry, halves).operator(fine)


def _square(image: Tensor, size: int) -> Tensor:
    """In the middle of a square, outside of whose disc is air, by means over ``size x size`` pixels."""
    rows, columns = image.shape
    side = max(rows, columns)
    top, left = (side - rows) // 2, (side - columns) // 2
    padded = functional.pad(image, (left, side - columns - left, top, side - rows - top))
    return functional.adaptive_avg_pool2d((padded * central_disc((side, side)))[None], size)[0]


def table(found: Sequence[Found]) -> list[str]:
    """What was found, noise by noise: the oracle's mean, and each method's with its gain over the oracle.

    Args:
        found: In any order.

    Returns:
        Lines of a Markdown table; the intervals are a bootstrap's over bodies.
    """
    methods = sorted({one.method for one in found} - {ORACLE})
    lines = [
        "| noise | bodies | Huber-TV, oracle |" + "".join(f" {name} | gain |" for name in methods),
        "|---|---|---|" + "---|---|" * len(methods),
    ]
    for noise in sorted({one.noise for one in found}):
        scores = {(one.method, one.family, one.number): one for one in found if one.noise == noise}
        bodies = sorted((family, number) for method, family, number in scores if method == ORACLE)
        oracle = [scores[ORACLE, *body].psnr for body in bodies]
        line = f"| {noise:.1%} | {len(bodies)} | {np.mean(oracle):.2f} dB |" if bodies else f"| {noise:.1%} | 0 | |"
        for name in methods:
            pairs = [(scores[name, *body], scores[ORACLE, *body], body) for body in bodies if (name, *body) in scores]
            if not pairs:
                line += " | |"
                continue
            gains = estimate([own.psnr - tv.psnr for own, tv, _ in pairs], [body for *_, body in pairs])
            certified = sum(own.certified for own, _, _ in pairs)
            worst = min(own.psnr - tv.psnr for own, tv, _ in pairs)
            line += (
                f" {np.mean([own.psnr for own, _, _ in pairs]):.2f} dB, {certified} certified |"
                f" {gains.said('+.2f', difference=True)}, worst {worst:+.2f} |"
            )
        lines.append(line)
    return lines
