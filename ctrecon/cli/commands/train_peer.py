"""Train a method of others on the same data, to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.training import training_options
from ctrecon.cli.training_supply import Learner, supply_options, train

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrecon.simulation.scanners import Scanner
    from ctrecon.training.card import Sampler, Scores


@click.command("train-peer", cls=Command, examples=("ctrecon train-peer fbp-unet -o peer.safetensors --minutes 60",))
@click.argument("method", type=click.Choice(("learned-primal-dual", "fbp-unet")))
@training_options(steps=20_000, batch=4, learning_rate=1e-3, gpu=True)
@supply_options
def command(method: str, start: str | None, **options: Any) -> None:
    """Train a method of others on the data of train-phantoms, to compare with: learned primal-dual, or a U-Net on FBP.

    The options, the scans and their order, checkpoint, log and model card are those of train-phantoms; with the same
    --seed, --batch, --threads and --minutes the time is the same, too. ctrecon benchmark --peer OUTPUT compares.
    """
    from ctrecon.studies.peers.card import peer_card
    from ctrecon.studies.peers.peer import load_peer
    from ctrecon.studies.peers.pool import PeerSupply

    learner = Learner(
        network=lambda: _network(method, start), supply=PeerSupply, scores=_scores, load=load_peer, card=peer_card
    )
    train(learner, **options)


def _scores(
    network: nn.Module, drawn: Sequence[tuple[str, Sampler]], ct_slices: Path | None, problem: Scanner, count: int
) -> Scores:
    from ctrecon.studies.peers.peer import reconstructed
    from ctrecon.support.metrics import psnr
    from ctrecon.training.card import scores_on_validation

    def of_its_images(problem: Scanner, truth: Tensor, data: Tensor) -> Tensor:
        return psnr(reconstructed(network, problem, data), truth)

    return scores_on_validation(of_its_images, drawn, ct_slices, problem, count=count)


def _network(method: str, start: str | None) -> Any:
    from ctrecon.errors import SettingError
    from ctrecon.studies.peers.peer import PEERS, load_peer

    if start is None:
        return PEERS[method]()
    network = load_peer(start)[0]
    if network.kind != method:
        raise SettingError(f"--start {Path(start).name} is of {network.kind}, not of {method}; give one that is")
    return network.train().requires_grad_(True)
