"""Distances of a fan measured between other points than stated."""

from __future__ import annotations

from collections.abc import Iterator

from ctrecon.diagnosis.suggestion import Suggestion, changed, scaled, with_geometry
from ctrecon.measurement.scan import Scan

PLACE = 60


def distances(scan: Scan) -> Iterator[Suggestion]:
    """Other readings of the two distances and of the size of a cell."""
    geometry = scan.geometry
    near, far = (getattr(geometry, name, None) for name in ("source_to_axis_mm", "source_to_detector_mm"))
    if geometry is None or not isinstance(near, float) or not isinstance(far, float):
        return
    readings = {
        "axis-to-detector": (near, near + far, "the distance to the detector was measured from the axis"),
        "axis-to-detector-first": (far - near, far, "the distance to the axis was measured from the detector"),
    }
    for cause, (axis, detector, words) in readings.items():
        if axis > 0:
            read = changed(geometry, source_to_axis_mm=axis, source_to_detector_mm=detector)
            yield Suggestion(cause=cause, words=words, scan=with_geometry(scan, read))
    for cause, factor, words in (
        ("cells-at-axis", far / near, "the size of a cell is stated as seen at the axis"),
        ("cells-at-detector", near / far, "the size of a cell was scaled by the magnification once too often"),
    ):
        read = scaled(geometry, factor, names=lambda name: name.startswith("detector_"))
        yield Suggestion(cause=cause, words=words, scan=with_geometry(scan, read))
