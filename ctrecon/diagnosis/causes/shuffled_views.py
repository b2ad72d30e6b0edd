"""Views stored in an order that has no name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.causes.view_order import coarse_views, suggested, views_in_row
from ctrecon.diagnosis.ordering import roughness, shortest_tour
from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.scan import Scan

PLACE = 150

_MOST = 720
_NAMELESS = "none that has a name; which way round, the data cannot tell"


def shuffled_views(scan: Scan) -> Iterator[Suggestion]:
    """The views in the order in which each is most like the next, whatever that is."""
    found = views_in_row(scan)
    angles = getattr(scan.geometry, "angles_rad", None)
    if found is None or angles is None or scan.sinogram.shape[0] > _MOST:
        return
    in_row, _ = found
    # Where the views change little in the order of angles of many turns, the angles' unit is wrong, not their order.
    as_said = roughness(coarse_views(scan)[np.argsort(angles, kind="stable")], closed=True)
    if as_said >= roughness(in_row, closed=True):
        yield from suggested(scan, *found, {_NAMELESS: shortest_tour(in_row)})
