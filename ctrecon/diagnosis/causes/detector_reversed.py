"""The detector's cells are numbered from the other end."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ctrecon.diagnosis.suggestion import Suggestion, reordered
from ctrecon.measurement.scan import Scan

PLACE = 20


def detector_reversed(scan: Scan) -> Iterator[Suggestion]:
    """Every view read from its other end."""
    mended = dataclasses.replace(scan, **reordered(scan, lambda values: values[:, ::-1]))
    yield Suggestion(
        cause="detector-reversed", words="the detector's cells are in the reverse order", scan=mended, mirrored=True
    )
