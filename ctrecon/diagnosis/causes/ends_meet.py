"""An arc whose two ends are stated to be one view, and are two.

Angles by NumPy's or MATLAB's ``linspace`` from 0 to a turn have both ends, which are one; a scanner seldom measures
there twice. Then the first and the last view are stated to be the same, and differ as much as any two neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.causes.angle_range import FEWEST_ANGLES, stretched
from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.scan import Scan

PLACE = 45
CAUSE = False  # angle_range proposes the same
SPEAKS = True

# The ends meet within this share of a step.
_MEET = 0.05
# Two views at one angle change by less than this share of what neighbours do; where both are noise, the fit decides.
_SAME = 0.6


def ends_meet(scan: Scan) -> Iterator[Suggestion]:
    """The angles without the end that is stated twice, where the views there are not the same."""
    angles = getattr(scan.geometry, "angles_rad", None)
    if angles is None or scan.sinogram.ndim != 2 or len(angles) < FEWEST_ANGLES:
        return
    count, span = len(angles), angles[-1] - angles[0]
    if abs(abs(span) - 2 * math.pi) > _MEET * 2 * math.pi / count:
        return
    f = scan.sinogram.astype(np.float64)
    beside = float(((f[1] - f[0]) ** 2).mean() + ((f[-1] - f[-2]) ** 2).mean()) / 2
    if float(((f[-1] - f[0]) ** 2).mean()) < _SAME * beside:
        return
    yield from stretched(scan, "angles-end-included")
