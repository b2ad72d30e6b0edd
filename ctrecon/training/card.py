"""Model cards: what a network was trained on, how well it does on what it never saw, and what it is not for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ctrecon.measurement.counts import add_gaussian_noise
from ctrecon.simulation.analytic import AnalyticPhantom
from ctrecon.simulation.scanners import Scanner, walnut_scanner
from ctrecon.training.data import ImageSource, PhantomSource, Source
from ctrecon.training.evaluate import score
from ctrecon.training.image_sets import read_ct_slices

Sampler = Callable[[np.random.Generator], AnalyticPhantom]
NOISE_LEVELS = (0.005, 0.01, 0.03)
# Far from the seeds that people train with, so that validation phantoms were never drawn in training.
_VALIDATION_SEED = 977_000


def validation_scores(
    network: nn.Module, families: Sequence[tuple[str, Sampler]], ct_slices: Path | None, *, size: int = 164,
    count: int = 4, device: str | torch.device = "cpu",
) -> dict[str, dict[str, float]]:
    """Mean PSNR in dB at the certified stop for 120 fan views and ``count`` images a set: ``{set: {noise: dB}}``."""
    problem = replace(walnut_scanner(size), device=str(device))
    sources: list[tuple[str, Source]] = [(name, PhantomSource([sample])) for name, sample in families]
    if ct_slices is not None:
        slices = read_ct_slices(ct_slices, "validation")
        sources.append(("CT slices, validation patients", ImageSource(slices, zoom=(0.99, 1.0), masked=1.0)))
    return {name: _mean_scores(network, problem, source, count) for name, source in sources}


def _mean_scores(network: nn.Module, problem: Scanner, source: Source, count: int) -> dict[str, float]:
    rng = np.random.default_rng(_VALIDATION_SEED)
    drawn = [source.draw(rng, problem) for _ in range(count)]
    truth, clean = torch.cat([t for t, _ in drawn]).to(problem.device), torch.cat([s for _, s in drawn]).cpu()
    scores = {}
    for level in NOISE_LEVELS:
        result = score(network, problem, truth, noisy(clean, level, _VALIDATION_SEED).to(problem.device))
        scores[f"{level:.1%}"] = round(float(result.psnr.mean()), 2)
    return scores


def noisy(clean: Tensor, level: float, seed: int) -> Tensor:
    """White noise of ``level * ||f||`` for each sample of ``[batch, 1, views, detectors]``, each from its own seed."""
    samples = [add_gaussian_noise(f[0].numpy(), level, seed + i) for i, f in enumerate(clean)]
    return torch.from_numpy(np.stack(samples))[:, None]


def model_card(name: str, network: nn.Module, card: dict[str, Any]) -> str:
    """The card as Markdown."""
    parameters = sum(p.numel() for p in network.parameters())
    lines = [
        f"# {name}",
        "",
        f"A direction for energy-dissipating CT reconstruction: {type(network).__name__}, {parameters / 1e6:.2f} M "
        "parameters, shown u, the scaled gradient, the filtered back projection of the residual, and a Huber-TV image.",
        "",
        "## Training",
        *(f"- {item}" for item in card["data"]),
        f"- seed {card['seed']}, {card['steps']} steps of batch {card['batch']}, {card['hours']} hours, {card['date']}",
        f"- `{card['command']}`",
        f"- final training loss {card['loss']} dB (error of one network step, relative to the image)",
        "",
        *(_scores(card) if card["scores"] else ()),
        "## Limits",
        "Research only, not for diagnosis. The network decides where in the set of images that explain the data the",
        "reconstruction lies; what the data do not determine comes from the training images, and the certificate says",
        "nothing about it. Trained on chest CT slices, natural images and phantoms; other anatomy was not tried.",
        "",
    ]
    return "\n".join(lines)


def _scores(card: dict[str, Any]) -> list[str]:
    return [
        "## Scores",
        f"Mean PSNR in dB at the certified stop, {card['size']} x {card['size']} pixels, 120 fan-beam views, by",
        "relative noise, on objects never trained on:",
        "",
        "| set | " + " | ".join(f"{level:.1%}" for level in NOISE_LEVELS) + " |",
        "| --- |" + " ---: |" * len(NOISE_LEVELS),
        *(
            f"| {set_name} | " + " | ".join(f"{scores[f'{level:.1%}']:.2f}" for level in NOISE_LEVELS) + " |"
            for set_name, scores in card["scores"].items()
        ),
        "",
    ]
