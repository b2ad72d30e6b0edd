"""The pictures of a treatment machine's imager in a folder: ``.hnd`` and ``.xim`` of Varian, ``.his`` of Elekta."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.his import OPEN, read_his
from ctrecon.io.hnd import read_hnd
from ctrecon.io.measured import Measured
from ctrecon.io.rtk_geometry import Detector
from ctrecon.io.shot import Shot
from ctrecon.io.stack import Cut
from ctrecon.io.tiff import MOST_FRAMES, in_order
from ctrecon.io.transmitted import line_integrals_of
from ctrecon.io.xim import read_xim
from ctrecon.support.arrays import Array, Float64Array

SUFFIXES = (".hnd", ".xim", ".his")
_AIR_NAME, _AIR_FOLDER, _NEWEST = "filterbowtie.xim", "Calibrations", "Current"
_ABOVE = 3
"""How many folders up from the pictures Varian keeps those of the open beam."""
_BRIGHTEST = 0.999


@dataclass(frozen=True, kw_only=True)
class Shots:
    """Projections in the order of their names, all of one size; a ``Stack``."""

    shots: tuple[Shot, ...]
    suffix: str
    lost: int = 0

    @property
    def rows(self) -> int:
        return self.shots[0].rows

    @property
    def columns(self) -> int:
        return self.shots[0].columns

    def __len__(self) -> int:
        return len(self.shots)

    def __iter__(self) -> Iterator[Array]:
        return (shot.pixels() for shot in self.shots)

    @property
    def detector(self) -> Detector:
        """Its middle is where RTK takes it to be: at the place 0 before any offset."""
        one = self.shots[0]
        spacing = one.column_mm, one.row_mm
        return Detector(origin=(-(one.columns - 1) / 2 * spacing[0], -(one.rows - 1) / 2 * spacing[1]), spacing=spacing)

    def measured(self, path: Path, cut: Cut, **more: Any) -> Measured:
        """Line integrals of what ``cut`` takes. Raises InputError where the open beam cannot be had."""
        values, notes = cut(self), tuple(more.pop("notes", ()))
        if self.lost:
            notes += (f"{self.lost} files without a picture were left out",)
        if self.suffix == ".his":
            return Measured(sinogram=line_integrals_of(path, values, OPEN * cut.added), notes=notes, **more)
        air = _air_beside(self.shots[0].path) if self.suffix == ".xim" else None
        monitor = self._monitor()
        values = values / monitor.reshape(-1, *(1,) * (values.ndim - 1))
        if air is not None:
            white = cut(Shots(shots=(air,), suffix=self.suffix))[0] / air.numbers["KVNormChamber"]
            notes += (f"the open beam is {air.path.parent.parent.name}/{air.path.name}, scaled by the norm chamber",)
            lines = -np.log(np.where((values > 0) & (white > 0), values, np.nan) / np.where(white > 0, white, np.nan))
            return Measured(sinogram=np.ascontiguousarray(lines), notes=notes, **more)
        level = float(np.quantile(values, _BRIGHTEST))
        notes += (f"no picture of the open beam is beside them: {level:.6g}, the brightest {1 - _BRIGHTEST:.1%} of the "
                  "cells read, is taken for it",)  # fmt: skip
        return Measured(sinogram=line_integrals_of(path, values, level), notes=notes, **more)

    def _monitor(self) -> Float64Array:
        """How bright the beam was in each projection by the norm chamber, where all say it; else 1."""
        name = "KVNormChamber" if self.suffix == ".xim" else "CTNormChamber"
        values = np.array([shot.numbers.get(name, np.nan) for shot in self.shots])
        return values if bool((values > 0).all()) else np.ones(len(values))


def shots_in(folder: Path) -> Shots | None:
    """The pictures in a folder, None where there are none. Raises InputError for two kinds, sizes or damaged files."""
    files = in_order(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not files:
        return None
    kinds = {p.suffix.lower() for p in files}
    if len(kinds) > 1 or len(files) > MOST_FRAMES:
        raise InputError(f"{folder}: holds {len(files)} files of {', '.join(sorted(kinds))}; keep one scan in a folder")
    kind = kinds.pop()
    found: list[Shot] = []
    for path in files:
        found += read_his(path) if kind == ".his" else [one for one in [_read(path, kind)] if one is not None]
    if not found:
        raise InputError(f"{folder}: its {len(files)} files hold no picture; copy them again")
    first = found[0]
    for one in found:
        if (one.rows, one.columns) != (first.rows, first.columns):
            raise InputError(f"{one.path}: is {one.rows} x {one.columns} where the first is {first.rows} x "
                             f"{first.columns}; keep one scan in a folder")  # fmt: skip
    lost = 0 if kind == ".his" else len(files) - len(found)
    return Shots(shots=tuple(found), suffix=kind, lost=lost)


def _read(path: Path, kind: str) -> Shot | None:
    return read_hnd(path) if kind == ".hnd" else read_xim(path)


def _air_beside(path: Path) -> Shot | None:
    """The only picture of the open beam in Varian's folder of calibrations, of the newest where it says so."""
    for folder in list(path.resolve().parents)[:_ABOVE]:
        place = folder / _AIR_FOLDER
        if place.is_dir() and not place.is_symlink():
            found = [p for p in place.rglob("*.xim") if p.name.lower() == _AIR_NAME]
            found = [p for p in found if p.parent.name == _NEWEST] or found
            air = read_xim(found[0]) if len(found) == 1 else None
            return air if air is not None and air.numbers.get("KVNormChamber", 0.0) > 0 else None
    return None
