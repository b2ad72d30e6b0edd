"""RTK's projectors and FDK of a circular cone on our arrays, for tests that set it beside (``pip install itk-rtk``).

Places and turns are those of ``ctrecon/io/rtk_geometry.py``: RTK's ``(x, y, z)`` is ``(x, z, -y)`` here, and rows and
columns of a detector run the other way.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from ctrecon.geometry.cone import ConeBeam
from ctrecon.geometry.grid import Grid
from ctrecon.support.arrays import Array

WORKER = Path(__file__).with_name("rtk_worker.py")


class Found(NamedTuple):
    """What a map made, in our order, and its best times."""

    values: Array
    seconds: float
    processor: float


def rtk_beside(
    geometry: ConeBeam, grid: Grid, volume: Array, data: Array, folder: Path, *, rounds: int, threads: int
) -> dict[str, Found]:
    """A of ``volume``, A^T and FDK of ``data`` by RTK; skips the test where it is not installed.

    For a cone whose detector stands upright in the middle, and a grid about the axis.
    """
    try:
        importlib.metadata.version("itk-rtk")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("RTK is not installed: pip install -c constraints.txt itk-rtk")
    moved = "detector_offset_mm", "detector_row_offset_mm", "roll_rad", "tilt_rad", "swivel_rad"
    assert not any(getattr(geometry, name) for name in moved)
    assert not any(grid.centre_mm)
    rows_mm, columns_mm = grid.spacing_mm
    np.savez(
        folder / "in.npz", rounds=rounds, gantry_deg=180.0 - np.rad2deg(geometry.angles_rad),
        source_to_axis_mm=geometry.source_to_axis_mm, source_to_detector_mm=geometry.source_to_detector_mm,
        # Our slices run against RTK's y; our rows fall in y, RTK's z, which rises with its first index.
        volume=volume[::-1, ::-1].transpose(1, 0, 2), volume_mm=[columns_mm, grid.slice_mm, rows_mm],
        data=data[:, ::-1, ::-1], data_mm=[geometry.detector_spacing_mm, geometry.detector_row_spacing_mm, 1.0],
    )  # fmt: skip
    line = [sys.executable, str(WORKER), str(folder / "in.npz"), str(folder / "out.npz")]
    done = subprocess.run(
        line, env=os.environ | {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": str(threads)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(folder / "out.npz") as out:
        return {
            what: Found(
                out[what][:, ::-1, ::-1] if what == "A" else out[what].transpose(1, 0, 2)[::-1, ::-1],
                float(out[f"{what} seconds"]), float(out[f"{what} processor"]),
            )
            for what in ("A", "A^T", "FDK")
        }  # fmt: skip
