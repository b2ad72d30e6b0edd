"""Faults of source and detector that a correction of ``ctrecon/corrections/`` mends, each tried."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrecon.corrections import corrected
from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.errors import CtreconError
from ctrecon.measurement.scan import Scan

PLACE = 210
SPEAKS = True

WORDS = {
    "zingers": "single rays stand out from all their neighbours (zingers)",
    "flicker": "the views differ in brightness (the source flickers)",
}
"""The corrections that are tried, with the words for what they mend."""
_MOST_LEFT_OUT = 0.75


def correctable(scan: Scan) -> Iterator[Suggestion]:
    """The scan after each correction that changes it."""
    for name, words in WORDS.items():
        try:
            mended = corrected(scan, {name: {}})
        except CtreconError:
            continue  # it cannot be made of this scan
        lost = scan.usable_count - mended.usable_count
        if lost > _MOST_LEFT_OUT * scan.sinogram.size:
            continue
        if lost:
            words += f", {lost} of {scan.sinogram.size} rays"
        elif np.array_equal(mended.sinogram, scan.sinogram):
            continue
        yield Suggestion(cause=name, words=words, scan=mended)
