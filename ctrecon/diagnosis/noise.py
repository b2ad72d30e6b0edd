"""How much of the data can be noise: from neighbouring cells alone, so that a wrong geometry does not pass for it."""

from __future__ import annotations

import math

import numpy as np

from ctrecon.measurement.scan import Scan


def noise_share(scan: Scan, block: int) -> float:
    """White noise as a share of the data; detail of the object counts as well, so it is rather too large.

    Args:
        scan: One slice.
        block: How many neighbouring cells are taken together.

    Returns:
        ``||noise|| / ||f||`` of cells that are means of ``block``; 0 where all data are zero.
    """
    f = scan.sinogram.astype(np.float64)
    # Fourth differences: what is smooth over five cells drops out of them.
    bends = np.diff(f, n=4, axis=1)
    sigma = float(np.median(np.abs(bends))) / (0.6745 * math.sqrt(70)) if bends.size else 0.0
    size = math.sqrt(float((f**2).mean()))
    return sigma / (size * math.sqrt(block)) if size > 0 else 0.0
