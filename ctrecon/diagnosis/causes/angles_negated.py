"""The object turned the other way: angles with the wrong sign, or views stored last to first."""

from __future__ import annotations

from collections.abc import Iterator

from ctrecon.diagnosis.suggestion import Suggestion, changed, with_geometry
from ctrecon.measurement.scan import Scan

PLACE = 10


def angles_negated(scan: Scan) -> Iterator[Suggestion]:
    """The same views at the negative angles."""
    angles = getattr(scan.geometry, "angles_rad", None)
    if angles is None:
        return
    turned = with_geometry(scan, changed(scan.geometry, angles_rad=tuple(-angle for angle in angles)))
    yield Suggestion(cause="angles-negated", words="the angles run the other way", scan=turned, mirrored=True)
