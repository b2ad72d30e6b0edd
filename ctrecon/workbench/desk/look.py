"""Everything that the page says of one image, volume or series, beside its values: units, windows, sides, facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.dicom.images.images import Volume
from ctrecon.errors import CtreconError
from ctrecon.geometry.as_json import grid_from_dict
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.patient_position import axes_of
from ctrecon.measurement.units import units_of
from ctrecon.outputs.report.scale import TISSUES, Scale, Window, choose_scale
from ctrecon.outputs.report.words import number
from ctrecon.outputs.stack.manifest import Manifest
from ctrecon.outputs.stack.volume_file import HU
from ctrecon.support.arrays import Array
from ctrecon.workbench.desk.planes import Planes
from ctrecon.workbench.desk.status import UNSAID, Beside, Status, of_image, of_series, of_volume

Sides = dict[str, str]
Rows = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Look:
    """``stored``: the unit of the values as they are sent; ``scale`` makes of them what is shown.

    ``spacing``: from row to row and from column to column, 1 where unknown. ``corner``: where the first pixel stands
    (y, x), None where unknown: two images of one shape, spacing and corner stand on one grid. ``sides``: what is to be
    marked at left, right, top and bottom. ``steps`` says where each plane stands: first and step in ``length``.
    """

    status: Status
    scale: Scale
    stored: str
    windows: tuple[Window, ...]
    spacing: tuple[float, float] = (1.0, 1.0)
    corner: tuple[float, float] | None = None
    sides: Sides | None = None
    steps: tuple[float, float] | None = None
    length: str = ""
    facts: Rows = ()

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for the page."""
        windows = [{"name": one.name, "level": one.level, "width": one.width} for one in self.windows]
        return {
            "unit": self.scale.unit, "water": self.scale.water, "stored": self.stored, "windows": windows,
            "spacing": list(self.spacing), "sides": self.sides, "steps": self.steps, "length": self.length,
            "grid": None if self.corner is None else [round(n, 6) for n in (*self.spacing, *self.corner)],
            "facts": [[name, text] for name, text in self.facts], "note": self.scale.note,
        }  # fmt: skip


def look_at(kind: str, path: Path, planes: Planes, sample: Array, water_mu_per_mm: float | None = None) -> Look:
    """What is known of a place of ``kind``.

    Args:
        kind: One of ``planes.OPENERS``.
        path: The place.
        planes: What was opened there.
        sample: One plane of it, as it is sent; its values choose the unit.
        water_mu_per_mm: Attenuation of water, for Hounsfield units; None for what the files say, else what is usual.

    Returns:
        What the page says.

    Raises:
        InputError: Where its evidence cannot be read at all.
    """
    return _LOOKS[kind](path, planes, sample, water_mu_per_mm)


def _image(path: Path, planes: Planes, sample: Array, water: float | None) -> Look:
    beside = of_image(path)
    grid = _grid(beside, planes)
    unit = "mm" if beside.history is None else beside.history.length_unit
    units = units_of(unit, placed=grid is not None)
    scale = choose_scale(sample, grid, water, units=units)
    axes = None if beside.history is None or grid is None else axes_of(beside.history.patient_position)
    steps = None
    if grid is not None and grid.slices is not None and grid.slice_mm is not None:
        steps = (float(grid.z_mm[0]), grid.slice_mm)
    return Look(
        status=beside.status, scale=scale, stored=units.attenuation or scale.unit,
        windows=scale.windows(scale.shown(sample)), spacing=(1.0, 1.0) if grid is None else grid.spacing_mm,
        corner=None if grid is None else (float(grid.y_mm[0]), float(grid.x_mm[0])),
        sides=_sides(axes), steps=steps, length=units.short, facts=_made(beside, grid, units.length),
    )  # fmt: skip


def _picture(path: Path, planes: Planes, sample: Array, water: float | None) -> Look:
    status = of_image(path).status if path.suffix == ".npy" else UNSAID
    note = "Grey levels, as the file holds them."
    scale = Scale(unit="grey level" if planes.channels == 1 else "level", water=None, note=note)
    top = 255.0 if float(sample.max()) <= 256 else 65535.0
    usual = Window(name="All levels", level=top / 2, width=top)
    return Look(status=status, scale=scale, stored=scale.unit, windows=(usual, *scale.windows(sample)))


def _volume(path: Path, planes: Planes, sample: Array, water: float | None) -> Look:
    manifest = planes.about
    assert isinstance(manifest, Manifest)
    units = units_of(manifest.length_unit)
    (_, dy, dx), (z, y, x) = manifest.step_mm, manifest.first_mm
    if manifest.values == HU:
        scale, stored = _hounsfield("HU, as the file holds them."), "HU"
        windows = _tissues(sample)
    else:
        rows, columns = sample.shape[:2]
        scale = choose_scale(
            sample, Grid(rows=rows, columns=columns), water or manifest.water_mu_per_mm, units=units
        )
        stored, windows = units.attenuation, scale.windows(scale.shown(sample))
    settings = manifest.settings
    made = [("Scan file, as the manifest has it", manifest.source), ("Values", manifest.values)]
    made += [(name.capitalize(), str(settings[name])) for name in ("method", "delta") if name in settings]
    return Look(
        status=of_volume(manifest), scale=scale, stored=stored, windows=windows, spacing=(dy, dx), corner=(-y, x),
        sides=_sides(axes_of(manifest.patient_position)), steps=(z, manifest.step_mm[0]), length=units.short,
        facts=(*made, *_assumed(manifest.notes)),
    )  # fmt: skip


def _series(path: Path, planes: Planes, sample: Array, water: float | None) -> Look:
    volume = planes.about
    assert isinstance(volume, Volume)
    dz, dy, dx = volume.spacing_mm
    return Look(
        status=of_series(path), scale=_hounsfield("HU, as the files say them."), stored="HU", windows=_tissues(sample),
        spacing=(dy, dx), corner=(float(volume.affine[1, 3]), float(volume.affine[0, 3])),
        sides=_sides_of_affine(volume.affine), steps=(float(volume.affine[2, 3]), float(volume.affine[2, 2]) or dz),
        length="mm", facts=_assumed(volume.notes),
    )  # fmt: skip


_LOOKS: dict[str, Callable[[Path, Planes, Array, float | None], Look]] = {
    "image": _image, "picture": _picture, "volume": _volume, "series": _series,
}  # fmt: skip


def _hounsfield(note: str) -> Scale:
    """Values that are HU already."""
    return Scale(unit="HU", water=None, note=note)


def _tissues(sample: Array) -> tuple[Window, ...]:
    full = _hounsfield("").windows(sample)[0]
    return (*(Window(name=name, level=level, width=width) for name, level, width in TISSUES), full)


def _grid(beside: Beside, planes: Planes) -> Grid | None:
    """As certificate or history says it; None where neither does, or it is of another shape."""
    operator = beside.claim.get("operator") or (beside.history.operator if beside.history is not None else None)
    try:
        grid = grid_from_dict(dict(operator)["grid"]) if operator is not None else None
    except (CtreconError, LookupError, TypeError, ValueError):
        return None
    if grid is None or (grid.slices or 1, *grid.plane) != planes.shape:
        return None
    return grid


def _sides(axes: dict[str, tuple[str, str]] | None) -> Sides | None:
    """Rows run down from the largest y, columns from the smallest x."""
    if axes is None:
        return None
    return {"left": axes["x"][0], "right": axes["x"][1], "bottom": axes["y"][0], "top": axes["y"][1]}


def _sides_of_affine(affine: Array) -> Sides | None:
    """The patient's directions nearest to those of columns and rows; None for a plane that leans far off them."""
    letters = (("R", "L"), ("A", "P"), ("F", "H"))
    found: Sides = {}
    for column, (low, high) in ((0, ("left", "right")), (1, ("top", "bottom"))):
        way = affine[:3, column] / max(float(np.linalg.norm(affine[:3, column])), 1e-12)
        axis = int(np.argmax(np.abs(way)))
        if abs(way[axis]) < 0.8:
            return None
        pair = letters[axis] if way[axis] > 0 else letters[axis][::-1]
        found[low], found[high] = pair
    return found


def _made(beside: Beside, grid: Grid | None, length: str) -> Rows:
    history = beside.history
    rows = [] if grid is None else [("Image", grid.said_in(length))]
    if history is None:
        return tuple(rows)
    rows += [
        ("Scan file, as the history has it", history.source), ("Method", history.method or "not named"),
        ("Delta", f"{number(history.delta)} ({history.norm}; {history.delta_from})"),
        ("Residual, as the history has it", number(history.residual)), ("Ended because", history.reason),
    ]  # fmt: skip
    return (*rows, *_assumed(history.notes))


def _assumed(notes: tuple[str, ...]) -> Rows:
    return tuple(("Assumed or noted", note) for note in notes[:20])
