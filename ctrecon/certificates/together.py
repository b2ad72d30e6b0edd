"""The checker's ``A u`` of many images at once: the rows of its operator are made for all of them, not for each.

Making the rows is most of what a certificate costs. The sums are those of ``verify.apply``, in the same order, image by
image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ctrecon.certificates import verify
from ctrecon.support.arrays import Array, Float64Array

Product = tuple[Float64Array, Float64Array]
"""``A u``, flat, and a bound on the error of each value."""


def products(operator: dict[str, Any], images: Sequence[Array]) -> list[Product]:
    """What ``verify.apply`` gives for each of ``images``, all of one shape, for a projector by geometry and grid.

    Args:
        operator: As a certificate states it, without a matrix.
        images: ``[rows, columns]`` each.

    Returns:
        One for each.
    """
    padded = np.stack([np.pad(image, (1, 2)).ravel().astype(np.float64) for image in images], axis=1)
    largest = np.abs(padded).max(axis=0)
    found: list[tuple[Array, Array, Array]] = []
    for at, rows, errors, lengths in verify.blocks(operator, None):
        steps = int(np.diff(rows.indptr).max(initial=0)) + 2
        off = (errors + verify.gamma(steps) * lengths)[:, None] * largest
        found.append((at, rows @ padded, off))
    ray, values, errors = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(ray)
    return [(values[order, k], errors[order, k]) for k in range(len(images))]
