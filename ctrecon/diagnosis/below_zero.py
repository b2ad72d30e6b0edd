"""An image that explains its data by values below 0, where no attenuation is.

Methods without bounds (CGLS, gradient descent) meet almost any delta in the end: data that contradict their geometry
are explained by huge values of both signs. The certificate is true of that image, and nobody would call it one.
"""

from __future__ import annotations

import numpy as np

from ctrecon.support.arrays import Array

# Of the image's energy. CGLS and gradient descent at delta left 0.06% to 4.2% there in 96 images of scans that were as
# stated (tests/diagnosis/test_below_zero.py, long), CGLS 19% to 43% in four of halves that did not belong together.
MOST_SHARE = 0.1


def below_zero(image: Array) -> str | None:
    """What to say of an image that reaches far below 0.

    Args:
        image: Attenuation, of any shape.

    Returns:
        A clause, or None where nothing is to be said.
    """
    squares = np.square(image, dtype=np.float64)
    whole = float(squares.sum())
    share = float(squares[image < 0].sum()) / whole if whole > 0 else 0.0
    if share <= MOST_SHARE:
        return None
    return (
        f"{share:.0%} of the image's energy lies below 0, where no attenuation is: without such values maybe no image "
        "meets delta, which --method energy finds out, and then geometry and data contradict each other"
    )
