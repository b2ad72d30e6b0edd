"""Which filtered back projection serves a geometry: in the plane, or in space."""

from __future__ import annotations

from ctrecon.classical.fbp import FilteredBackProjection, Window
from ctrecon.classical.fdk import FeldkampBackProjection
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid

Inversion = FilteredBackProjection | FeldkampBackProjection


def inversion(
    geometry: Geometry, grid: Grid, *, window: Window = "ram-lak", cutoff: float = 1.0,
    cells_cut_off: int = 0,
) -> Inversion:
    """An approximate inverse by formula, from data to images as the operator has them.

    Args:
        geometry: Of the scan.
        grid: Of the image or volume.
        window: The filter's window, ``"ram-lak"`` to ``"hann"``.
        cutoff: The highest frequency that passes, as a share of Nyquist's.
        cells_cut_off: By so many cells an object in the plane reaches beyond either end of the detector, whose last
            values go on there, falling to nothing (``Scan.cells_cut_off``). Fans that miss one side ignore it.

    Raises:
        GeometryError: For a geometry without a known formula.
        SettingError: For an unknown window.
    """
    if len(geometry.shape) == 3:
        return FeldkampBackProjection(geometry, grid, window=window, cutoff=cutoff)
    return FilteredBackProjection(geometry, grid, window=window, cutoff=cutoff, cells_cut_off=cells_cut_off)
