"""The data and the delta of a certified image made ready for methods, from its evidence alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ctrecon.auditing.evidence import Evidence, single
from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified, prove
from ctrecon.classical.smooth import smooth_image
from ctrecon.classical.tv import tv_at_discrepancy
from ctrecon.classical.tv_solver import HuberTVSolver, TVResult
from ctrecon.errors import InputError
from ctrecon.geometry.as_json import geometry_from_dict
from ctrecon.measurement.delta import Delta, Norm
from ctrecon.measurement.scan import Scan
from ctrecon.measurement.units import CELLS
from ctrecon.reconstruction.problem import Problem, prepare
from ctrecon.support.arrays import Array, Float32Array

ROOM = 1e-4
"""Of delta: methods end this much below it, so that what float32 found still holds when float64 checks it."""
NORMS: dict[str, Norm] = {"2-norm": "2-norm", "whitened": "whitened"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Ground:
    """What members are made from. ``problem`` aims ``ROOM`` below the certificate's delta."""

    evidence: Evidence
    problem: Problem

    @cached_property
    def base(self) -> Tensor:
        """The certified image, ``[1, 1, rows, columns]``."""
        return single(self.evidence.image).to(self.problem.device)

    @cached_property
    def box(self) -> tuple[float, float]:
        """Where pushed images stay: not below zero, or where the image itself is below, than it; up to twice it."""
        low, high = float(self.base.min()), float(self.base.max())
        return min(low, 0.0), max(2 * high, 1e-12)

    @cached_property
    def delta(self) -> Tensor:
        """``[1]``, float64."""
        return torch.full((1,), self.problem.delta.value, dtype=torch.float64, device=self.problem.device)

    @cached_property
    def smooth(self) -> Tensor:
        """The smooth image that networks are shown."""
        energy = self.problem.energy
        return smooth_image(HuberTVSolver(self.problem.operator, energy.data), energy.data, self.delta, energy.weights)

    @cached_property
    def smoothest(self) -> TVResult:
        """Huber-TV with the largest weight that meets delta."""
        energy = self.problem.energy
        return tv_at_discrepancy(self.problem.operator, energy.data, self.delta, weights=energy.weights, tolerance=1e-3)

    def certify(self, image: Float32Array) -> FeasibleCertificate | NotCertified:
        """Prove an image by the certificate's own data, weights, operator and delta, in float64.

        Args:
            image: ``[rows, columns]``, in the image's unit.

        Returns:
            Its certificate; ``NotCertified`` where it does not meet delta.

        Raises:
            InputError: For an image of another shape, or values that are not finite.
        """
        values = self.evidence.values
        return prove(
            image, self.evidence.data, values["operator"], values["norm"], self.evidence.delta,
            weights=self.evidence.weights, entries=self.evidence.entries, unit=values["image"]["unit"],
        )  # fmt: skip


def ground_of(evidence: Evidence, *, device: str | None = None) -> Ground:
    """Make the scan of a certificate ready.

    Args:
        evidence: Checked.
        device: ``"cpu"``, ``"cuda"``; None for a GPU where there is one.

    Returns:
        Data, operator and delta as methods take them.

    Raises:
        InputError: For a norm that no method works in.
        SettingError, OperatorError: For a device or operator that cannot be had.
    """
    values = evidence.values
    if values["norm"] not in NORMS:
        raise InputError(f"{evidence.path}: its norm is {values['norm']}; members are made in the 2-norm alone")
    operator = values["operator"]
    variance, mask = _noise(evidence.weights)
    scan = Scan(
        evidence.data,
        geometry_from_dict(operator["geometry"])[0] if "geometry" in operator else None,
        grid=evidence.grid, variance=variance, mask=mask, matrix=evidence.matrix,
        image_shape=None if evidence.matrix is None else evidence.image.shape,
        length_unit="cell" if evidence.units is CELLS else "mm", source=evidence.path.name,
    )  # fmt: skip
    delta = Delta(
        value=evidence.delta * (1 - ROOM), norm=NORMS[values["norm"]], how="the certificate's, with room for rounding"
    )
    return Ground(evidence=evidence, problem=prepare(scan, delta, device=device))


def _noise(weights: Array | None) -> tuple[Array | None, Array | None]:
    """Variances and usable rays that have these weights: those of 0 and 1 alone leave out what is missing."""
    if weights is None:
        return None, None
    usable = weights > 0
    mask = None if bool(usable.all()) else usable
    if bool(((weights == 0) | (weights == 1)).all()):
        return None, mask
    return 1 / np.where(usable, weights, weights[usable].mean()), mask
