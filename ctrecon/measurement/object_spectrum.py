"""The power of an object along the detector: it falls like a power of the frequency, as far as cells resolve it.

Objects with edges have an exponent of 3, those of the size of a pixel about 1.5; noise falls otherwise, or not at all.
"""

from __future__ import annotations

import numpy as np

from ctrecon.support.arrays import Float64Array

LIKELY, LIKELY_WITHIN = 2.5, 0.4
"""The exponent of most objects, and its standard deviation among them."""

RAGGED, VERY_RAGGED = 0.2, 0.6
"""How much an object's spectrum strays from any power, relative, in one band; and where edges a few cells apart
interfere, as those of a skull do.
"""


def folded(x: Float64Array, exponent: float) -> Float64Array:
    """``x^-exponent`` as cells see it: times their own response, and with the aliases of what they do not resolve.

    Args:
        x: Frequencies, as shares of the detector's highest.
        exponent: Of the fall.

    Returns:
        As many values.
    """
    total = np.zeros_like(x)
    for whole in (0, 2, 4):
        for y in (whole - x, whole + x) if whole else (x,):
            y = np.maximum(np.abs(y), 1e-6)
            total += y**-exponent * np.sinc(y / 2) ** 2
    return total
