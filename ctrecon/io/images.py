"""Images from files: arrays of attenuation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.npy import read_npy
from ctrecon.support.arrays import Array


def read_image_array(path: Path) -> Array:
    """A ``.npy`` image ``[rows, columns]`` in 1/mm as float32. Raises InputError for anything else or non-finite."""
    if path.suffix != ".npy" or not path.is_file():
        raise InputError(f"{path}: an image is read from an existing .npy file of attenuation in 1/mm")
    values = read_npy(path)
    if values.ndim != 2:
        raise InputError(f"{path}: an image must be two-dimensional, got shape {values.shape}")
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise InputError(f"{path}: holds {bad} values that are not finite; replace them")
    return np.ascontiguousarray(values, dtype=np.float32)
