"""An image with where its pixels stand and what they count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ctrecon.errors import InputError
from ctrecon.geometry.grid import Grid
from ctrecon.measurement.given import check_values, plain_floats
from ctrecon.support.arrays import Array

Unit = Literal["1/mm", "HU"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Image:
    """Pixels ``[rows, columns]``, float32, on a grid, in 1/mm or HU. Raises InputError where these do not fit."""

    values: Array
    grid: Grid
    unit: Unit = "1/mm"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", plain_floats("the image", "image", self.values))
        check_values("the image", "image", self.values, None, ("row", "column"))
        if self.values.dtype != np.float32:
            raise InputError(f"the image must be float32, got {self.values.dtype}")
        if self.values.shape != self.grid.shape:
            raise InputError(f"the image has shape {self.values.shape}, its grid {self.grid.shape}; they must agree")
        if self.unit not in get_args(Unit):
            raise InputError(f"the image's unit must be one of {', '.join(get_args(Unit))}, got {self.unit!r}")
