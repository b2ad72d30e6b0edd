"""How much memory a volume will take, said before it is begun."""

from __future__ import annotations

import math

from ctrecon.measurement.scan import Scan
from ctrecon.reconstruction.methods import volumes_held

# Counted, not measured: the arrays that a method holds at once with those of the proof in float64, each in float32
# volumes and sets of data, generously; what Python and its libraries take beside them.
_DATA, _START_BYTES = 7.0, 0.5e9


def peak_bytes(scan: Scan, method: str) -> float:
    """About how much memory reconstruction and proof take at their most.

    Args:
        scan: With its grid.
        method: By its name.

    Returns:
        In bytes, what the interpreter and the libraries take included.
    """
    voxels = math.prod(scan.grid.shape) if scan.grid is not None else 0
    return _START_BYTES + 4 * (volumes_held(method) * voxels + _DATA * scan.sinogram.size)


def memory_said(scan: Scan, method: str) -> str:
    """The same in a sentence.

    Args:
        scan: With its grid.
        method: By its name.

    Returns:
        One clause.
    """
    shape = " x ".join(map(str, scan.grid.shape)) if scan.grid is not None else "?"
    data = " x ".join(map(str, scan.sinogram.shape))
    return f"{shape} voxels from {data} values will take about {peak_bytes(scan, method) / 2**30:.1f} GiB of memory"
