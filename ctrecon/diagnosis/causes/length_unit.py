"""Lengths in another unit than mm: some of them, which no image explains, or all, which only the values betray."""

from __future__ import annotations

from collections.abc import Iterator

from ctrecon.diagnosis.suggestion import Suggestion, scaled, with_geometry
from ctrecon.measurement.scan import Scan

PLACE = 80

UNITS = {"m": 1000.0, "cm": 10.0, "um": 0.001}
"""What one of each is in mm."""
_OF_SOME = {"inches": 25.4}


def length_unit(scan: Scan) -> Iterator[Suggestion]:
    """The detector's lengths in another unit than the distances, or the distances in another than the detector's."""
    geometry = scan.geometry
    if geometry is None or not scan.in_mm:
        return
    for name, factor in (UNITS | _OF_SOME).items():
        for cause, what, wanted in (
            (f"detector-in-{name}", "the detector's lengths are", _of_detector),
            (f"distances-in-{name}", "the distances of source and detector are", _of_source),
        ):
            read = scaled(geometry, factor, names=wanted)
            if read is not None and scaled(geometry, factor, names=_of_source) is not None:
                yield Suggestion(cause=cause, words=f"{what} in {name}", scan=with_geometry(scan, read))


def _of_detector(field: str) -> bool:
    return field.startswith("detector_")


def _of_source(field: str) -> bool:
    return not _of_detector(field)
