"""Compiles most of what numba compiles, in small runs; the compiled code stays in the package's ``__pycache__``.

In a fresh clone several processes that run tests would each compile the same functions at the same time. One does it
while the others still collect the tests, see ``pytest_configure`` in ``conftest.py``.
"""

from __future__ import annotations

import contextlib

import numpy as np
import torch
from geometries import leaning

import ctrecon as ct
from ctrecon.applications.sudoku.solver import count_solutions
from ctrecon.errors import CtreconError
from ctrecon.workbench.operator import ScanOperator

PLANE, SPACE = ("chest", "ellipses", "head", "polygons", "seeds", "textured"), ("trunk", "head", "ellipsoids")


def use(operator: ScanOperator) -> None:
    """Forward, adjoint and FBP in both precisions, of one image and of several."""
    for dtype in (torch.float32, torch.float64):
        for count in (1, 3, 9):
            data = operator(torch.rand((count, *operator.domain_shape), dtype=dtype))
            operator.T(data)
            with contextlib.suppress(CtreconError):
                operator.fbp(data)


def main() -> None:
    """All of it: most of a minute of one core."""
    torch.set_num_threads(1)
    for beam in ("fan", "parallel"):
        scan = ct.simulate("head", beam=beam, size=16, views=12).scan
        use(ct.operator(scan, name="joseph"))
    arc = ct.ArcFanBeam(
        angles_rad=tuple(np.arange(12) / 2), detector_count=16, detector_spacing_mm=2.0, source_to_axis_mm=40.0,
        source_to_detector_mm=70.0,
    )
    arc_scan = ct.Scan(sinogram=np.zeros(arc.shape, dtype=np.float32), geometry=arc, grid=scan.grid)
    use(ct.operator(arc_scan, name="joseph"))
    cone = ct.simulate(beam="cone", size=8, views=8).scan
    use(ct.operator(cone, name="joseph"))
    ct.reconstruct(cone, method="cgls", delta="50%")
    bent = ct.Scan(sinogram=np.zeros(leaning().shape, dtype=np.float32), geometry=leaning(), grid=cone.grid)
    use(ct.operator(bent, name="joseph"))
    for phantom in PLANE:
        ct.simulate(phantom, size=16, views=4)
    for phantom in SPACE:
        ct.simulate(phantom, beam="cone", size=8, views=4)
    count_solutions(np.zeros((1, 81), dtype=np.int8), 10)


if __name__ == "__main__":
    main()
