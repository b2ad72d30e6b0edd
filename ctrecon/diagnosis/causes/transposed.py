"""Rows and columns of a square sinogram exchanged; any other shape is refused when the scan is read."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from ctrecon.diagnosis.suggestion import Suggestion, reordered
from ctrecon.measurement.scan import Scan

PLACE = 130


def transposed(scan: Scan) -> Iterator[Suggestion]:
    """Views read as cells."""
    if scan.sinogram.shape[0] == scan.sinogram.shape[1]:
        mended = dataclasses.replace(scan, **reordered(scan, lambda values: values.T))
        yield Suggestion(cause="transposed", words="the array is [detectors, views]", scan=mended)
