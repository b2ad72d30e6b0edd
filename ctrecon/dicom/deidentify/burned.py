"""Text that is drawn into pixels, and images that may hold some: what the Clean Pixel Data Option refuses.

Nothing is painted over: what a recogniser misses would be called clean. An image is refused where it says that text is
burned in, where it is of a class that scanners do not reconstruct (captured screens, above all) and does not say that
there is none, and where ``lines_of_text`` finds a line of letters.

A letter, as overlays draw it: connected pixels of one value, the highest or the lowest of the frame, 5 to 64 high and
at most twice as wide, thin (not a filled box) and with a sharp edge. A line: three or more of them, of similar height,
side by side. Anatomy and noise touch the extreme value in spots and patches, not in rows of equal height. Handwriting,
letters of other grey values and smoothed ones are not recognised.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from scipy import ndimage

from ctrecon.dicom.common.files import text_of
from ctrecon.errors import InputError

_LEAST, _MOST = 5, 64
_LETTERS = 3
_SHARP = 0.2
_RECONSTRUCTED = frozenset(
    ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.4",
     "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.130",
     "1.2.840.10008.5.1.4.1.1.30")
)  # fmt: skip
"""CT, MR and PET, classic and enhanced, and parametric maps."""


class TextFoundError(InputError):
    """Text is, or may be, drawn into an image."""


def check_no_text(ds: Dataset, frames: npt.NDArray[Any], name: str) -> None:
    """Raises TextFoundError, with the reason, where text may be drawn into an image.

    Args:
        ds: The image's attributes.
        frames: Its stored values ``[frames, rows, columns]``, with the samples of colours behind.
        name: The file's name, for the message.
    """
    burned = text_of(ds, "BurnedInAnnotation", name)
    if burned == "YES":
        raise TextFoundError(f"{name}: says text is burned into its pixels; paint it over, say BurnedInAnnotation NO")
    if burned != "NO" and str(ds.get("SOPClassUID", "")) not in _RECONSTRUCTED:
        raise TextFoundError(f"{name}: may be a captured screen and does not say BurnedInAnnotation NO")
    for k, frame in enumerate(frames):
        for plane in np.moveaxis(frame.reshape(*frame.shape[:2], -1), -1, 0):
            if lines_of_text(plane):
                raise TextFoundError(f"{name}: frame {k + 1} seems to have text drawn into it; paint it over")


def lines_of_text(plane: npt.NDArray[Any]) -> int:
    """How many lines of letters are drawn into ``plane`` ``[rows, columns]``, in its highest or its lowest value."""
    values = plane.astype(np.float64)
    return sum(_lines(values * sign) for sign in (1, -1))


def _lines(values: npt.NDArray[np.float64]) -> int:
    top = values.max()
    spread = top - values.min()
    if spread == 0:
        return 0
    at_top = values == top
    if at_top.mean() > 0.25:  # the background, not what is drawn on it
        return 0
    labels, _ = ndimage.label(at_top, structure=np.ones((3, 3)))
    letters = []
    for k, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        tall, wide = rows.stop - rows.start, columns.stop - columns.start
        if not (_LEAST <= tall <= _MOST and wide <= 2 * tall):
            continue
        own = labels[rows, columns] == k
        thin = own.mean() <= 0.8 or wide <= tall / 3
        # Its outside neighbours, one pixel around: a drawn letter has no slope.
        around = (slice(max(rows.start - 1, 0), rows.stop + 1), slice(max(columns.start - 1, 0), columns.stop + 1))
        whole = labels[around] == k
        edge = ndimage.binary_dilation(whole) & ~whole
        sharp = top - np.median(values[around][edge]) >= _SHARP * spread
        if thin and sharp:
            letters.append((rows.start, rows.stop, columns.start, columns.stop))
    return _in_lines(sorted(letters, key=lambda letter: letter[2]))


def _in_lines(letters: list[tuple[int, int, int, int]]) -> int:
    """Rows of letters of similar height, each within two heights of the one before it."""
    lines: list[list[tuple[int, int, int, int]]] = []
    for letter in letters:
        top, bottom, left, _ = letter
        tall = bottom - top
        for line in lines:
            last_top, last_bottom, _, last_right = line[-1]
            last = last_bottom - last_top
            if (abs(tall - last) <= 0.35 * max(tall, last) and abs(bottom - last_bottom) <= 0.35 * tall
                    and -1 <= left - last_right <= 2 * tall):  # fmt: skip
                line.append(letter)
                break
        else:
            lines.append([letter])
    return sum(len(line) >= _LETTERS for line in lines)
