"""The picture of one slice, as soon as it is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ctrecon.io.npy import read_npy
from ctrecon.outputs.canvas import GRAYS, Canvas
from ctrecon.reconstruction.pieces import Pieces

_SIDE, _LEFT, _TOP, _BAR = 600, 30, 44, 20


def draw_slice(pieces: Pieces, index: int, record: Mapping[str, Any]) -> bytes:
    """A PNG of slice ``index`` (from 0) of a job that is under way, with what is said of it above."""
    image = read_npy(pieces.path(index, "image"))
    rows, columns = image.shape
    wide, high = _SIDE * min(1.0, columns / rows), _SIDE * min(1.0, rows / columns)
    canvas = Canvas(round(_LEFT + wide + 170), round(_TOP + high + 24))
    low, top = (float(q) for q in np.percentile(image, [0.5, 99.8]))
    low, top = min(0.0, low), max(top, low + 1e-12)
    box = (_LEFT, _TOP, _LEFT + wide, _TOP + high)
    canvas.image(box, image, low, top, GRAYS)
    certified = "certified" if record["certified"] else "NOT certified"
    canvas.title(box, f"slice {index + 1}, z = {record['z_mm']:.4g}: {certified}")
    left = _LEFT + wide + 24
    canvas.bar((left, _TOP + 0.1 * high, left + _BAR, _TOP + 0.9 * high), low, top, GRAYS, "attenuation")
    return canvas.png("ctrecon")
