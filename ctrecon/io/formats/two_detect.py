"""2DeteCT (Kiss et al., Scientific Data 10, 576, 2023): a folder ``slice00001/mode1`` of a sinogram with its fields.

``sinogram.tif`` has 3,601 views over a whole turn, the last of which is the first again, and 1,912 cells of 0.0748
mm, which the authors add in pairs; ``dark.tif``, ``flat1.tif`` and ``flat2.tif`` one line each. A fan beam,
431.019989 mm from source to axis and 529.000488 mm to the detector, which stood one added cell aside for slices 1 to
2830 and 5521 to 5870.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np

from ctrecon.errors import InputError
from ctrecon.geometry.fan import FanBeam
from ctrecon.io.ask import Ask
from ctrecon.io.measured import Measured, from_counts
from ctrecon.io.tiff import frames_of
from ctrecon.support.arrays import Float64Array

NAME = "2DeteCT"
PLACE = 90

_FILES = ("sinogram.tif", "dark.tif", "flat1.tif", "flat2.tif")
_VIEWS, _CELLS, _CELL_MM = 3601, 1912, 0.0748
_SHIFTED = (*range(1, 2831), *range(5521, 5871))


def takes(path: Path) -> bool:
    return path.is_dir() and all((path / name).is_file() for name in _FILES)


def read(path: Path, ask: Ask) -> Measured:
    """Raises InputError for files of another size, or a folder whose name tells no slice."""
    if ask.row is not None:
        raise InputError(f"{path}: holds one sinogram, without detector rows to choose from; drop --row")
    number = re.fullmatch(r"slice(\d{5})", path.resolve().parent.name)
    if number is None:
        raise InputError(f"{path}: lies in no folder slice00001 or so, by whose number its detector stood aside; keep "
                         "the folders of 2DeteCT as they are")  # fmt: skip
    counts, dark, before, after = (_lines(path / name) for name in _FILES)
    if counts.shape != (_VIEWS, _CELLS // 2):
        raise InputError(f"{path}: its sinogram has {counts.shape[0]} x {2 * counts.shape[1]} values, not {_VIEWS} x "
                         f"{_CELLS}")  # fmt: skip
    shift = -2 * _CELL_MM if int(number[1]) in _SHIFTED else 0.0
    geometry = FanBeam(
        angles_rad=tuple((np.arange(_VIEWS - 1) * 2 * math.pi / (_VIEWS - 1)).tolist()), detector_count=_CELLS // 2,
        detector_spacing_mm=2 * _CELL_MM, detector_offset_mm=shift, source_to_axis_mm=431.019989,
        source_to_detector_mm=529.000488,
    )  # fmt: skip
    return from_counts(
        path, counts[:-1], (before.mean(axis=0) + after.mean(axis=0)) / 2, dark.mean(axis=0), geometry=geometry,
        geometry_from="geometry of 2DeteCT",
        notes=("cells are added in pairs and the last view, the first again, is left out, as by the authors",),
    )  # fmt: skip


def _lines(path: Path) -> Float64Array:
    """``[lines, cells]``, cells added in pairs."""
    frame = frames_of([path])
    if len(frame) != 1 or frame.columns != _CELLS:
        raise InputError(f"{path}: holds {len(frame)} pictures of {frame.rows} x {frame.columns}; one of {_CELLS} "
                         "cells is needed")  # fmt: skip
    values = frame.whole()
    pairs: Float64Array = values[:, 0::2] + values[:, 1::2]
    return pairs
