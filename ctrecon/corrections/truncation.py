"""Widen a detector that does not see all of the object, by cells that are missing.

An object that is wider than the detector sees: missing cells are added, so that the image may be wide enough.

Within the object a view ends amid it, and the ramp filter takes the end for an edge: a bright rim about the field of
view. With cells beyond, filled from the last one, the filter sees none (B. Ohnesorge, T. Flohr, K. Schwarz, J. P.
Heiken, K. T. Bae, Med. Phys. 27, 39, 2000); and the object beyond, which the rays do cross, gets a place in the image
instead of being pressed into it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ctrecon.errors import GeometryError, InputError, SettingError
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Array

PLACE = 110
"""Where among the corrections it is applied."""

# A view is cut off where its last cells see this share of the largest line integral.
_CUT, _ENDS = 0.1, 3


def truncation(scan: Scan, *, share: float = 0.5) -> Scan:
    """The scan with cells added that are missing, ``share`` of the detector on either side; none if its ends see air.

    Args:
        scan: Of a geometry whose detector can be made longer.
        share: Of the cells that there are, > 0.

    Raises:
        SettingError: For a share that is not in (0, 4].
        InputError: For a scan whose detector cannot be made longer.
    """
    if not 0 < share <= 4:
        raise SettingError(f"truncation:share must lie in (0, 4], got {share:g}")
    f, scale = scan.sinogram, float(np.quantile(scan.sinogram, 0.99))
    ends = np.stack([np.abs(part.mean(axis=-1)) for part in (f[..., :_ENDS], f[..., -_ENDS:])])
    if float(np.quantile(ends, 0.9)) <= _CUT * scale:
        return scan
    if scan.geometry is None or scan.matrix is not None or not hasattr(scan.geometry, "detector_count"):
        raise InputError(f"{scan.source}: its detector cannot be made longer; drop the correction truncation")
    more = max(1, round(share * f.shape[-1]))
    try:
        wider = replace(scan.geometry, detector_count=scan.geometry.detector_count + 2 * more)  # type: ignore[type-var]
    except (GeometryError, TypeError) as why:
        raise InputError(f"{scan.source}: its detector cannot be made longer ({why})") from None
    pad = [(0, 0)] * (f.ndim - 1) + [(more, more)]
    mask = np.pad(np.ones(f.shape, np.bool_) if scan.mask is None else scan.mask, pad)

    def wide(values: Array) -> Array:
        return np.pad(values, pad, mode="edge")

    note = f"{2 * more} missing cells were added to {f.shape[-1]}: what only they see is not decided by the data"
    return replace(
        scan, geometry=wider, grid=None, mask=mask, notes=(*scan.notes, note), sinogram=wide(f),
        variance=None if scan.variance is None else wide(scan.variance),
        counts=None if scan.counts is None else wide(scan.counts),
        white=None if scan.white is None else wide(scan.white),
    )  # fmt: skip
