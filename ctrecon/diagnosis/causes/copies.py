"""Views and cells that repeat another one, noise and all: a frame that was stored twice, a readout that froze.

Noise is never twice the same, so that this speaks for itself, and misfit need not: a copied view beside its own place
is explained nearly as well as the true one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.mask import mask_of_lines
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Array

PLACE = 170
SPEAKS = True

_FEWEST, _MOST = 10, 0.7


def copies(scan: Scan) -> Iterator[Suggestion]:
    """The scan without what repeats the view or the cell before."""
    f = scan.sinogram
    if f.ndim != 2 or min(f.shape) < _FEWEST:
        return
    mask = np.ones(f.shape, np.bool_) if scan.mask is None else scan.mask
    kinds = (
        ("lost-views", "view", "view before", _repeats(f, mask)),
        ("bad-columns", "cell", "cell before in every view", _repeats(f.T, mask.T)),
    )
    for cause, line, before, found in kinds:
        lines = f.shape[0] if line == "view" else f.shape[1]
        if not 0 < len(found) <= _MOST * lines:
            continue  # nearly all alike is a cylinder without noise
        named = ", ".join(map(str, found[:6])) + (", ..." if len(found) > 6 else "")
        words = f"{line} {named} repeats" if len(found) == 1 else f"{len(found)} {line}s ({named}) repeat"
        left = mask_of_lines(scan.source, f.shape, *(([], found) if line == "view" else (found, [])))
        yield Suggestion(
            cause=cause, words=f"{words} the {before}, noise and all", scan=scan.without(left, "by diagnosis"),
            certain=True, evidence="no two of them have the same noise",
        )  # fmt: skip


def _repeats(lines: Array, mask: Array) -> list[int]:
    """The lines that are the one before, but for those of one value alone and those that are left out."""
    same = (lines[1:] == lines[:-1]).all(axis=1) & (np.ptp(lines[1:], axis=1) > 0)
    return [int(k) + 1 for k in np.flatnonzero(same & mask[1:].any(axis=1))]
