"""Rays at the end of the detector's range, which hold one and the same value instead of their own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrecon.corrections import corrected
from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.errors import CtreconError
from ctrecon.measurement.scan import Scan

PLACE = 200
SPEAKS = True

# The fit judges here, so that a scan of which most is saturated may be asked about, too.
_MOST = 0.75
# Beyond this share of the rays, and so many times as many as hold the next value below, no chance explains it; nor
# beyond the smaller number where nearly no two other rays hold the same value.
_PLAIN, _TIMES = 0.01, 5
_FEWEST, _DIFFERENT = 5, 0.9


def saturated(scan: Scan) -> Iterator[Suggestion]:
    """The scan without the rays that hold exactly the largest or the smallest value."""
    try:
        mended = corrected(scan, {"saturation": {"most": _MOST}})
    except CtreconError:
        return
    lost = scan.usable_count - mended.usable_count
    if not 0 < lost <= _MOST * scan.sinogram.size:
        return
    values, counts = np.unique(scan.sinogram, return_counts=True)
    top = int(counts[-1])
    # Whole numbers of few bits hold each value many times; a limit holds one value only so often.
    rays = scan.sinogram.size
    apart = len(counts) > _DIFFERENT * (rays - int(counts[0]) - top)
    plain = len(counts) > 1 and top > _TIMES * int(counts[-2]) and (top > _PLAIN * rays or (apart and top >= _FEWEST))
    seen = f"{top} rays hold exactly {float(values[-1]):.4g}, and {int(counts[-2])} the next value" if plain else ""
    yield Suggestion(
        cause="saturation", scan=mended, certain=plain,
        words=f"many rays hold one and the same extreme value (saturation), {lost} of {scan.sinogram.size} rays",
        evidence=seen,
    )  # fmt: skip
