"""A source that flickers: all rays of a view are off by one number, which the cells beside the object show."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.scan import Scan

_CELLS, _AIR = 3, 0.1


def gain_per_view(scan: Scan) -> Iterator[Suggestion]:
    """The scan with the outermost cells of every view brought to zero, where these see air."""
    f = scan.sinogram.astype(np.float64)
    if f.shape[1] < 8 * _CELLS:
        return
    edges = np.concatenate([f[:, :_CELLS], f[:, -_CELLS:]], axis=1)
    beside = np.median(edges, axis=1)
    if np.abs(np.median(beside)) > _AIR * np.quantile(f, 0.995):
        return
    mended = np.ascontiguousarray((f - beside[:, None]).astype(scan.sinogram.dtype))
    yield Suggestion(
        cause="gain-per-view", words=f"the views differ in brightness by {np.std(beside):.1%} (the source flickers)",
        scan=dataclasses.replace(scan, sinogram=mended),
    )  # fmt: skip
