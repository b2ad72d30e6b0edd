"""A small picture of a sinogram: in a terminal by half blocks, two views to a line, or as a PNG file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Array
from ctrecon.support.atomic import atomic_write

# Missing rays are red, in a picture that has no other colour.
MISSING = (220, 60, 40)
_DARKEST, _BRIGHTEST = 0.005, 0.995
_HALF = "\u2580"
_FIRST_GREY, _RED = 232, 160


def thumbnail(scan: Scan, *, rows: int, columns: int) -> Array:
    """The sinogram in at most so many rows (views) and columns (cells), of a volume its middle detector row.

    Args:
        scan: What was measured.
        rows: At most, >= 1.
        columns: Likewise.

    Returns:
        uint8 ``[rows, columns, 3]``: white is the 99.5% quantile, black the 0.5% one, missing rays red.
    """
    values, mask = scan.sinogram, scan.mask
    if values.ndim == 3:
        middle = (values.shape[1] - 1) // 2
        values, mask = values[:, middle], None if mask is None else mask[:, middle]
    seen = np.ones(values.shape, dtype=np.bool_) if mask is None else mask
    low, high = np.quantile(values[seen], [_DARKEST, _BRIGHTEST]) if seen.any() else (0.0, 1.0)
    level = np.clip((values - low) / max(float(high - low), 1e-12), 0, 1)
    edges = [np.unique(np.linspace(0, side, min(side, most) + 1).astype(int))
             for side, most in zip(values.shape, (rows, columns), strict=True)]  # fmt: skip

    def block(of: Array) -> Array:
        """Means over blocks of views and cells."""
        summed = np.add.reduceat(np.add.reduceat(of, edges[0][:-1], axis=0), edges[1][:-1], axis=1)
        return np.asarray(summed / np.outer(np.diff(edges[0]), np.diff(edges[1])))

    there = block(seen.astype(np.float64))
    mean = block(np.where(seen, level, 0.0)) / np.maximum(there, 1e-12)
    grey = np.repeat((255 * mean).astype(np.uint8)[..., None], 3, axis=2)
    grey[there < 0.5] = MISSING
    return grey


def as_text(picture: Array) -> str:
    """Two rows of ``uint8 [rows, columns, 3]`` to a line, for terminals of 256 colours, 24 of them grey.

    Each character is a block whose upper and lower half differ in colour.
    """
    lines = []
    for k in range(0, len(picture), 2):
        pairs = zip(picture[k], picture[k + 1] if k + 1 < len(picture) else [None] * picture.shape[1], strict=True)
        cells = (f"\x1b[38;5;{_colour(upper)}{'' if lower is None else f';48;5;{_colour(lower)}'}m{_HALF}"
                 for upper, lower in pairs)  # fmt: skip
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)


def _colour(pixel: Array) -> int:
    """Of the 256: a grey, or the red of missing rays."""
    return _RED if tuple(pixel) == MISSING else _FIRST_GREY + int(pixel[0]) * 23 // 255


def write_thumbnail(path: Path, scan: Scan, *, most: int = 512) -> None:
    """Write a PNG of at most ``most`` x ``most`` pixels. Raises OutputError where it cannot be written."""
    with atomic_write(path) as partial:
        PillowImage.fromarray(thumbnail(scan, rows=most, columns=most)).save(partial, format="PNG")
