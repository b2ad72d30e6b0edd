"""Methods side by side on the protocol of LoDoPaB-CT, image by image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from ctrecon.classical.oracle import best_fbp, best_huber_tv
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.simulation.scanners import Scanner
from ctrecon.studies.lodopab.measures import Measures, measures
from ctrecon.studies.lodopab.protocol import MU_MAX_PER_MM, Case
from ctrecon.studies.peers.peer import PeerNetwork, reconstructed
from ctrecon.support.statistics import Estimate, estimate
from ctrecon.training.evaluate import certified, score

Method = Callable[[Scanner, Case], Tensor]

PUBLISHED_PSNR_DB = {"TV": 33.36, "U-Net": 36.00, "learned primal-dual": 36.25}
"""On the set's test images (Leuschner et al. 2021); of other images they say nothing."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One method on one image; ``misfit`` is ``||A u - f||`` over delta, in the norm of the weights."""

    method: str
    patient: str
    measures: Measures
    misfit: float
    certified: bool

    def to_dict(self) -> dict[str, Any]:
        """For JSON.

        Returns:
            Method, patient, the measures by name, misfit over delta and whether it is certified.
        """
        return {
            "method": self.method, "patient": self.patient, **self.measures.to_dict(), "misfit_over_delta": self.misfit,
            "certified": self.certified,
        }  # fmt: skip


def filtered_back_projection(scanner: Scanner, case: Case) -> Tensor:
    """With the window and cutoff that an oracle finds best."""
    return best_fbp(scanner.geometry, scanner.grid, case.data, case.truth).image


def huber_tv(scanner: Scanner, case: Case) -> Tensor:
    """With the weight and Huber parameter that an oracle finds best."""
    weights = case.weights.flatten(1)
    # White noise of the counts' variances has the standard deviation 1 in their norm.
    sigma = weights.mean(1).sqrt()
    return best_huber_tv(scanner.operator, case.data, case.truth, sigma=sigma, weights=case.weights).image


def energy_dissipation(network: nn.Module) -> Method:
    """A direction's image at the certified stop, with the true delta."""

    def image(scanner: Scanner, case: Case) -> Tensor:
        return score(network, scanner, case.truth, case.data, case.weights).image

    return image


def of_peer(peer: PeerNetwork) -> Method:
    """A peer's image."""
    return lambda scanner, case: reconstructed(peer, scanner, case.data)


def scored(scanner: Scanner, cases: Iterable[Case], methods: Mapping[str, Method]) -> Iterator[Scored]:
    """Every method on every image, in turn.

    Args:
        scanner: Of the data.
        cases: Images and data.
        methods: By name.

    Yields:
        The scores of one method on one image. "Certified" is what ``certify`` proves of that image.
    """
    for case in cases:
        energy = LeastSquares(scanner.operator, case.data, case.weights)
        delta = energy.at(case.truth).discrepancy
        assert delta is not None
        for name, method in methods.items():
            image = method(scanner, case)
            found = energy.at(image).discrepancy
            assert found is not None
            yield Scored(
                method=name, patient=case.patient,
                measures=measures(_plane(image), _plane(case.truth), MU_MAX_PER_MM), misfit=float(found / delta),
                certified=bool(certified(scanner, image, case.data, delta, case.weights)[0]),
            )  # fmt: skip


def _plane(image: Tensor) -> Any:
    return np.asarray(image[0, 0].numpy(), dtype=np.float64)


def means(rows: Sequence[Scored], method: str) -> dict[str, Estimate]:
    """The mean of each measure of a method, with its interval by patients."""
    own = [row for row in rows if row.method == method]
    patients = [row.patient for row in own]
    return {
        name: estimate([getattr(row.measures, name) for row in own], patients)
        for name in ("psnr", "ssim", "psnr_fr", "ssim_fr")
    }
