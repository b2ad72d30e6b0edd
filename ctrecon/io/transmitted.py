"""Frames that a scanner has corrected already: the share of a known white level that came through."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctrecon.errors import InputError
from ctrecon.support.arrays import Array, Float64Array


def line_integrals_of(path: Path, values: Array, white: float) -> Float64Array:
    """``log(white / values)``, float64; NaN, which is a missing ray, where nothing came through.

    Args:
        path: For messages.
        values: What was measured, ``[views, detectors]``.
        white: What is measured without an object.

    Raises:
        InputError: Where the level cannot be true.
    """
    if not white > 0:
        raise InputError(f"{path}: its white level must be > 0, got {white:g}")
    if float(np.median(values)) > 1.5 * white:
        raise InputError(f"{path}: most values are above its white level {white:g}; is it of these frames?")
    seen = np.where(np.asarray(values) > 0, values, np.nan).astype(np.float64)
    lines: Float64Array = np.log(white / seen)
    return lines
