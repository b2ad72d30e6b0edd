"""Many rays that hold one and the same largest value: the detector's or a file's end, not the object's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.scan import Scan

_FEWEST, _SHARE, _MOST = 5, 0.001, 0.6


def saturation(scan: Scan) -> Iterator[Suggestion]:
    """The scan without the rays at the largest, or, of weak absorption, the smallest value."""
    f = scan.sinogram
    usable = np.ones(f.shape, np.bool_) if scan.mask is None else scan.mask
    for name, end in (("largest", f[usable].max()), ("smallest", f[usable].min())):
        at = (f == end) & usable
        count = int(np.count_nonzero(at))
        # Zero is what a quiet detector sees beside the object.
        if end != 0 and max(_FEWEST, _SHARE * f.size) <= count <= _MOST * f.size:
            words = f"{count / f.size:.1%} of the rays hold the {name} value, {end:.4g}, all alike"
            yield Suggestion(
                cause="saturated", words=words,
                scan=scan.without(~at, "by diagnosis"),
            )  # fmt: skip
