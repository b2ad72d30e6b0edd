"""The certificate of super-resolution: an image that, averaged over squares, is the given one, pixel by pixel.

A feasible certificate (``feasible.py``) with the operator "pooling" and the norm "max".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified, prove
from ctrecon.support.arrays import Array


def certify_pooled(
    image: Array, data: Array, scale: int, tolerance: float, *, unit: str = "grey levels", source: Path | None = None
) -> FeasibleCertificate | NotCertified:
    """Prove ``max |A u - f| <= tolerance`` with A the means over squares. What float32 holds without loss is stored so.

    Args:
        image: ``[scale * rows, scale * columns]``, or with channels behind.
        data: ``[rows, columns]``, or with channels behind.
        scale: The side of the squares, in pixels.
        tolerance: In the values' unit.
        unit: Of the values.
        source: The file that the data came from.

    Returns:
        The certificate, or ``NotCertified`` with the largest difference.

    Raises:
        SettingError: For an impossible tolerance.
        InputError: For arrays that do not fit.
    """
    operator = {"projector": "pooling", "factor": scale}
    u, f = _smallest(image), _smallest(data)
    return prove(u, f, operator, "max", tolerance, unit=unit, source=source, bound="the tolerance")


def _smallest(values: Array) -> Array:
    with np.errstate(over="ignore"):  # what is too large for float32 differs from it, and stays float64
        single = np.asarray(values, dtype=np.float32)
    return single if bool((single == values).all()) else np.asarray(values, dtype=np.float64)
