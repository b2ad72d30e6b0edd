"""What an audit takes for granted of the object: how rough it is at most, and between which values it lies."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ctrecon.auditing.evidence import Evidence, single
from ctrecon.auditing.image_set import variation
from ctrecon.auditing.roughness import allowance
from ctrecon.errors import SettingError
from ctrecon.measurement.given import LARGEST_VALUE

HIGHEST_PER_MM = 0.1
"""Five times water: above any tissue, bone included, at the energies of CT."""


@dataclass(frozen=True, kw_only=True)
class Assumptions:
    """What is taken for granted of the object, each with a sentence on where it comes from."""

    kappa: float
    kappa_from: str
    lo: float
    hi: float
    hi_from: str


def assume(
    evidence: Evidence,
    *,
    kappa: float | None = None,
    kappa_from: str = "given",
    learned: bool = False,
    called: str = "this image",
    lo: float = 0.0,
    hi: float | None = None,
) -> Assumptions:
    """What an audit takes for granted of the object: its roughness and its values.

    Args:
        evidence: The reconstruction and its scan.
        kappa: How much total variation the object has at most; None for that of ``roughness.py``, a factor times the TV
            of the smoothest image found that explains the scan, or where it is rougher and ``learned`` of the
            reconstruction.
        kappa_from: A word on where a given ``kappa`` comes from.
        learned: Whether a network made the reconstruction.
        called: The reconstruction, in words.
        lo: No value is below, 1/mm (or per cell).
        hi: No value is above; None for 0.1/mm, or twice the image's largest value where that is more, or where the
            image has no unit.

    Returns:
        The assumptions, each with where it comes from.

    Raises:
        SettingError: For a kappa that is not > 0, or values with no room between them.
    """
    if kappa is None:
        scan = {"views": evidence.data.shape[0], "side": max(evidence.image.shape)}
        factor = allowance(evidence.share, **scan, learned=learned, exponent=evidence.exponent)
        # No image that explains the scan is smoother than the smoothest, whatever made it.
        rough, whose = variation(evidence.smoothest), "the smoothest image found that meets delta"
        if learned and variation(single(evidence.image)) >= rough:
            rough, whose = variation(single(evidence.image)), f"{called}, a learned one"
        kappa, kappa_from = factor * rough, f"{factor:.3g} times {whose}; most simulated objects meet that (trust.md)"
    hi_from = "given"
    if hi is None:
        most = 2 * float(evidence.image.max())
        hi, hi_from = HIGHEST_PER_MM, "the default, five times water"
        if evidence.grid is None or most > 2 * HIGHEST_PER_MM:
            hi, hi_from = most, "twice the largest value of the reconstruction"
    if not (math.isfinite(kappa) and kappa > 0):
        raise SettingError(f"kappa must be a finite number > 0, got {kappa} ({kappa_from})")
    if not -LARGEST_VALUE < lo < hi < LARGEST_VALUE:
        raise SettingError(f"an image's values must have room between --lo and --hi, got {lo} to {hi}")
    return Assumptions(kappa=kappa, kappa_from=kappa_from, lo=lo, hi=hi, hi_from=hi_from)
