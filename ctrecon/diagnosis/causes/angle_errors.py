"""Views that do not stand where they are stated to: uneven steps, a motor that slips, every second view late.

An image follows them, so that little is left over, but what is left over is what turned views leave: the derivative by
the angle. That is tested as in every residual (``ctrecon/diagnosis/structure.py``).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.fit import Fit
from ctrecon.diagnosis.structure import structure_of
from ctrecon.diagnosis.suggestion import Suggestion, with_geometry
from ctrecon.diagnosis.turned import fit_of_all_views, turned_rad, with_angles
from ctrecon.errors import CtreconError
from ctrecon.measurement.scan import Scan

PLACE = 255

_FEWEST, _ROUNDS = 24, 8
# In standard deviations of the test, and what must be left of it.
_SURE, _LEFT = 15.0, 0.4
_LEAST_RAD = math.radians(0.05)


def angle_errors(scan: Scan) -> Iterator[Suggestion]:
    """The scan at the angles at which its views explain one another."""
    angles = getattr(scan.geometry, "angles_rad", None)
    if angles is None or scan.sinogram.ndim != 2 or scan.sinogram.shape[0] < _FEWEST:
        return
    found = fit_of_all_views(scan)
    before = _deviation(found)
    if len(found.data) < len(angles) or before < _SURE:
        return
    stated = np.asarray(angles, dtype=np.float64)
    at, mended = stated, scan
    for _ in range(_ROUNDS):
        at = at + turned_rad(found)
        moved = with_geometry(scan, with_angles(scan.geometry, at))
        if moved is None:
            return
        mended = dataclasses.replace(moved, grid=scan.grid, image_shape=scan.image_shape)
        try:
            found = fit_of_all_views(mended)
        except CtreconError:
            return
    after, off = _deviation(found), at - stated
    worst, rms = int(np.argmax(np.abs(off))), float(np.sqrt((off**2).mean()))
    if after > _LEFT * before or rms < _LEAST_RAD:
        return
    words = f"the views do not stand where they are stated to, but {math.degrees(rms):.2g} degrees rms beside it"
    evidence = f"what turned views leave is left over, {before:.0f} standard deviations; view {worst} stands "
    evidence += f"{math.degrees(off[worst]):+.2g} degrees off"
    one = Suggestion(cause="angles-uneven", words=words, scan=mended, evidence=evidence)
    yield one
    # Also where a coarse image hardly fits better: then it is said after what else is found.
    yield dataclasses.replace(one, certain=True, last=True)


def _deviation(found: Fit) -> float:
    tested = structure_of(found.data, found.data + found.residual)
    return 0.0 if tested is None else next(trait.deviation for trait in tested.traits if trait.name == "turns")
