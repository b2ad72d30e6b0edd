"""In which unit a picture is shown, and through which windows one looks at it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ctrecon.dicom.common.hounsfield import no_tissue
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.scan import WATER_MU_PER_MM
from ctrecon.measurement.units import MM, Units
from ctrecon.support.arrays import Array

# Level and width in HU, as radiologists set them. The first is where one begins to look.
TISSUES = (
    ("Soft tissue", 40.0, 400.0), ("Brain", 40.0, 80.0), ("Abdomen", 60.0, 350.0), ("Lung", -600.0, 1500.0),
    ("Bone", 400.0, 1800.0),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Window:
    name: str
    level: float
    width: float


@dataclass(frozen=True, kw_only=True)
class Scale:
    """``HU = 1000 (mu - water) / water`` where ``water`` (1/mm) is set, else the image's own values in ``unit``."""

    unit: str
    water: float | None
    note: str

    def shown(self, values: Array) -> Array:
        values = values.astype(np.float64)
        return (values if self.water is None else 1000 * (values - self.water) / self.water).astype(np.float32)

    def difference(self, value: float) -> float:
        """A contrast, the mean of a region minus the mean of another."""
        return value if self.water is None else 1000 * value / self.water

    def outward(self, value: float, *, up: bool) -> float:
        """A proved contrast for people: a whole number of HU, or three digits, never tighter than proved."""
        shown = self.difference(value)
        if shown == 0 or not math.isfinite(shown):
            return shown
        step = 1.0 if self.water is not None and abs(shown) >= 10 else 10.0 ** (math.floor(math.log10(abs(shown))) - 2)
        return (math.ceil if up else math.floor)(shown / step) * step

    def windows(self, values: Array) -> tuple[Window, ...]:
        """Tissues and the whole range where the unit is HU; else the whole range first, then the bulk of the values."""
        low, high = float(values.min()), float(values.max())
        full = _between("Full range", low, high)
        if self.water is not None:
            return (*(Window(name=name, level=level, width=width) for name, level, width in TISSUES), full)
        shares = [(share, np.percentile(values, [(100 - share) / 2, (100 + share) / 2])) for share in (99, 90)]
        return (full, *(_between(f"Middle {share} %", float(a), float(b)) for share, (a, b) in shares))


def _between(name: str, low: float, high: float) -> Window:
    least = 1e-6 * max(abs(low), abs(high), 1e-12)
    return Window(name=name, level=(low + high) / 2, width=max(high - low, least))


def choose_scale(image: Array, grid: Grid | None, water_mu_per_mm: float | None, *, units: Units = MM) -> Scale:
    """HU with the attenuation of water that is given, or with the usual one where that can be; else 1/mm.

    Where ``units`` are not of mm, there are no HU, whatever is given.
    """
    if grid is None:
        note = "No geometry is known of this image, so neither are lengths nor the unit of its values."
        return Scale(unit="image units", water=None, note=note)
    if units is not MM:
        note = (
            f"Lengths of this scan are in {units.length}: attenuation is in {units.attenuation}, and there are neither "
            "mm nor HU."
        )
        return Scale(unit=units.attenuation, water=None, note=note)
    if water_mu_per_mm is not None:
        note = f"HU with water at {water_mu_per_mm:g} per mm, as the scan or the command gives it."
        return Scale(unit="HU", water=water_mu_per_mm, note=note)
    assumed = Scale(
        unit="HU",
        water=WATER_MU_PER_MM,
        note=f"HU with water assumed at {WATER_MU_PER_MM:g} per mm, its attenuation at about 70 keV; "
        "--water-mu gives another.",
    )
    what = no_tissue(image, WATER_MU_PER_MM)
    if not what:
        return assumed
    note = (
        f"Shown in {units.attenuation}: {what} water would at 70 keV ({WATER_MU_PER_MM:g} per mm), so HU "
        "would mislead; --water-mu gives the attenuation of water where it is known."
    )
    return Scale(unit=units.attenuation, water=None, note=note)
