"""Model cards: what a network was trained on, how well it does on what it never saw, and what it is not for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ctrecon.errors import InputError
from ctrecon.measurement.counts import add_gaussian_noise
from ctrecon.networks.slices import slices_seen
from ctrecon.simulation.analytic import AnalyticPhantom
from ctrecon.simulation.scanners import Scanner
from ctrecon.support.statistics import estimate
from ctrecon.training.data import ImageSource, PhantomSource, Source
from ctrecon.training.evaluate import score
from ctrecon.training.image_sets import read_ct_patients

Sampler = Callable[[np.random.Generator], AnalyticPhantom]
Scores = dict[str, dict[str, dict[str, Any]]]
NOISE_LEVELS = (0.005, 0.01, 0.03)
# Far from the seeds that people train with, so that validation phantoms were never drawn in training.
_VALIDATION_SEED = 977_000


def validation_scores(
    network: nn.Module, families: Sequence[tuple[str, Sampler]], ct_slices: Path | None, problem: Scanner, *,
    count: int = 4,
) -> Scores:
    """``scores_on_validation`` of a direction, at the certified stop."""

    def at_the_stop(problem: Scanner, truth: Tensor, data: Tensor) -> Tensor:
        return score(network, problem, truth, data).psnr

    return scores_on_validation(at_the_stop, families, ct_slices, problem, count=count)


def scores_on_validation(
    psnr_of: Callable[[Scanner, Tensor, Tensor], Tensor], families: Sequence[tuple[str, Sampler]],
    ct_slices: Path | None, problem: Scanner, *, count: int = 4,
) -> Scores:
    """Mean PSNR in dB of ``problem``'s scans, ``count`` images a set, each of another object.

    ``psnr_of`` a scanner, images and their noisy scans gives that of a method's images, one by one.

    ``{set: {noise: {"mean", "low", "high", "images", "patients"}}}``: with the 95% interval, by a bootstrap over
    patients or objects. CT slices are those of ``count`` patients in turn.
    """
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
    return {name: _mean_scores(psnr_of, problem, sources) for name, sources in sets.items()}


def _mean_scores(
    psnr_of: Callable[[Scanner, Tensor, Tensor], Tensor], problem: Scanner, sources: Sequence[tuple[str, Source]]
) -> dict[str, dict[str, Any]]:
    rng = np.random.default_rng(_VALIDATION_SEED)
    drawn = [source.draw(rng, problem) for _, source in sources]
    truth, clean = torch.cat([t for t, _ in drawn]).to(problem.device), torch.cat([s for _, s in drawn]).cpu()
    scores = {}
    for level in NOISE_LEVELS:
        reached = psnr_of(problem, truth, noisy(clean, level, _VALIDATION_SEED).to(problem.device))
        found = estimate(reached.tolist(), [patient for patient, _ in sources]).to_dict()
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
        *training_lines(card),
        f"- final training loss {card['loss']} dB (error of one network step, relative to the image)",
        "",
        *(score_lines(card, " at the certified stop") if card["scores"] else ()),
        "## Limits",
        "Research only, not for diagnosis. The network decides where in the set of images that explain the data the",
        "reconstruction lies; what the data do not determine comes from the training images, and the certificate says",
        "nothing about it. Objects unlike those listed above were not tried.",
        "",
    ]
    return "\n".join(lines)


def training_lines(card: dict[str, Any]) -> list[str]:
    """How long and by which command, for the card of any network."""
    return [
        f"- seed {card['seed']}, {card['steps']} steps of batch {card['batch']}, {card['hours']} hours, {card['date']}",
        f"- `{card['command']}`",
    ]


def _counted(scores: dict[str, dict[str, Any]]) -> str:
    first = next(iter(scores.values()))
    return f"{first['images']} ({first['patients']})"


def _said(one: dict[str, Any]) -> str:
    interval = "no interval" if one["low"] is None else f"{one['low']:.2f} to {one['high']:.2f}"
    return f"{one['mean']:.2f} ({interval})"


def score_lines(card: dict[str, Any], where: str = "") -> list[str]:
    """The scores of ``scores_on_validation`` as a table; ``where`` says of which image they are."""
    return [
        "## Scores",
        f"Mean PSNR in dB{where} (95% interval, by a bootstrap over patients or objects),",
        f"{card['size']} x {card['size']} pixels, {card['scan']}, by relative noise, on objects never trained on:",
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
