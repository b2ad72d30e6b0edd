"""Train a network on phantoms, CT slices and natural images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.training import training_options
from ctrecon.cli.training_supply import Learner, supply_options, train

if TYPE_CHECKING:
    from torch import nn

    from ctrecon.simulation.scanners import Scanner
    from ctrecon.training.card import Sampler, Scores

NETWORKS = ("unet", "unet-large", "dncnn17")


@click.command("train-phantoms", cls=Command, examples=(
    "ctrecon train-phantoms -o mine.safetensors --minutes 60",
    "ctrecon train-phantoms --phantoms discs.py --scanner scan.mat --size 128 -o discs.safetensors --minutes 60",
))  # fmt: skip
@training_options(steps=20_000, batch=4, learning_rate=1e-3, gpu=True)
@click.option("--network", type=click.Choice(NETWORKS), default="unet", show_default=True)
@supply_options
def command(network: str, start: str | None, **options: Any) -> None:
    """Train a network on the descent path (paper, section 4.2) on phantoms, and on CT slices and images where given.

    Writes OUTPUT (safetensors), a model card OUTPUT.md, and while it runs a checkpoint and a log; run the same command
    again to resume. Patients and objects of the test and validation splits are never trained on. --minutes is the time
    of the whole command, preparation and scores included. On several GPUs or machines:
    torchrun --nproc-per-node N -m ctrecon.cli.main train-phantoms --device cuda ...; --batch is that of each process.
    """
    from ctrecon.networks.pretrained import load_ct_network
    from ctrecon.training.card import model_card
    from ctrecon.training.whole import Supply

    learner = Learner(
        network=lambda: _network(network, start), supply=Supply, scores=_scores, load=load_ct_network, card=model_card
    )
    train(learner, **options)


def _scores(
    network: nn.Module, drawn: Sequence[tuple[str, Sampler]], ct_slices: Path | None, problem: Scanner, count: int
) -> Scores:
    from ctrecon.training.card import validation_scores

    return validation_scores(network, drawn, ct_slices, problem, count=count)


def _network(name: str, start: str | None) -> Any:
    from ctrecon.networks.dncnn import DnCNN, DnCNNShape
    from ctrecon.networks.pretrained import load_ct_network
    from ctrecon.networks.unet import LARGE, UNet

    if start is not None:
        return load_ct_network(start)[0].train().requires_grad_(True)
    if name == "dncnn17":
        # Without the paper's biases, which would tie the weights to one unit of attenuation.
        return DnCNN(DnCNNShape(bias=False))
    return UNet(LARGE if name == "unet-large" else None)
