"""A focal spot that flies: where it stands in each view, as shifts from the nominal source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.checks import PerView, each_view
from ctrecon.support.arrays import Array

_FARTHEST_RAD, _FARTHEST_SHARE = 0.1, 0.2


def one_for_each_view(name: str, given: Sequence[Any] | Array, views: int) -> PerView:
    """``given`` with an entry for each view; nothing given means 0 in all of them.

    Args:
        name: the field's, for messages.
        given: as ``checks.each_view`` takes it, or empty.
        views: how many there are.

    Returns:
        The entries.

    Raises:
        GeometryError: as ``checks.each_view`` does.
    """
    return PerView((0.0,) * views) if np.shape(given) == (0,) else each_view(name, given, views)


def check_flight(angle_shift_rad: tuple[float, ...], radius_shift_mm: tuple[float, ...], radius_mm: float) -> None:
    """Raises GeometryError for shifts, one a view, that no focal spot makes at ``radius_mm`` from the axis."""
    angle, radius = np.abs(angle_shift_rad).max(), np.abs(radius_shift_mm).max()
    if angle > _FARTHEST_RAD:
        raise GeometryError(
            f"source_angle_shift_rad reaches {angle:.4g}, a focal spot moves by less than {_FARTHEST_RAD:g} rad; is it "
            "in degrees?"
        )
    if radius > _FARTHEST_SHARE * radius_mm:
        raise GeometryError(
            f"source_radius_shift_mm reaches {radius:.4g}, more than a fifth of source_to_axis_mm = {radius_mm}; is it "
            "the radius itself?"
        )
