"""What an estimated delta costs an image: PSNR with the true residual as delta, less PSNR with ``--delta auto``.

The objects, scanners and noises are those of ``image_coverage.py``, each object in one noise, so that families, sizes,
beams, views and noises change from scan to scan and no two scans share an object. Both images are of the same scan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from ctrecon.measurement.delta import Delta, delta_for
from ctrecon.reconstruction.methods.energy import energy
from ctrecon.reconstruction.methods.huber_tv import huber_tv
from ctrecon.reconstruction.problem import Outcome, Problem, prepare
from ctrecon.studies.paper.image_coverage import NOISES, object_at, true_residual
from ctrecon.support.metrics import psnr
from ctrecon.support.statistics import estimate

SIZES, VIEWS = (48, 96, 160, 256), (30, 90, 180, 360)


@dataclass(frozen=True, kw_only=True)
class Loss:
    """One scan. ``over`` is delta over the true image's residual; ``huber_tv`` and ``learned`` are losses in dB."""

    key: str
    noise: str
    family: str
    scanner: str
    size: int
    views: int
    over: float
    huber_tv: float
    learned: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Of some scans: the mean loss of each method with its 95% interval in words, and the largest, in dB."""

    of: str
    scans: int
    median_over: float
    huber_tv: str
    largest_huber_tv: float
    learned: str
    largest_learned: float


def keys(scans: int, *, seed: int) -> dict[str, int]:
    """Of so many scans what each is known by, and its number."""
    return {f"{seed} {k}": k for k in range(scans)}


def measure(
    k: int, network: nn.Module, *, seed: int, sizes: Sequence[int] = SIZES, views: Sequence[int] = VIEWS
) -> Loss:
    """The ``k``-th object in the ``k``-th noise, reconstructed by both methods with both deltas.

    Args:
        k: Which.
        network: Of the learned method.
        seed: Of objects and noise.
        sizes: As of ``objects``.
        views: As of ``objects``.

    Returns:
        What it lost.
    """
    one = object_at(k, sizes=sizes, views=views, seed=seed)
    noise, spoil = NOISES[k % len(NOISES)]
    scan = spoil(one.clean, seed + k)
    delta = delta_for(scan, "auto")
    residual = true_residual(one, scan, delta)
    deltas = (Delta(value=residual, norm=delta.norm, how="the true residual"), delta)
    truth = torch.from_numpy(one.truth)[None, None]

    def loss(method: Callable[[Problem], Outcome]) -> float:
        images = (method(prepare(scan, asked, device="cpu")).image for asked in deltas)
        true, auto = (float(psnr(torch.from_numpy(image).double()[None, None], truth)) for image in images)
        return true - auto

    return Loss(
        key=f"{seed} {k}", noise=noise, family=one.family, scanner=one.scanner, size=one.size, views=one.views,
        over=delta.value / residual, huber_tv=loss(huber_tv), learned=loss(lambda at: energy(at, prior=network)),
    )  # fmt: skip


def losses(rows: Sequence[Loss]) -> Iterator[Losses]:
    """Of all, then by noise, family, beam, size and number of views."""
    yield _losses("all", rows)
    ways: tuple[Callable[[Loss], str], ...] = (
        lambda row: row.noise, lambda row: row.family, lambda row: row.scanner, lambda row: f"{row.size} pixels",
        lambda row: f"{row.views} views",
    )  # fmt: skip
    for way in ways:
        for value in sorted({way(row) for row in rows}, key=lambda said: (len(said), said)):
            yield _losses(value, [row for row in rows if way(row) == value])


def _losses(of: str, rows: Sequence[Loss]) -> Losses:
    tv, learned, objects = ([getattr(row, name) for row in rows] for name in ("huber_tv", "learned", "key"))
    return Losses(
        of=of, scans=len(rows), median_over=float(np.median([row.over for row in rows])),
        huber_tv=estimate(tv, objects).said("+.2f", difference=True), largest_huber_tv=max(tv),
        learned=estimate(learned, objects).said("+.2f", difference=True), largest_learned=max(learned),
    )  # fmt: skip
