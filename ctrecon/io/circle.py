"""A cone beam on a circle about an upright axis, as scanners' files state it: one row as a fan, or all as a volume."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrecon.errors import CtreconError, InputError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.cone import ConeBeam
from ctrecon.geometry.fan import FanBeam
from ctrecon.io.ask import Ask
from ctrecon.io.stack import Cut, Stack, cut_of_cone
from ctrecon.support.arrays import Array


@dataclass(frozen=True, kw_only=True)
class Circle:
    """Lengths in mm, of single cells; angles and columns as in ``FanBeam``, after the file's were turned into that.

    ``offset_mm`` from the central ray to the detector's middle, along its rows; ``height_mm`` the same upwards.
    """

    angles_rad: Array
    column_mm: float
    row_mm: float
    source_to_axis_mm: float
    source_to_detector_mm: float
    offset_mm: float = 0.0
    height_mm: float = 0.0

    def cut(
        self, path: Path, stack: Stack, ask: Ask, *, top_first: bool, mirrored: bool
    ) -> tuple[Cut, tuple[str, ...]]:
        """What is read of each frame, and a note on the choice.

        Raises:
            InputError: Where no row is a fan, or the row that was asked for is none.
        """
        if not self.row_mm > 0:
            raise InputError(f"{path}: its rows are {self.row_mm:g} mm apart; correct the file")
        up = self.height_mm / self.row_mm
        centre = (stack.rows - 1) / 2 + (up if top_first else -up)
        return cut_of_cone(path, stack, ask, centre, top_first=top_first, mirrored=mirrored)

    def geometry(self, path: Path, cut: Cut, stack: Stack) -> Geometry:
        """Of what ``cut`` takes. Raises InputError for what no scanner has."""
        _, *rows, columns = cut.shape(stack)
        common: dict[str, Any] = {
            "angles_rad": tuple(self.angles_rad.tolist()), "detector_count": columns,
            "detector_spacing_mm": self.column_mm * cut.cells, "detector_offset_mm": self.offset_mm,
            "source_to_axis_mm": self.source_to_axis_mm, "source_to_detector_mm": self.source_to_detector_mm,
        }  # fmt: skip
        try:
            if not rows:
                return FanBeam(**common)
            return ConeBeam(**common, detector_rows=rows[0], detector_row_spacing_mm=self.row_mm * cut.cells,
                            detector_row_offset_mm=self.height_mm)  # fmt: skip
        except CtreconError as error:
            raise InputError(f"{path}: {error}") from None
