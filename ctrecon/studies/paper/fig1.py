"""Figure 1: a network overfitted to one object erases what it has never seen; bent into descent, it cannot.

Two networks of the same make learn one object in fresh noise: one to answer with the image at once, the other to
propose directions of descent (section 4). Then the object gets a blob. The networks are dense (every pixel of the
answer sees every pixel of the input), as in B. Zhu et al., Nature 555, 2018: convolutional ones of this size, which
only see near, keep blobs by themselves.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ctrecon.certificates.feasible import FeasibleCertificate, certify
from ctrecon.descent.descend import Iterate, default_set, descend
from ctrecon.descent.directions import Direction
from ctrecon.descent.dissipation import dissipate
from ctrecon.descent.step import StepSearch, Subspace
from ctrecon.descent.stopping import Discrepancy
from ctrecon.energies.base import Energy, Point
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.measurement.scan import WATER_MU_PER_MM
from ctrecon.simulation.scanners import Scanner
from ctrecon.studies.paper.claims import Figure, at_least, at_most
from ctrecon.studies.paper.fig4 import BACKTRACKING, Steepest
from ctrecon.support.metrics import psnr
from ctrecon.support.progress import Report
from ctrecon.training.loop import Trainer, TrainingPlan

KEPT, ERASED = 0.8, 0.2


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What decides the weights: noise relative to the data, training steps of the two networks, seed."""

    noise: float = 0.03
    one_shot_steps: int = 600
    direction_steps: int = 600
    hidden: int = 16
    batch: int = 4
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A disc added to the object: middle in pixels from the image's (down, right), radius in pixels, contrast 1/mm."""

    down: float = -20.0
    right: float = 18.0
    radius: float = 5.0
    contrast: float = WATER_MU_PER_MM

    def mask(self, shape: tuple[int, int]) -> Tensor:
        """Where the disc is.

        Args:
            shape: Rows and columns of the image.

        Returns:
            1 in the disc and 0 elsewhere, ``[1, 1, rows, columns]``, float32.
        """
        y = torch.arange(shape[0])[:, None] - (shape[0] - 1) / 2 - self.down
        x = torch.arange(shape[1])[None, :] - (shape[1] - 1) / 2 - self.right
        return (x * x + y * y <= self.radius**2).float()[None, None]

    def recovered(self, image: Tensor, clean: Tensor) -> float:
        """How much of the disc an image shows.

        Args:
            image: ``[1, 1, rows, columns]``, 1/mm.
            clean: The object without the disc, of the same shape.

        Returns:
            The mean of ``image - clean`` over the disc, as a share of the contrast planted there.
        """
        mask = self.mask((image.shape[-2], image.shape[-1]))
        return float(((image - clean) * mask).sum() / mask.sum() / self.contrast)


class Overfitting(nn.Module):
    """``[batch, 3, rows, columns] -> [batch, 1, rows, columns]`` by three dense layers; pixels in units of water."""

    def __init__(self, shape: tuple[int, int], hidden: int) -> None:
        super().__init__()
        self._shape, pixels = shape, shape[0] * shape[1]
        self.layers = nn.Sequential(
            nn.Linear(3 * pixels, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, pixels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The network's answer.

        Args:
            x: ``[batch, 3, rows, columns]``, 1/mm.

        Returns:
            ``[batch, 1, rows, columns]``, 1/mm.
        """
        answer: Tensor = self.layers((x / WATER_MU_PER_MM).flatten(1))
        return WATER_MU_PER_MM * answer.view(-1, 1, *self._shape)


@dataclass(frozen=True)
class Seen:
    """What the networks see of a point: ``u``, ``-grad E / L`` and the filtered back projection of ``f - A u``."""

    problem: Scanner
    energy: Energy

    def __call__(self, point: Point) -> Tensor:
        assert point.residual is not None
        descent = -point.gradient / self.energy.lipschitz_at(point.u)
        return torch.cat([point.u, descent, self.problem.precondition(-point.residual)], dim=1)


@dataclass
class OneShot:
    """Batches of the object in fresh noise; the answer at the start is to be the object."""

    problem: Scanner
    truth: Tensor
    noise: float
    share: float = 1.0

    def measured(self, rng: np.random.Generator, count: int) -> Tensor:
        """Noisy sinograms ``[count, 1, views, detectors]``."""
        clean = self.problem.operator(self.truth)
        sigma = self.noise * float(clean.square().mean().sqrt())
        return clean + sigma * torch.from_numpy(rng.standard_normal((count, *clean.shape[1:]))).float()

    def loss(self, network: nn.Module, batch: int, rng: np.random.Generator) -> Tensor:
        energy = LeastSquares(self.problem.operator, self.measured(rng, batch))
        point = energy.at(torch.zeros(batch, *self.truth.shape[1:]))
        return _decibel(network(Seen(self.problem, energy)(point)), self.truth)


@dataclass
class OnThePath(OneShot):
    """States of descents that the training itself moves on, as in ``training/path.py``; most live for 8 steps."""

    count: int = 12
    most_steps: int = 8
    _states: list[tuple[Tensor, Tensor, int]] = field(default_factory=list)

    def loss(self, network: nn.Module, batch: int, rng: np.random.Generator) -> Tensor:
        if not self._states:
            self._states = [self._new(rng) for _ in range(self.count)]
        chosen = rng.choice(self.count, batch, replace=False)
        u, data = (torch.cat([self._states[i][part] for i in chosen]) for part in (0, 1))
        energy = LeastSquares(self.problem.operator, data)
        point = energy.at(u)
        g = -point.gradient
        d = dissipate(default_set(energy, point.u), network(Seen(self.problem, energy)(point)), g)
        with torch.no_grad():
            ray = point.along(d.detach(), g)
            alone = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(batch, 2)
            moved = ray.move(Subspace(wants_last_step=False)(ray, alone)).u
        for row, i in enumerate(chosen):
            age = self._states[i][2] + 1
            over = age >= self.most_steps or rng.uniform() < 0.1
            self._states[i] = self._new(rng) if over else (moved[row : row + 1], data[row : row + 1], age)
        return _decibel(u + d, self.truth)

    def _new(self, rng: np.random.Generator) -> tuple[Tensor, Tensor, int]:
        return torch.zeros_like(self.truth), self.measured(rng, 1), 0


def _decibel(image: Tensor, truth: Tensor) -> Tensor:
    error = functional.mse_loss(image, truth.expand_as(image))
    return 10 * torch.log10(error / truth.square().mean() + 1e-9)


def train(
    problem: Scanner, truth: Tensor, setting: Setting, folder: Path, *, fresh: bool = False,
    progress: Report | None = None,
) -> tuple[Overfitting, Overfitting]:
    """Train the network that answers in one shot and the one whose directions are dissipated, both on one object.

    Args:
        problem: The scanner.
        truth: The object, ``[1, 1, rows, columns]``, 1/mm.
        setting: Noise, steps and seed.
        folder: Of checkpoints: unfinished ones are resumed, finished ones taken.
        fresh: Trains anew all the same.
        progress: Hears of every step.

    Returns:
        Both networks, ready to use.
    """
    pools = (
        ("one-shot", OneShot(problem, truth, setting.noise), setting.one_shot_steps),
        ("direction", OnThePath(problem, truth, setting.noise), setting.direction_steps),
    )
    # A checkpoint of another object or setting has another name.
    facts = json.dumps([asdict(setting), repr(problem.geometry), repr(problem.grid)]).encode()
    digest = hashlib.sha256(facts + truth.numpy().tobytes()).hexdigest()[:12]
    networks = []
    for name, pool, steps in pools:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            network = Overfitting(problem.grid.plane, setting.hidden)
        plan = TrainingPlan(steps=steps, batch=setting.batch, learning_rate=2e-3, average=0.98, seed=setting.seed)
        trainer = Trainer(network, [pool], plan)
        path = folder / f"fig1-{name}-{digest}.safetensors"
        if path.exists() and not fresh:
            trainer.resume(path)
        for at in trainer.run(checkpoint=partial(trainer.save, path)):
            if progress is not None:
                progress(at.told(name))
        network.load_state_dict(trainer.averaged)
        networks.append(network.eval().requires_grad_(False))
    return networks[0], networks[1]


@dataclass(frozen=True, kw_only=True)
class Result:
    """The figure's numbers, and its images ``[1, 1, rows, columns]`` by title, the object with the blob first."""

    figure: Figure
    images: dict[str, Tensor]


def figure1(
    problem: Scanner, truth: Tensor, blob: Blob, setting: Setting, networks: tuple[Overfitting, Overfitting]
) -> Result:
    """Reconstruct the object with the blob by all three methods, from noise that no training has seen.

    Args:
        problem: The scanner.
        truth: The object that the networks were trained on, ``[1, 1, rows, columns]``, 1/mm.
        blob: What was added to it.
        setting: Noise and seed.
        networks: As ``train`` gives them.

    Returns:
        The claims of the figure, its table, and the images.
    """
    one_shot, direction = networks
    object_ = truth + blob.contrast * blob.mask(problem.grid.plane)
    rng = np.random.default_rng([setting.seed, 424_242])
    data = OneShot(problem, object_, setting.noise).measured(rng, 1)
    energy = LeastSquares(problem.operator, data)
    seen, start = Seen(problem, energy), torch.zeros_like(truth)
    delta = _discrepancy(energy, object_)
    with torch.no_grad():
        answer = one_shot(seen(energy.at(start)))
        clean = OneShot(problem, truth, setting.noise).measured(rng, 1)
        known = one_shot(Seen(problem, on := LeastSquares(problem.operator, clean))(on.at(start)))
    classical = _descent(energy, Steepest(energy), BACKTRACKING, start, delta, 2000)
    learned = _descent(energy, lambda point: direction(seen(point)), None, start, delta, 100)
    images = {
        "object with a blob": object_, f"gradient descent, {classical.k} iterations": classical.u,
        "overfitted network, one shot": answer, f"energy dissipation, {learned.k} iterations": learned.u,
    }
    share = {title: blob.recovered(image, truth) for title, image in images.items()}
    quality = {title: float(psnr(image, object_)) for title, image in images.items()}
    proof = certify(learned.u[0, 0].numpy(), data[0, 0].numpy(), problem.geometry, problem.grid, delta)
    proved = proof.residual_upper_bound if isinstance(proof, FeasibleCertificate) else proof.residual
    _, gradient, shot, ours = images
    claims = [
        at_most("one-shot network: share of the blob's contrast", abs(share[shot]), ERASED),
        at_least("energy dissipation: share of the blob's contrast", share[ours], KEPT),
        at_least("gradient descent: share of the blob's contrast", share[gradient], KEPT),
        at_least("one-shot network, without the blob: PSNR in dB", float(psnr(known, truth)), 40),
        at_least("one-shot network: residual over delta", _discrepancy(energy, answer) / delta, 1.5),
        at_most("energy dissipation: proved residual over delta", proved / delta, 1),
        at_least(
            "energy dissipation: dB gained over gradient descent at the same delta",
            quality[ours] - quality[gradient], 2,
        ),
    ]
    table = [
        {
            "image": title, "blob_contrast_share": share[title],
            "psnr_db": None if image is object_ else quality[title],
            "residual_over_delta": _discrepancy(energy, image) / delta,
        }
        for title, image in images.items()
    ]
    settings = {**asdict(setting), "blob": asdict(blob), "size": problem.grid.rows, "views": problem.geometry.shape[0]}
    return Result(figure=Figure(name="fig1", settings=settings, claims=claims, table=table), images=images)


def _descent(
    energy: Energy, direction: Direction, step: StepSearch | None, start: Tensor, delta: float, most: int
) -> Iterate:
    path = descend(energy, direction, start, step=step, stop=(Discrepancy(delta),), most_iterations=most)
    return deque(path, maxlen=1)[0]


def _discrepancy(energy: Energy, image: Tensor) -> float:
    found = energy.at(image).discrepancy
    assert found is not None
    return float(found)
