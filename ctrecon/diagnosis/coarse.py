"""The coarsest fit that still tells a wrong geometry from a right one: the signs in every reconstruction look at it."""

from __future__ import annotations

import weakref

from ctrecon.diagnosis.fit import Fit, fit
from ctrecon.measurement.scan import Scan

# Signs are looked at one after another, each of the same scan.
_last: tuple[weakref.ref[Scan], Fit] | None = None


def coarse_fit(scan: Scan) -> Fit:
    """The fit of a scan in the plane on 64 pixels a side and about 45 views; that of the last scan is kept.

    Raises:
        InputError: As ``fit`` does.
    """
    global _last
    last = _last
    if last is not None and last[0]() is scan:
        return last[1]
    found = _fit(scan)
    _last = weakref.ref(scan, _forget), found
    return found


def explains_more(scan: Scan, than: Fit, share: float) -> bool:
    """Whether another reading of a scan leaves less than ``share`` of what ``than`` leaves.

    Args:
        scan: As it is read otherwise.
        than: The coarse fit of the first reading.
        share: Below 1.

    Raises:
        InputError: As ``fit`` does.
    """
    return _fit(scan, than).share < share * than.share


def _fit(scan: Scan, rival: Fit | None = None) -> Fit:
    return fit(scan, side=64, cells=96, most_views=45, uses="some", like=rival, rival=rival)


def _forget(gone: weakref.ref[Scan]) -> None:
    global _last
    if _last is not None and _last[0] is gone:
        _last = None
