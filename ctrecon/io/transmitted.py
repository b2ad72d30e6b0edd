"""Frames that a scanner has corrected already: the share of a known white level that came through."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctrecon.errors import InputError
from ctrecon.support.arrays import Array


def line_integrals_of(path: Path, values: Array, white: float) -> Array:
    """``log(white / values)``, float64.

    Args:
        path: For messages.
        values: What was measured, ``[views, detectors]``.
        white: What is measured without an object.

    Raises:
        InputError: Where nothing came through, of which the logarithm is not finite, or the level cannot be true.
    """
    if not white > 0:
        raise InputError(f"{path}: its white level must be > 0, got {white:g}")
    dark = int(np.count_nonzero(values <= 0))
    if dark:
        view, cell = np.argwhere(values <= 0)[0]
        raise InputError(f"{path}: {dark} values are not above 0, the first at view {view}, detector {cell}: dead "
                         "cells or full absorption; replace them first")  # fmt: skip
    if float(np.median(values)) > 1.5 * white:
        raise InputError(f"{path}: most values are above its white level {white:g}; is it of these frames?")
    return np.log(white / np.asarray(values, dtype=np.float64))
