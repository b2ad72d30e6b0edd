"""Single rays that stand out on all sides."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement import zingers as measured
from ctrecon.measurement.scan import Scan

_FEWEST, _MOST = 3, 0.03


def zingers(scan: Scan) -> Iterator[Suggestion]:
    """The scan without them."""
    found = measured.zingers(scan.sinogram)[1]
    if scan.mask is not None:
        found &= scan.mask
    count = int(np.count_nonzero(found))
    if _FEWEST <= count <= _MOST * found.size:
        yield Suggestion(
            cause="zingers", words=f"{count} single rays stand out from all their neighbours (zingers)",
            scan=scan.without(~found, "by diagnosis"),
        )  # fmt: skip
