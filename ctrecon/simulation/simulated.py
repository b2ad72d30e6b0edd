"""A simulated scan with its truth, apart from what simulates, which loads every phantom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Array


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Simulated:
    """A scan, its truth in 1/mm and the true residual ``||A u - f||``, plain and whitened.

    The truth is ``[rows, columns]``, of a scan in space ``[slices, rows, columns]``.
    """

    scan: Scan
    truth: Array
    delta: float
    whitened_delta: float | None

    def __repr__(self) -> str:
        extent = " x ".join(map(str, self.truth.shape))
        return f"Simulated({self.scan!r}, truth {extent}, true residual {self.delta:.6g})"

    @property
    def delta_percent(self) -> float:
        return 100 * self.delta / float(np.linalg.norm(self.scan.sinogram))
