"""All lengths in another unit than mm: no misfit shows it, for the image only grows; but its values do."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.causes.length_unit import UNITS
from ctrecon.diagnosis.coarse import coarse_fit
from ctrecon.diagnosis.suggestion import Suggestion, scaled
from ctrecon.errors import CtreconError
from ctrecon.geometry.field_of_view import covered_mm
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.scan import WATER_MU_PER_MM, Scan

PLACE = 280
SPEAKS = True

# From lung at 140 keV to teeth at 20 keV, and from a grain to a container.
_PLAUSIBLE_1_PER_MM, _PLAUSIBLE_MM = (0.003, 0.15), (1.0, 3000.0)
_UNITS = UNITS | {"inches": 25.4}
# Two units by which an object is as near to water, but for so much in the logarithm, are both named: a factor of 1.9.
_EITHER = 0.65


def values_unit(scan: Scan) -> Iterator[Suggestion]:
    """The unit that brings what the object absorbs nearest to tissue, where it is far from all that is scanned."""
    if scan.geometry is None or not scan.in_mm:
        return
    image = coarse_fit(scan).image
    top = float(np.quantile(image, 0.99))
    inside = image[image > top / 3]
    if not inside.size or top <= 0:
        return
    mu, width = float(np.median(inside)), covered_mm(scan.geometry)
    if _PLAUSIBLE_1_PER_MM[0] <= mu <= _PLAUSIBLE_1_PER_MM[1]:
        return

    def off(name: str) -> float:
        return abs(math.log(mu / _UNITS[name] / WATER_MU_PER_MM))

    name, other = sorted(_UNITS, key=off)[:2]
    if off(name) > abs(math.log(mu / WATER_MU_PER_MM)) or not _within(width * _UNITS[name], _PLAUSIBLE_MM):
        return
    seen = f"the object absorbs {mu:.3g}{scan.units.per} in a field of {width:.3g} mm; water {WATER_MU_PER_MM:g}"
    if off(other) - off(name) < _EITHER:
        both = f"all lengths are in {name} or in {other}, not in mm; the values do not tell which"
        yield Suggestion(cause="lengths-in-other-unit", words=both, scan=None, certain=True, last=True, evidence=seen)
        return
    factor = _UNITS[name]
    geometry = scaled(scan.geometry, factor)
    try:
        mended = dataclasses.replace(scan, geometry=geometry, grid=_times(scan.grid, factor))
    except CtreconError:
        return
    yield Suggestion(
        cause=f"lengths-in-{name}", words=f"all lengths are in {name}, not in mm", scan=mended, certain=True, last=True,
        evidence=seen,
    )  # fmt: skip


def _within(value: float, ends: tuple[float, float]) -> bool:
    return ends[0] <= value <= ends[1]


def _times(grid: Grid | None, factor: float) -> Grid | None:
    if grid is None:
        return None
    dy, dx = grid.spacing_mm
    moved = tuple(factor * value for value in grid.centre_mm)
    return dataclasses.replace(grid, pixel_mm=(factor * dy, factor * dx), centre_mm=moved)
