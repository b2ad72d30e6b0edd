"""The learned method against classical ones whose parameters an oracle chose, image by image.

Everyone gets the same data. The learned method stops at the certified discrepancy, delta = the true residual of the
true image; the classical ones may pick, for each image, the parameter whose result is closest to the truth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from ctrecon.classical.oracle import best_cgls, best_fbp, best_huber_tv, seen_by_all
from ctrecon.measurement.counts import add_poisson_noise
from ctrecon.networks.looks import LOOKS
from ctrecon.simulation.scanners import Scanner
from ctrecon.studies.peers.peer import PeerNetwork
from ctrecon.studies.peers.scores import PeerScores, peer_scores
from ctrecon.support.arrays import Float32Array
from ctrecon.support.progress import Progress, Report
from ctrecon.support.statistics import Estimate, estimate
from ctrecon.training.card import noisy
from ctrecon.training.data import central_disc
from ctrecon.training.evaluate import score

CLASSICAL = ("huber_tv", "cgls", "fbp")


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """Images ``[n, 1, rows, columns]`` with their noise-free sinograms ``[n, 1, views, detectors]``.

    ``patients``: of each image whose or which object it is of; empty where each is of another.
    """

    name: str
    truth: Tensor
    clean: Tensor
    patients: tuple[str, ...] = ()

    __test__ = False  # not a test class, whatever its name makes pytest believe


class NoiseModel(Protocol):
    """A kind of noise of one strength."""

    @property
    def name(self) -> str: ...

    def draw(self, clean: Tensor, seed: int) -> tuple[Tensor, Tensor | None]:
        """Data for ``clean`` ``[batch, 1, views, detectors]``, and the weights 1 / variance where noise has them."""
        ...


@dataclass(frozen=True)
class Gaussian:
    """White noise of ``relative * ||f||``."""

    relative: float

    @property
    def name(self) -> str:
        return f"{self.relative:.1%}"

    def draw(self, clean: Tensor, seed: int) -> tuple[Tensor, Tensor | None]:
        return noisy(clean, self.relative, seed), None


@dataclass(frozen=True)
class Counts:
    """Poisson counts of ``photons`` per ray, the object as thick as lets ``exp(-thickest)`` of them pass."""

    photons: float
    thickest: float = 4.0

    @property
    def name(self) -> str:
        return f"{self.photons:.0e} photons".replace("e+0", "e")

    def draw(self, clean: Tensor, seed: int) -> tuple[Tensor, Tensor | None]:
        data, weights = torch.empty_like(clean), torch.empty_like(clean)
        for i, f in enumerate(clean):
            # Images have no unit here: they are taken as thick for the counting and given back as they were.
            depth = self.thickest / float(f.max())
            measured = add_poisson_noise(depth * f[0].numpy(), self.photons, seed + i)
            data[i, 0] = torch.from_numpy(measured.values / depth)
            weights[i, 0] = torch.from_numpy(depth**2 / measured.variance)
        return data, weights


@dataclass(frozen=True, kw_only=True)
class BenchmarkRow:
    """Scores of one set at one noise level: PSNR in dB per image and method, iterations, certified or not.

    ``peers``: by its name, what else is known of a peer's images; its PSNR stands among the others.
    """

    name: str
    noise: str
    data_sha256: str
    psnr: Mapping[str, list[float]]
    iterations: list[int]
    certified: list[bool]
    patients: tuple[str, ...] = ()
    peers: Mapping[str, PeerScores] = field(default_factory=dict)

    def estimate(self, values: Sequence[float]) -> Estimate:
        """The mean of one value per image with its interval, by a bootstrap over patients."""
        return estimate(values, self.patients or range(len(values)))

    def mean(self, method: str) -> float:
        return sum(self.psnr[method]) / len(self.psnr[method])

    def gains(self, over: str) -> list[float]:
        return [a - b for a, b in zip(self.psnr["energy"], self.psnr[over], strict=True)]

    def to_dict(self) -> dict[str, Any]:
        gains = self.gains("huber_tv")
        gain = self.estimate(gains)
        return {
            "set": self.name,
            "noise": self.noise,
            "images": len(gains),
            "patients": gain.groups,
            "data_sha256": self.data_sha256,
            "mean_psnr_db": {method: round(self.mean(method), 3) for method in self.psnr},
            "psnr_interval_db": {method: self.estimate(values).to_dict() for method, values in self.psnr.items()},
            "gain_over_huber_tv_db": {
                "mean": round(sum(gains) / len(gains), 3), "worst": round(min(gains), 3),
                "interval": gain.to_dict(), "significant": gain.significant,
            },
            "iterations": {"mean": sum(self.iterations) / len(self.iterations), "most": max(self.iterations)},
            "all_certified": all(self.certified),
            **({"peers": {name: one.to_dict() for name, one in self.peers.items()}} if self.peers else {}),
            # In full: rounded again in print, a rounded score may give another digit than the score itself.
            "psnr_db": {method: list(values) for method, values in self.psnr.items()},
        }


def images_as_set(
    name: str, images: Sequence[Float32Array], problem: Scanner, patients: Sequence[str] = ()
) -> TestSet:
    """Images brought to the grid by an antialiased resize of their middle square, cut to the scanner's field of view.

    Their data are the operator's. What stands outside the field of view would be truncated data, another problem.
    """
    fitted = []
    for image in images:
        side = min(image.shape)
        top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
        square = torch.from_numpy(image[top : top + side, left : left + side].copy())[None, None]
        fitted.append(functional.interpolate(square, problem.grid.shape, mode="bilinear", antialias=True))
    truth = torch.cat(fitted) * central_disc(problem.grid.plane)
    return TestSet(name=name, truth=truth, clean=problem.operator(truth), patients=tuple(patients))


def compare(
    network: nn.Module,
    problem: Scanner,
    sets: Sequence[TestSet],
    noises: Sequence[NoiseModel],
    *,
    seed: int = 1,
    looks: int = LOOKS,
    batch: int = 12,
    known: Mapping[tuple[str, str, str], Mapping[str, list[float]]] | None = None,
    peers: Mapping[str, PeerNetwork] | None = None,
    progress: Report | None = None,
) -> Iterator[BenchmarkRow]:
    """A row per set and noise. ``known`` holds classical scores by (set, noise, hash of the data) to reuse.

    ``peers``: learned methods of others, by the names that they have in the row.

    ``progress`` hears of every batch of images, of the learned method and of the oracle's trials.
    """
    for test_set in sets:
        for noise in noises:
            data, weights = noise.draw(test_set.clean, seed)
            # In float16 steps: the last bits may differ between machines, the scores do not.
            digest = hashlib.sha256(data.half().numpy().tobytes() + test_set.truth.half().numpy().tobytes()).hexdigest()
            psnr: dict[str, list[float]] = {"energy": [], "one_shot": []}
            iterations: list[int] = []
            certified: list[bool] = []
            others = {name: PeerScores() for name in peers or {}}
            for part in range(0, len(data), batch):
                rows = slice(part, part + batch)
                w = None if weights is None else weights[rows]
                result = score(network, problem, test_set.truth[rows], data[rows], w, looks=looks)
                psnr["energy"] += result.psnr.tolist()
                psnr["one_shot"] += result.one_shot_psnr.tolist()
                iterations += result.iterations.tolist()
                certified += result.certified.tolist()
                for name, peer in (peers or {}).items():
                    others[name] += peer_scores(peer, problem, test_set.truth[rows], data[rows], w)
                _say(progress, test_set, noise, "learned", len(certified), len(data))
            stored = None if known is None else known.get((test_set.name, noise.name, digest))
            if stored is None:
                stored = _classical(
                    problem, test_set, data, weights, batch, partial(_say, progress, test_set, noise, "oracle")
                )
            yield BenchmarkRow(
                name=test_set.name,
                noise=noise.name,
                data_sha256=digest,
                psnr={
                    **psnr, **{method: list(stored[method]) for method in CLASSICAL},
                    **{name: one.psnr for name, one in others.items()},
                },
                iterations=iterations,
                certified=certified,
                patients=test_set.patients,
                peers=others,
            )


def _say(progress: Report | None, test_set: TestSet, noise: NoiseModel, who: str, done: int, total: int) -> None:
    if progress is not None:
        item = f"{test_set.name}, {noise.name}, {who}"
        progress(Progress(stage="benchmark", unit="image", done=done, total=total, item=item))


def _classical(
    problem: Scanner, test_set: TestSet, data: Tensor, weights: Tensor | None, batch: int,
    heard: Callable[[int, int], None],
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {method: [] for method in CLASSICAL}
    for part in range(0, len(data), batch):
        heard(part, len(data))
        rows = slice(part, part + batch)
        f, u, w = data[rows], test_set.truth[rows], None if weights is None else weights[rows]
        errors = (f - test_set.clean[rows]).flatten(1).square()
        sigma = errors.mean(1).sqrt()
        if w is not None:
            sigma = (w.flatten(1) * errors).mean(1).sqrt() * w.flatten(1).mean(1).sqrt()
        found["huber_tv"] += best_huber_tv(problem.operator, f, u, sigma=sigma, weights=w).psnr.tolist()
        seen = seen_by_all(problem.geometry, problem.grid)
        found["cgls"] += best_cgls(problem.operator, f, u, support=seen, weights=w).psnr.tolist()
        found["fbp"] += best_fbp(problem.geometry, problem.grid, f, u).psnr.tolist()
    return found
