"""What every peer is: a network from a scan to an image in one pass, without a certificate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ctrecon.networks.pretrained import load_network
from ctrecon.simulation.scanners import Scanner
from ctrecon.studies.peers.learned_primal_dual import LearnedPrimalDual
from ctrecon.studies.peers.post_processing import PostProcessing

PeerNetwork = LearnedPrimalDual | PostProcessing
PEERS: dict[str, type[LearnedPrimalDual] | type[PostProcessing]] = {
    kind.kind: kind for kind in (LearnedPrimalDual, PostProcessing)
}
"""The architectures, by the names that they have in files and commands."""


def load_peer(path: str | Path) -> tuple[PeerNetwork, dict[str, Any]]:
    """A peer's weights from their file.

    Args:
        path: Of a file that ``ctrecon train-peer`` wrote.

    Returns:
        The network, ready to use, and its model card.

    Raises:
        WeightsError: As ``ctrecon.networks.pretrained.load_network``.
    """
    return load_network(path, tuple(PEERS.values()))


def reconstructed(peer: nn.Module, scanner: Scanner, data: Tensor) -> Tensor:
    """The peer's images of scans.

    Args:
        peer: Trained.
        scanner: Of the data.
        data: ``[batch, 1, views, cells]``.

    Returns:
        Images ``[batch, 1, rows, columns]``, in the unit that the data imply.
    """
    with torch.no_grad():
        image: Tensor = peer(data, scanner.operator, scanner.precondition(data))
    return image
