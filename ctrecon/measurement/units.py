"""What a scan's lengths are called, and what follows for attenuation: the one place where these words are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LengthUnit = Literal["mm", "cell"]


@dataclass(frozen=True)
class Units:
    """``length`` as in "x in mm", ``short`` where there is little room, ``attenuation`` as on an axis, and ``per`` in a
    sentence after a number: "0.02 per mm". All are empty where no geometry is known.
    """

    length: str
    short: str
    attenuation: str
    per: str

    @property
    def after(self) -> str:
        """The unit as it follows a number: " 1/mm"."""
        return self.attenuation and f" {self.attenuation}"

    def named(self, name: str) -> str:
        """The name of a value as people read it: ``spacing_mm`` of a scan in cells is ``spacing_cells``.

        Args:
            name: As in the program.

        Returns:
            The name, whose ``_mm`` became the unit that lengths have here.
        """
        return name if self is MM or not name.endswith("_mm") else f"{name.removesuffix('_mm')}_{self.short or 'units'}"


MM = Units("mm", "mm", "1/mm", " per mm")
CELLS = Units("detector cells", "cells", "1/cell", " per detector cell")
UNKNOWN = Units("", "", "", "")


def units_of(length_unit: str, *, placed: bool = True) -> Units:
    """The words for a scan.

    Args:
        length_unit: ``"mm"``, or ``"cell"`` where lengths are in detector cells.
        placed: Whether a geometry is known; a bare matrix has no lengths.

    Returns:
        ``MM``, ``CELLS`` or ``UNKNOWN``.
    """
    if not placed:
        return UNKNOWN
    return MM if length_unit == "mm" else CELLS


def of_attenuation(unit: str | None) -> Units:
    """The words for an image whose values have that unit, as certificates state it.

    Args:
        unit: ``"1/mm"``, ``"1/cell"`` or None.

    Returns:
        ``MM``, ``CELLS`` or, for any other, ``UNKNOWN``.
    """
    return next((units for units in (MM, CELLS) if units.attenuation == unit), UNKNOWN)
