"""Views that hold nothing like their neighbours: lost, or doubled in brightness."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import median_filter

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.mask import mask_of_lines
from ctrecon.measurement.scan import Scan

PLACE = 190
SPEAKS = True

_AROUND, _FEWEST = 5, 10
# A view beside this share of what its neighbours hold in all is none of them.
_LEAST, _MOST = 0.75, 1.33
_MOST_LOST = 0.2
# Several in a row stand beside one another; but no view of an object holds so little of what most do.
_NOTHING = 0.1


def lost_views(scan: Scan) -> Iterator[Suggestion]:
    """The scan without the views that stand out."""
    f = scan.sinogram.astype(np.float64)
    if f.shape[0] < _FEWEST:
        return
    sizes = np.sqrt((f**2).mean(axis=1))
    beside = median_filter(sizes, _AROUND, mode="nearest")
    lost = (sizes < _LEAST * beside) | (sizes > _MOST * beside) | (sizes < _NOTHING * float(np.median(sizes)))
    if scan.mask is not None:
        lost &= scan.mask.any(axis=1)
    views = [int(view) for view in np.flatnonzero(lost)]
    if not 0 < len(views) <= _MOST_LOST * len(sizes):
        return
    mask = mask_of_lines(scan.source, f.shape, [], views)
    named = ", ".join(map(str, views[:6])) + (", ..." if len(views) > 6 else "")
    words = f"{len(views)} view{'s' if len(views) > 1 else ''} ({named}) hold nothing like their neighbours"
    yield Suggestion(cause="lost-views", words=words, scan=scan.without(mask, "by diagnosis"))
