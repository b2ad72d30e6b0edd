"""Model cards: what a network was trained on, how well it does on what it never saw, and what it is not for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ctrecon.errors import InputError
from ctrecon.measurement.counts import add_gaussian_noise
from ctrecon.networks.slices import slices_seen
from ctrecon.simulation.analytic import AnalyticPhantom
from ctrecon.simulation.scanners import Scanner, walnut_scanner
from ctrecon.support.statistics import estimate
from ctrecon.training.data import ImageSource, PhantomSource, Source
from ctrecon.training.evaluate import score
from ctrecon.training.image_sets import read_ct_patients

Sampler = Callable[[np.random.Generator], AnalyticPhantom]
NOISE_LEVELS = (0.005, 0.01, 0.03)
# Far from the seeds that people train with, so that validation phantoms were never drawn in training.
_VALIDATION_SEED = 977_000


def validation_scores(
    network: nn.Module, families: Sequence[tuple[str, Sampler]], ct_slices: Path | None, *, size: int = 164,
    count: int = 4, device: str | torch.device = "cpu",
) -> dict[str, dict[str, dict[str, Any]]]:
    """Mean PSNR in dB at the certified stop for 120 fan views and ``count`` images a set, each of another object.

    ``{set: {noise: {"mean", "low", "high", "images", "patients"}}}``: with the 95% interval, by a bootstrap over
    patients or objects. CT slices are those of ``count`` patients in turn.
    """
    problem = replace(walnut_scanner(size), device=str(device))
    sets: dict[str, list[tuple[str, Source]]] = {
        name: [(f"{name} {k}", PhantomSource([sample])) for k in range(count)] for name, sample in families
    }
    if ct_slices is not None:
        patients = [one for one in read_ct_patients(ct_slices, "validation") if one.slices]
        if not patients:
            raise InputError(f"{ct_slices} holds no CT slices of the validation patients")
        turns = [patients[k % len(patients)] for k in range(count)]
        sets["CT slices, validation patients"] = [
            (one.name, ImageSource(one.slices, zoom=(0.99, 1.0), masked=1.0)) for one in turns
        ]
    return {name: _mean_scores(network, problem, sources) for name, sources in sets.items()}


def _mean_scores(
    network: nn.Module, problem: Scanner, sources: Sequence[tuple[str, Source]]
) -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(_VALIDATION_SEED)
    drawn = [source.draw(rng, problem) for _, source in sources]
    truth, clean = torch.cat([t for t, _ in drawn]).to(problem.device), torch.cat([s for _, s in drawn]).cpu()
    scores = {}
    for level in NOISE_LEVELS:
        result = score(network, problem, truth, noisy(clean, level, _VALIDATION_SEED).to(problem.device))
        found = estimate(result.psnr.tolist(), [patient for patient, _ in sources]).to_dict()
        scores[f"{level:.1%}"] = {k: round(v, 2) if isinstance(v, float) else v for k, v in found.items()}
    return scores


def noisy(clean: Tensor, level: float, seed: int) -> Tensor:
    """White noise of ``level * ||f||`` for each sample of ``[batch, 1, views, detectors]``, each from its own seed."""
    samples = [add_gaussian_noise(f[0].numpy(), level, seed + i) for i, f in enumerate(clean)]
    return torch.from_numpy(np.stack(samples))[:, None]


def model_card(name: str, network: nn.Module, card: dict[str, Any]) -> str:
    """The card as Markdown."""
    parameters, slices = sum(p.numel() for p in network.parameters()), slices_seen(network)
    of = f", each of {slices} neighbouring slices" if slices > 1 else ""
    lines = [
        f"# {name}",
        "",
        f"A direction for energy-dissipating CT reconstruction: {type(network).__name__}, {parameters / 1e6:.2f} M "
        "parameters, shown u, the scaled gradient, the filtered back projection of the residual, and a Huber-TV image"
        f"{of}.",
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


def _counted(scores: dict[str, dict[str, Any]]) -> str:
    first = next(iter(scores.values()))
    return f"{first['images']} ({first['patients']})"


def _said(one: dict[str, Any]) -> str:
    interval = "no interval" if one["low"] is None else f"{one['low']:.2f} to {one['high']:.2f}"
    return f"{one['mean']:.2f} ({interval})"


def _scores(card: dict[str, Any]) -> list[str]:
    return [
        "## Scores",
        "Mean PSNR in dB at the certified stop (95% interval, by a bootstrap over patients or objects),",
        f"{card['size']} x {card['size']} pixels, 120 fan-beam views, by relative noise, on objects never trained on:",
        "",
        "| set | images (patients or objects) | " + " | ".join(f"{level:.1%}" for level in NOISE_LEVELS) + " |",
        "| --- | ---: |" + " ---: |" * len(NOISE_LEVELS),
        *(
            f"| {set_name} | {_counted(scores)} | "
            + " | ".join(_said(scores[f"{level:.1%}"]) for level in NOISE_LEVELS)
            + " |"
            for set_name, scores in card["scores"].items()
        ),
        "",
    ]
