"""Phantoms of a user's own: a Python file with a function ``sample(rng)``.

The file is a program and is run, like any that a user names to Python; nothing but a name given by the user leads here.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ctrecon.errors import InputError
from ctrecon.geometry.grid import Grid
from ctrecon.simulation.analytic import AnalyticPhantom

_WANTED = "a function sample(rng) that returns a ctrecon.phantoms.Phantom"
# The trial is drawn on so many pixels a side, half as wide again as the unit disc.
_PIXELS, _WIDTH = 120, 3.0


@dataclass(frozen=True)
class OwnFamily:
    """The phantoms that ``sample(rng)`` of the Python file ``path`` draws. Other processes read the file themselves."""

    path: Path

    @property
    def name(self) -> str:
        """The file's, without its suffix."""
        return self.path.stem

    def sample(self, rng: np.random.Generator) -> AnalyticPhantom:
        """Draw a phantom by the file's function.

        Args:
            rng: What is handed to the function.

        Returns:
            What the function gave, meant to be a phantom in the unit disc; ``read_family`` draws one on trial.

        Raises:
            InputError: Where the file cannot be run, or its function fails or gives no phantom.
        """
        try:
            phantom: AnalyticPhantom = _function(self.path)(rng)
        except InputError:
            raise
        except Exception as why:
            raise InputError(f"{self.path}: sample(rng) fails: {type(why).__name__}: {why}; mend the file") from why
        if not all(callable(getattr(phantom, name, None)) for name in ("image", "sinogram", "scaled")):
            raise InputError(f"{self.path}: sample(rng) returns a {type(phantom).__name__}; give {_WANTED}")
        return phantom


def read_family(path: Path) -> OwnFamily:
    """Read a file of phantoms and draw one on trial.

    Args:
        path: A Python file with a function ``sample(rng)``: it takes a ``numpy.random.Generator`` and returns a
            ``ctrecon.phantoms.base.Phantom`` in the unit disc, water about 1. The file is run.

    Returns:
        The family, named like the file.

    Raises:
        InputError: No Python file, no such function, one that fails; or a phantom that is nothing anywhere, is
            negative somewhere, reaches out of the unit disc, or is another one under the same seed.
    """
    if path.suffix != ".py":
        raise InputError(f"{path}: phantoms of one's own are a Python file with {_WANTED}")
    family = OwnFamily(path.resolve())
    grid = Grid(rows=_PIXELS, columns=_PIXELS, pixel_mm=_WIDTH / _PIXELS)
    first, again = (family.sample(np.random.default_rng(0)).image(grid) for _ in range(2))
    image = np.asarray(first, dtype=np.float64)
    x, y = np.meshgrid(grid.x_mm, grid.y_mm)
    least, most = float(image.min()), float(image.max())
    if not np.isfinite(image).all() or most <= 0:
        raise InputError(f"{path}: the phantom of seed 0 has values from {least:g} to {most:g}; some must be above 0")
    if least < -1e-9 * most:
        raise InputError(
            f"{path}: the phantom of seed 0 is negative somewhere ({least:g}): shapes add up, so holes that overlap "
            "are taken away twice; keep them apart"
        )
    # A pixel on the rim is partly outside.
    if np.any(image[np.hypot(x, y) > 1 + grid.square_mm] != 0):
        raise InputError(f"{path}: the phantom of seed 0 reaches out of the unit disc; draw it smaller")
    if not np.array_equal(first, again):
        raise InputError(f"{path}: sample(rng) draws another phantom under the same seed; take all chance from rng")
    return family


@lru_cache(maxsize=16)
def _function(path: Path) -> Any:
    """``sample`` of the file, which is run once in a process."""
    spec = importlib.util.spec_from_file_location(f"phantoms_of_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise InputError(f"{path}: there is no such file; give a Python file with {_WANTED}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as why:
        raise InputError(f"{path}: cannot be run: {type(why).__name__}: {why}; mend the file") from why
    function = getattr(module, "sample", None)
    if not callable(function):
        raise InputError(f"{path}: has no function sample; give {_WANTED}")
    return function
