"""Geometries that are asked for by name: parallel beams evenly over half a turn or a whole one, lengths in cells."""

from __future__ import annotations

import numpy as np

from ctrecon.errors import CtreconError, InputError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.geometry.parallel_rows import ParallelRows
from ctrecon.support.troubles import see

TURNS = {"parallel-180": 180, "parallel-360": 360}
"""What ``--geometry`` and ``read_scan(geometry=...)`` take beside a file, with the degrees that the views cover."""

ASK = (
    f"write a JSON file with the geometry beside it (docs/units.md), or ask for parallel beams over half a turn or a "
    f"whole one with geometry {' or '.join(TURNS)} (--geometry); {see('no-geometry')}"
)
"""The remedy where nothing says how a sinogram was measured."""


def parallel_turn(
    source: str, name: str, views: int, detectors: int, rows: int | None = None
) -> tuple[Geometry, Grid | None, str]:
    """The geometry called ``name``, of a volume where ``rows`` are given, its image grid, and a note on it.

    Raises:
        InputError: For a sinogram too large for any geometry.
    """
    degrees = TURNS[name]
    angles = np.arange(views) * np.deg2rad(degrees) / views
    note = (
        f"geometry {name}, as asked: parallel beams, angles evenly over {degrees} degrees, unit pixels (lengths are in "
        "detector cells)"
    )
    try:
        turn = tuple(angles.tolist())
        if rows is not None:
            return ParallelRows(angles_rad=turn, detector_count=detectors, detector_rows=rows), None, note
        geometry = ParallelBeam(angles_rad=turn, detector_count=detectors)
        return geometry, Grid(rows=detectors, columns=detectors), note
    except CtreconError as error:
        raise InputError(
            f"{source}: its sinogram of {views} views and {detectors} detectors cannot be used: {error}"
        ) from None
