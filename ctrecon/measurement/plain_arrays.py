"""The arrays of a scan made plain, and those of their values that are missing filled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctrecon.geometry.base import Geometry
from ctrecon.measurement.filling import filling
from ctrecon.measurement.given import check_values, plain_floats
from ctrecon.measurement.mask import MOST_MISSING, Mask, as_mask, missing_note, together, unmasked
from ctrecon.support.arrays import Array


@dataclass(frozen=True, kw_only=True)
class PlainArrays:
    """What was handed over, made plain.

    Attributes:
        arrays: By their names, all of one shape and finite.
        mask: True where a ray is usable; None where all are.
        notes: What was missing besides what the given mask says.
    """

    arrays: dict[str, Array]
    mask: Mask | None
    notes: tuple[str, ...]


def plain_arrays(
    source: str, given: Mapping[str, Any], mask: Any, geometry: Geometry | None, *, in_space: bool
) -> PlainArrays:
    """Arrays of one shape, each value finite: one that is NaN, infinite or masked in any of them is a missing ray.

    Args:
        source: The scan, for messages.
        given: What was handed over, by name; ``sinogram`` among it. All but it must stay above zero.
        mask: Rays that are known to be usable, or None.
        geometry: Of the scan, which says what lies beside a missing ray.
        in_space: Whether there are three axes.

    Returns:
        The arrays, missing values filled (``filling.py``), and the mask of all that is missing.

    Raises:
        InputError: For what is no such array, has another shape, or lacks too much.
    """
    axes: tuple[str, ...] = ("view", "row", "detector") if in_space else ("view", "detector")
    shape: tuple[int, ...] | None = None
    found: Mask | None = None
    arrays: dict[str, Array] = {}
    notes: tuple[str, ...] = ()
    for name, handed in given.items():
        values, there = unmasked(handed)
        arrays[name] = values = plain_floats(source, name, values)
        there = np.isfinite(values) if there is None else there & np.isfinite(values)
        check_values(source, name, np.where(there, 1.0, 0.0), shape, axes)  # its shape
        shape = values.shape
        found = together(found, there)
    known = None if mask is None else as_mask(source, mask, arrays["sinogram"].shape)
    assert found is not None
    news = found if known is None else found | ~known  # lacks what the mask does not say already
    if not bool(news.all()):
        if news.mean() < 1 - MOST_MISSING:
            for name, values in arrays.items():
                check_values(source, name, values, shape, axes)
        known = as_mask(source, news if known is None else known & news, news.shape)
        notes = (f"values that are NaN, infinite or masked: {missing_note(news)}",)
    usable = None if known is None or bool(known.all()) else known
    for name, values in arrays.items():
        filled = values if usable is None else filling(usable, geometry, positive=name != "sinogram")(values)
        check_values(source, name, filled, shape, axes)
        arrays[name] = filled
    return PlainArrays(arrays=arrays, mask=usable, notes=notes)
