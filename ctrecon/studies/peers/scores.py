"""How good a peer's images are, and whether they explain the data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ctrecon.energies.least_squares import LeastSquares
from ctrecon.simulation.scanners import Scanner
from ctrecon.studies.peers.peer import PeerNetwork, reconstructed
from ctrecon.support.metrics import psnr
from ctrecon.training.evaluate import certified


@dataclass(frozen=True, kw_only=True)
class PeerScores:
    """Per image: PSNR in dB, ``||A u - f||`` in units of delta, and whether ``certify`` proves that it is within."""

    psnr: list[float] = field(default_factory=list)
    misfit: list[float] = field(default_factory=list)
    certified: list[bool] = field(default_factory=list)

    def __add__(self, other: PeerScores) -> PeerScores:
        return PeerScores(
            psnr=self.psnr + other.psnr, misfit=self.misfit + other.misfit, certified=self.certified + other.certified
        )

    @property
    def verdict(self) -> str:
        """In a word, for a table."""
        hits = sum(self.certified)
        return "no" if hits == 0 else "all" if hits == len(self.certified) else f"{hits} of {len(self.certified)}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON: what explains the data, without the PSNR.

        Returns:
            ``misfit_over_delta`` and ``certified``, one entry per image.
        """
        return {"misfit_over_delta": list(self.misfit), "certified": list(self.certified)}


def peer_scores(
    peer: PeerNetwork, scanner: Scanner, truth: Tensor, data: Tensor,
    weights: Tensor | None = None,
) -> PeerScores:
    """Score a peer's images of simulated data, with delta = the true residual of the truth.

    Args:
        peer: Trained.
        scanner: Of the data.
        truth: ``[batch, 1, rows, columns]``, 1/mm.
        data: ``[batch, 1, views, cells]``.
        weights: 1 / variance of the data, in whose norm the residual is measured; None for 1. No peer sees them.

    Returns:
        One of each per image.
    """
    image = reconstructed(peer, scanner, data)
    energy = LeastSquares(scanner.operator, data, weights)
    found, allowed = energy.at(image).discrepancy, energy.at(truth).discrepancy
    assert found is not None
    assert allowed is not None
    return PeerScores(
        psnr=psnr(image, truth).tolist(), misfit=(found / allowed).tolist(),
        certified=certified(scanner, image, data, allowed, weights).tolist(),
    )


