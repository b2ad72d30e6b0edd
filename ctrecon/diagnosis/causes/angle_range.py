"""The right kind of scan over the wrong arc: half for whole, or an end that was counted twice or not at all."""

from __future__ import annotations

from collections.abc import Iterator

from ctrecon.diagnosis.suggestion import Suggestion, changed, with_geometry
from ctrecon.measurement.scan import Scan


def angle_range(scan: Scan) -> Iterator[Suggestion]:
    """The angles stretched about the first one."""
    angles = getattr(scan.geometry, "angles_rad", None)
    if angles is None or len(angles) < 3:
        return
    count = len(angles)
    stretches = {
        "angles-half": (0.5, "the views cover half the arc that is stated"),
        "angles-double": (2.0, "the views cover twice the arc that is stated"),
        "angles-end-included": ((count - 1) / count, "the last view does not stand where the first one would again"),
        "angles-end-left-out": (count / (count - 1), "the last view stands at the end of the arc, not one step before"),
    }
    for cause, (factor, words) in stretches.items():
        stretched = tuple(angles[0] + factor * (angle - angles[0]) for angle in angles)
        yield Suggestion(
            cause=cause, words=words, scan=with_geometry(scan, changed(scan.geometry, angles_rad=stretched))
        )
