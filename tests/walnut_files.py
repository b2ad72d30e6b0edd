"""A walnut's orbit as its authors keep it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from balls import ball, noisy

from ctrecon.geometry.vectors import Vectors
from ctrecon.geometry.vectors_in_space import VectorsInSpace

VIEWS, ROWS, COLUMNS, WHITE, DARK = 24, 28, 20, 50000, 300


def orbit() -> VectorsInSpace:
    """A circle, a little out of the level and with a leaning detector."""
    turn = np.arange(VIEWS) * 2 * np.pi / VIEWS
    one, zero = np.ones(VIEWS), np.zeros(VIEWS)
    u = np.stack([np.cos(turn), np.sin(turn), zero], axis=1)
    along = np.stack([-np.sin(turn), np.cos(turn), zero], axis=1)
    lean = 0.02
    v = np.stack([zero, zero, np.cos(lean) * one], axis=1) + np.sin(lean) * along
    source = -66.0 * along + [0, 0, 15.0]
    return VectorsInSpace.from_vectors(Vectors(
        parallel=False, source=source, detector=133.0 * along + 0.7 * u + [0, 0, -3.0], u=u, v=v, rows=ROWS,
        columns=COLUMNS, row_mm=2.0, column_mm=2.0,
    ))  # fmt: skip


def tube(folder: Path) -> Path:
    folder.mkdir()
    geometry = orbit()
    frames = DARK + (WHITE - DARK) * np.exp(-noisy(ball(geometry), 1e-4))

    def put(name: str, picture: np.ndarray) -> None:
        tifffile.imwrite(folder / name, np.rint(np.flipud(picture.T)).astype(np.uint16))  # back to the camera's way

    for k in range(VIEWS):
        put(f"scan_{VIEWS - k:06}.tif", frames[k])
    put("scan_000000.tif", np.full((ROWS, COLUMNS), 123.0))  # the last view again, which is not used
    put("di000000.tif", np.full((ROWS, COLUMNS), float(DARK)))
    put("io000000.tif", np.full((ROWS, COLUMNS), WHITE - 40.0))
    put("io000001.tif", np.full((ROWS, COLUMNS), WHITE + 40.0))
    v = geometry.to_vectors()
    table = np.hstack([v.source, v.detector, v.u * 2.0, v.v * 2.0])
    np.savetxt(folder / "scan_geom_corrected.geom", np.vstack([table, table[:1]]))
    return folder
