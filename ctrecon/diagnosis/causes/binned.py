"""A detector that was binned by two while the size of a cell stayed, or the reverse: the fan is twice as wide, or half.

Little is left over where the fan is narrow, less than noise may leave, so that it is tried in every reconstruction.
"""

from __future__ import annotations

from collections.abc import Iterator

from ctrecon.diagnosis.suggestion import Suggestion, scaled, with_geometry
from ctrecon.measurement.scan import Scan

PLACE = 65
SPEAKS = True

_READINGS = (
    ("cells-binned", 2.0, "the detector was binned by two, and the size of a cell is that of one before"),
    ("cells-not-binned", 0.5, "the size of a cell is that of two, and the detector was not binned"),
)


def binned(scan: Scan) -> Iterator[Suggestion]:
    """Cells of twice and of half the size; in parallel beams that only scales the image."""
    geometry = scan.geometry
    if geometry is None or not isinstance(getattr(geometry, "source_to_detector_mm", None), float):
        return
    for cause, factor, words in _READINGS:
        read = scaled(geometry, factor, names=lambda name: name.startswith("detector_"))
        yield Suggestion(cause=cause, words=words, scan=with_geometry(scan, read))
